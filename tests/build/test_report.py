"""Progress of a build: what is kept of logs, and what each form writes."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from daemonless.build.loglines import TAIL, Log, clean
from daemonless.build.rawjson import RawJson
from daemonless.build.report import Plain, Quiet, TaskName

A, B = TaskName(number=1, title="[a 1/1] RUN a"), TaskName(number=2, title="[b 1/1] RUN b")


def written(act: Callable[[int], None]) -> str:
    """Return what `act` writes to the descriptor it is given."""
    read_end, write_end = os.pipe()
    act(write_end)
    os.close(write_end)
    with open(read_end, encoding="utf-8") as file:
        return file.read()


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"plain", "plain"),
        (b"a\tb", "a       b"),
        (b"\x1b[1;31mred\x1b[0m", "red"),
        (b"\x1b]0;title\x07text", "text"),
        (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"\x1b(Bset", "set"),
        (b"\x1bMup", "up"),
        (b"\x1b[2J\x1b[Hscreen", "screen"),
        (b"cut\x1b[", "cut"),
        (b"cut\x1b", "cut"),
        (b"10%\r50%\r100%", "100%"),
        (b"dos\r", "dos"),
        (b"\xff\x00\x08", "\ufffd\\x00\\x08"),
        ("naïve ✓".encode(), "naïve ✓"),
    ],
)
def test_lines_are_cleaned(line: bytes, shown: str) -> None:
    assert clean(line) == shown


def test_a_log_keeps_its_last_lines() -> None:
    log = Log()
    assert log.add(b"be") == []
    assert [line for _, line in log.add(b"gin\nsecond\nthi")] == [b"begin", b"second"]
    assert log.newest(2) == ["second", "thi"]
    log.add(b"rd\n\n\n")
    assert log.newest(2) == ["second", "third"]
    assert log.newest(0) == []
    log.add(b"".join(b"%d\n" % number for number in range(100)) + b"last")
    log.end()
    assert [text for _, text in log.tail] == [*map(str, range(101 - TAIL, 100)), "last"]


def test_a_line_without_end_is_cut() -> None:
    log = Log()
    for _ in range(40):
        log.add(b"x" * 4096)
    assert len(log.tail) == 2
    assert len(log.tail[0][1]) == 4000


def test_plain_repeats_lines_that_others_have_come_between() -> None:
    def act(fd: int, between: bytes) -> None:
        with Plain(fd) as report:
            report.started(A)
            report.started(B)
            report.printed(A, b"mine\n")
            if between:
                report.printed(B, between)
            report.failed(A, "the reason")

    frame = "------\n > [a 1/1] RUN a:\n"
    assert frame not in written(lambda fd: act(fd, b""))
    assert "#1 ERROR: the reason\n" in written(lambda fd: act(fd, b""))
    assert frame in written(lambda fd: act(fd, b"other\n"))


def test_plain_tells_what_does_not_go_on() -> None:
    def act(fd: int) -> None:
        with pytest.raises(KeyboardInterrupt), Plain(fd) as report:
            for task in (A, B):
                report.started(task)
            report.done(A)
            raise KeyboardInterrupt

    assert written(act).endswith("\n#1 DONE 0.0s\n\n#2 CANCELED\n\n")


def test_plain_tells_what_failed_before_it_began() -> None:
    def act(fd: int) -> None:
        with Plain(fd) as report:
            report.failed(A, "no such file")

    assert written(act) == "#1 [a 1/1] RUN a\n#1 ERROR: no such file\n\n"


def test_quiet_tells_what_failed_only() -> None:
    def act(fd: int) -> None:
        with Quiet(fd) as report:
            for task in (A, B):
                report.started(task)
                report.printed(task, b"told\n")
            report.done(A)
            report.say("nothing")
            report.failed(B, "the reason")

    frame, title, line, end = written(act).splitlines()
    assert (frame, title, end) == ("------", " > [b 1/1] RUN b:", frame)
    assert line.endswith(" told")


def test_rawjson_has_the_words_of_solve_status() -> None:
    def act(fd: int) -> None:
        with RawJson(fd) as report:
            report.done(A, "CACHED")
            report.started(B)
            report.printed(B, b"\xff\n")
            report.warn("careful")

    events: list[dict[str, Any]] = [json.loads(line) for line in written(act).splitlines()]
    assert [list(event) for event in events] == [
        ["vertexes"],
        ["vertexes"],
        ["logs"],
        ["warnings"],
        ["vertexes"],
    ]
    cached, begun, ended = (events[index]["vertexes"][0] for index in (0, 1, 4))
    assert cached["cached"] is True
    assert {"digest", "name", "started"} == set(begun)
    assert ended == {**begun, "completed": ended["completed"], "error": "canceled"}
    assert base64.b64decode(events[2]["logs"][0]["data"]) == b"\xff\n"
    assert base64.b64decode(events[3]["warnings"][0]["short"]) == b"careful"
