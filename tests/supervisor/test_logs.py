import os

import pytest

from daemonless.supervisor.logs import (
    STDERR,
    STDOUT,
    LogWriter,
    parse_line,
    read_lines,
    seek_tail,
    timestamp,
)

CHUNKS = [
    (STDOUT, b"one\ntwo\n"),
    (STDERR, b"error\n"),
    (STDOUT, b"par"),
    (STDOUT, b"tial\r50%\rdone\nlast"),
]
TEXTS = {STDOUT: b"one\ntwo\npartial\r50%\rdone\nlast", STDERR: b"error\n"}


@pytest.fixture(params=["k8s-file", "json-file"])
def log(request, tmp_path):
    writer = LogWriter(request.param, str(tmp_path / "log"))
    for stream, data in CHUNKS:
        writer.write(stream, data)
    writer.close()
    fd = os.open(tmp_path / "log", os.O_RDWR)
    yield fd
    os.close(fd)


def entries(fd):
    return [entry for entry in map(parse_line, read_lines(fd)) if entry]


def test_what_is_written_is_read_back(log):
    read = entries(log)
    for stream, text in TEXTS.items():
        assert b"".join(e.text for e in read if e.stream == stream) == text


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
def test_tail_counts_lines_and_keeps_partial_ones_whole(log, count, text):
    seek_tail(log, count)
    assert b"".join(e.text for e in entries(log)) == text


def test_tail_of_a_log_larger_than_one_block(tmp_path):
    writer = LogWriter("k8s-file", str(tmp_path / "log"))
    for number in range(5000):
        writer.write(STDOUT, b"line %d\n" % number)
    writer.close()
    fd = os.open(tmp_path / "log", os.O_RDONLY)
    seek_tail(fd, 3000)
    read = entries(fd)
    os.close(fd)
    assert [read[0].text, len(read)] == [b"line 2000\n", 3000]


def test_torn_last_line_is_kept_for_later(log):
    os.lseek(log, 0, os.SEEK_END)
    os.write(log, b"2026-11-23T20:42:00.000000000Z stdout F to")
    os.lseek(log, 0, os.SEEK_SET)
    before = len(entries(log))
    os.lseek(log, 0, os.SEEK_CUR)
    position = os.lseek(log, 0, os.SEEK_CUR)
    os.lseek(log, 0, os.SEEK_END)
    os.write(log, b"rn\n")
    os.lseek(log, position, os.SEEK_SET)
    after = entries(log)
    assert before > 0
    assert [e.text for e in after] == [b"torn\n"]


def test_reading_ends_although_the_writer_does_not(log):
    """A container that writes faster than we read must not keep `logs` from ending."""
    before = len(list(read_lines(log)))
    os.lseek(log, 0, os.SEEK_SET)
    seen = 0
    for line in read_lines(log):
        seen += 1
        os.pwrite(log, line, os.fstat(log).st_size)
    assert seen == before


@pytest.mark.parametrize(
    "line", [b"", b"garbage", b"{", b'{"log":1}', b"a b c d", b"2026 stdout X text\n", b"\xff\xfe"]
)
def test_foreign_lines_are_passed_over(line):
    assert parse_line(line) is None


def test_k8s_format_is_the_one_of_the_cri(tmp_path):
    writer = LogWriter("k8s-file", str(tmp_path / "log"))
    writer.write(STDERR, b"x\ny")
    writer.close()
    first, second = (tmp_path / "log").read_bytes().splitlines()
    assert first.split(b" ")[1:] == [b"stderr", b"F", b"x"]
    assert second.split(b" ")[1:] == [b"stderr", b"P", b"y"]


def test_no_log_is_kept_with_driver_none(tmp_path):
    writer = LogWriter("none", str(tmp_path / "log"))
    writer.write(STDOUT, b"x\n")
    writer.close()
    assert not (tmp_path / "log").exists()


def test_timestamp_is_rfc3339_with_nanoseconds():
    assert timestamp(1_795_466_520_000_000_007) == "2026-11-23T20:42:00.000000007Z"
