"""What is written to a log is read back, whatever it is, however it was cut, across rotation."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemonless.clock import timestamp
from daemonless.supervisor.logreader import LogFile, parse, plain_text, runs
from daemonless.supervisor.logs import STDERR, STDOUT, FileLog, Log

DRIVERS = ["k8s-file", "json-file"]
CHUNKS = [
    (STDOUT, b"one\ntwo\n"),
    (STDERR, b"error\n"),
    (STDOUT, b"par"),
    (STDOUT, b"tial\r50%\rdone\nlast"),
]


def written(driver: str, path: Path, chunks: list[tuple[int, bytes]], **options: int) -> Path:
    log = FileLog(driver, str(path), **options)
    for stream, data in chunks:
        log.write(stream, data)
    log.close()
    return path


def entries(log: LogFile) -> list[tuple[int, bytes]]:
    found = [parse(line) for lines in log.lines() for line in lines]
    assert None not in found
    return [entry[1:] for entry in found if entry]


def texts(path: Path, *, tail: int = -1, max_files: int = 1) -> dict[int, bytes]:
    log = LogFile(str(path), max_files)
    if tail >= 0:
        log.seek_tail(tail)
    read = entries(log)
    log.close()
    return {stream: b"".join(text for of, text in read if of == stream) for stream in (STDOUT, STDERR)}


# --- round trips ----------------------------------------------------------------------------

CONTENT = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from([b"\n", b"\\", b'"', b"\\n", b'","stream":"stdout","time":"', b"\0\x1b[0m"]),
    st.sampled_from(["ä→😀".encode(), b"ends\n"]),
)
STREAMS = st.sampled_from([STDOUT, STDERR])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(STREAMS, CONTENT), max_size=12), st.sampled_from(DRIVERS))
def test_what_is_written_is_read_back(tmp_path_factory, chunks, driver):
    path = written(driver, tmp_path_factory.mktemp("log") / "log", chunks)
    for stream, text in texts(path).items():
        expected = b"".join(data for of, data in chunks if of == stream)
        if driver == "json-file":
            expected = expected.decode("utf-8", "replace").encode()
        assert text == expected


@settings(max_examples=200, deadline=None)
@given(st.lists(CONTENT, min_size=1, max_size=30), st.data())
def test_a_block_read_as_one_equals_its_lines(tmp_path_factory, contents, data):
    """The fast path and the careful one agree, or the fast one declines."""
    driver = data.draw(st.sampled_from(DRIVERS))
    chunks = [(STDERR, b"".join(contents).replace(b"\r", b"") + b"\n")]
    path = written(driver, tmp_path_factory.mktemp("log") / "log", chunks)
    lines = [line for block in LogFile(str(path)).lines() for line in block]
    whole = plain_text(lines)
    assert whole == (STDERR, b"".join(parse(line)[2] for line in lines))
    times = b"".join(b" ".join(parse(line)[::2]) for line in lines)
    assert plain_text(lines, times=True) == (STDERR, times)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(STREAMS, CONTENT), max_size=60), st.sampled_from(DRIVERS))
def test_runs_are_the_block(tmp_path_factory, chunks, driver):
    path = written(driver, tmp_path_factory.mktemp("log") / "log", chunks)
    lines = [line for block in LogFile(str(path)).lines() for line in block]
    if lines:
        assert [line for run in runs(lines) for line in run] == lines


def test_cut_lines_leave_the_rest_to_the_fast_path(tmp_path):
    chunks = [(STDOUT, b"x" * 99 + b"\n" * 50 + b"cut ")] * 4
    path = written("json-file", tmp_path / "log", chunks)
    lines = [line for block in LogFile(str(path)).lines() for line in block]
    assert [len(run) for run in runs(lines) if plain_text(run)] == [50, 49, 49, 49]


@pytest.mark.parametrize(
    "line",
    [
        b'{"log":"a","x":"b\\n","stream":"stdout","time":"2026-11-23T20:42:00.123456789Z"}',
        b'{"log":"no end","stream":"stdout","time":"2026-11-23T20:42:00.123456789Z"}',
        b'{"log":"x\\n","stream":"stdout","attrs":{"tag":"t"},"time":"2026-11-23T20:42:00.123456789Z"}',
        b"2026-11-23T20:42:00.123456789Z stdout P no end",
        b"2026-11-23T20:42:00.1+01:00 stdout F of another program",
        b"garbage",
        b"",
    ],
)
def test_the_fast_path_declines_what_it_does_not_know(line):
    good = b"2026-11-23T20:42:00.123456789Z stdout F text"
    if line.startswith(b"{"):
        good = b'{"log":"x\\n","stream":"stdout","time":"2026-11-23T20:42:00.123456789Z"}'
    assert plain_text([good]) is not None
    if line:
        assert plain_text([line]) is None
    assert plain_text([good, line, good]) is None


def test_streams_are_not_mixed_by_the_fast_path():
    lines = [b"2026-11-23T20:42:00.123456789Z %s F text" % name for name in (b"stdout", b"stderr")]
    assert plain_text(lines) is None


# --- the formats ----------------------------------------------------------------------------


def test_json_file_is_json_to_others(tmp_path):
    data = b'a "quoted" \\ tab\t\x00\x1b[1m\x7f \xc3\xa4 \xff\r\n'
    path = written("json-file", tmp_path / "log", [(STDOUT, data), (STDERR, b"cut")])
    first, second = map(json.loads, path.read_text().splitlines())
    assert list(first) == ["log", "stream", "time"]
    assert first["log"] == data.decode("utf-8", "replace")
    assert (first["stream"], second["stream"], second["log"]) == ("stdout", "stderr", "cut")
    assert len(first["time"]) == len(timestamp()) == 30


def test_a_character_cut_by_a_chunk_is_whole_in_json(tmp_path):
    text = "ä→😀\n".encode()
    chunks = [(STDOUT, text[i : i + 1]) for i in range(len(text))]
    path = written("json-file", tmp_path / "log", chunks)
    assert "".join(json.loads(line)["log"] for line in path.read_text().splitlines()) == "ä→😀\n"


def test_k8s_format_is_the_one_of_the_cri(tmp_path):
    path = written("k8s-file", tmp_path / "log", [(STDERR, b"x\ny")])
    first, second = path.read_bytes().splitlines()
    assert first.split(b" ")[1:] == [b"stderr", b"F", b"x"]
    assert second.split(b" ")[1:] == [b"stderr", b"P", b"y"]


@pytest.mark.parametrize(
    "line", [b"", b"garbage", b"{", b'{"log":1}', b"a b c d", b"2026 stdout X text", b"\xff\xfe"]
)
def test_foreign_lines_are_passed_over(line):
    assert parse(line) is None


def test_no_log_is_kept_by_the_base_class(tmp_path):
    log = Log()
    log.write(STDOUT, b"x\n")
    log.close()
    assert not list(tmp_path.iterdir())


# --- the last lines -------------------------------------------------------------------------


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, b""),
        (1, b"last"),
        (2, b"partial\r50%\rdone\nlast"),
        (3, b"error\npartial\r50%\rdone\nlast"),
        (5, b"one\ntwo\nerror\npartial\r50%\rdone\nlast"),
        (99, b"one\ntwo\nerror\npartial\r50%\rdone\nlast"),
    ],
)
def test_tail_counts_lines_and_keeps_partial_ones_whole(tmp_path, driver, count, text):
    log = LogFile(str(written(driver, tmp_path / "log", CHUNKS)))
    log.seek_tail(count)
    assert b"".join(found for _, found in entries(log)) == text


@settings(max_examples=100, deadline=None)
@given(st.lists(CONTENT, max_size=12), st.integers(0, 8), st.sampled_from(DRIVERS))
def test_tail_is_the_end_of_the_output(tmp_path_factory, contents, count, driver):
    path = written(driver, tmp_path_factory.mktemp("log") / "log", [(STDOUT, data) for data in contents])
    lines = b"".join(contents).split(b"\n")
    lines = [line + b"\n" for line in lines[:-1]] + [lines[-1]] * bool(lines[-1])
    expected = b"".join(lines[-count:]) if count else b""
    if driver == "json-file":
        expected = expected.decode("utf-8", "replace").encode()
    assert texts(path, tail=count)[STDOUT] == expected


def test_tail_of_a_log_larger_than_one_block(tmp_path):
    path = written("k8s-file", tmp_path / "log", [(STDOUT, b"line %d\n" % number) for number in range(5000)])
    log = LogFile(str(path))
    log.seek_tail(3000)
    read = entries(log)
    assert [read[0][1], len(read)] == [b"line 2000\n", 3000]


@pytest.mark.parametrize("driver", DRIVERS)
def test_tail_passes_over_lines_of_any_length(tmp_path, driver):
    long = [(STDOUT, b"x" * 65536)] * 40
    path = written(driver, tmp_path / "log", [(STDOUT, b"a\n"), *long, (STDOUT, b"\nb\nc\n")])
    assert texts(path, tail=2)[STDOUT] == b"b\nc\n"
    assert len(texts(path, tail=3)[STDOUT]) == 40 * 65536 + 5


# --- what is cut short ----------------------------------------------------------------------


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_torn_last_record_is_kept_for_later(tmp_path, driver):
    path = written(driver, tmp_path / "log", [(STDOUT, b"first\nsecond\n")])
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    log = LogFile(str(path))
    assert entries(log) == [(STDOUT, b"first\n")]
    with open(path, "ab") as file:
        file.write(whole[-5:])
    assert entries(log) == [(STDOUT, b"second\n")]


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("kept", [0, 3, 65536 + 7])
def test_a_torn_record_is_cut_off_before_the_next(tmp_path, driver, kept):
    path = written(driver, tmp_path / "log", [(STDOUT, b"first\n"), (STDOUT, b"x" * 70000 + b"\n")])
    whole = path.read_bytes()
    os.truncate(path, whole.index(b"\n") + 1 + kept)
    written(driver, path, [(STDOUT, b"next\n")])
    assert texts(path)[STDOUT] == b"first\nnext\n"


def test_reading_ends_although_the_writer_does_not(tmp_path):
    """A container that writes faster than we read must not keep `logs` from ending."""
    path = written("k8s-file", tmp_path / "log", CHUNKS)
    size = path.stat().st_size
    for lines in LogFile(str(path)).lines():
        written("k8s-file", path, CHUNKS * 100)
        assert sum(map(len, lines)) + len(lines) == size


def test_a_full_disk_loses_whole_records(tmp_path, monkeypatch):
    path = tmp_path / "log"
    log = FileLog("k8s-file", str(path))
    log.write(STDOUT, b"first\n")
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:60]))
    log.write(STDOUT, b"second\nthird\n")
    monkeypatch.undo()
    log.write(STDOUT, b"fourth\n")
    log.close()
    assert texts(path)[STDOUT] == b"first\nsecond\nfourth\n"


# --- rotation -------------------------------------------------------------------------------


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("lines", [1, 400])
def test_files_are_bounded_in_size_and_number(tmp_path, driver, lines):
    path = tmp_path / "log"
    numbers = iter(range(400))
    chunks = [(STDOUT, b"".join(b"%d\n" % next(numbers) for _ in range(lines))) for _ in range(400 // lines)]
    written(driver, path, chunks, max_size=2000, max_files=3)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["log", "log.1", "log.2"]
    assert all(file.stat().st_size <= 2000 for file in tmp_path.iterdir())
    read = texts(path, max_files=3)[STDOUT].split()
    assert read == [b"%d" % number for number in range(400 - len(read), 400)]
    assert len(read) > 45
    for tail in (1, 30, 45):
        assert texts(path, tail=tail, max_files=3)[STDOUT].split() == read[-tail:]


def test_one_file_begins_anew(tmp_path):
    path = written("k8s-file", tmp_path / "log", [(STDOUT, b"%d\n" % n) for n in range(100)], max_size=500)
    assert [file.name for file in tmp_path.iterdir()] == ["log"]
    assert texts(path)[STDOUT].endswith(b"99\n")


def test_a_record_larger_than_a_file_gets_one_of_its_own(tmp_path):
    chunks = [(STDOUT, b"a\n"), (STDOUT, b"x" * 3000 + b"\n"), (STDOUT, b"b\n")]
    path = written("k8s-file", tmp_path / "log", chunks, max_size=1000, max_files=9)
    assert texts(path, max_files=9)[STDOUT] == b"a\n" + b"x" * 3000 + b"\nb\n"


@pytest.mark.parametrize("between", [1, 7, 40])
def test_following_survives_rotation(tmp_path, between):
    """Nothing is lost or read twice while no file is rotated away between two looks."""
    log = FileLog("k8s-file", str(tmp_path / "log"), max_size=500, max_files=8)
    reader = LogFile(str(tmp_path / "log"), 8)
    read: list[tuple[int, bytes]] = []
    for number in range(200):
        log.write(STDOUT, b"%d\n" % number)
        if number % between == 0:
            read += entries(reader)
    read += entries(reader)
    assert [text for _, text in read] == [b"%d\n" % number for number in range(200)]


def test_what_was_rotated_away_is_the_only_loss(tmp_path):
    log = FileLog("k8s-file", str(tmp_path / "log"), max_size=500, max_files=2)
    reader = LogFile(str(tmp_path / "log"), 2)
    log.write(STDOUT, b"begin\n")
    assert entries(reader) == [(STDOUT, b"begin\n")]
    for number in range(200):
        log.write(STDOUT, b"%d\n" % number)
    read = [int(text) for _, text in entries(reader)]
    gaps = [number for number, after in itertools.pairwise(read) if after != number + 1]
    assert (read[0], read[-1], len(gaps)) == (0, 199, 1)


def test_a_log_that_does_not_exist_yet(tmp_path):
    reader = LogFile(str(tmp_path / "log"))
    assert entries(reader) == []
    written("k8s-file", tmp_path / "log", [(STDOUT, b"x\n")])
    assert entries(reader) == [(STDOUT, b"x\n")]
