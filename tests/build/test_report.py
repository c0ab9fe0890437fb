"""Plain progress: lines that tools read."""

from __future__ import annotations

import os
import re

from daemonless.build.report import Plain, TaskName


def written(act: object) -> list[str]:
    read_end, write_end = os.pipe()
    act(Plain(write_end))  # type: ignore[operator]
    os.close(write_end)
    with open(read_end) as file:
        return [re.sub(r"\d+\.\d+", "N", line) for line in file.read().split("\n")]


def test_lines_are_whole_clean_and_told_apart() -> None:
    one, two = TaskName(number=1, title="[1/2] RUN a"), TaskName(number=2, title="[2/2] RUN b\x1b[31m")

    def act(plain: Plain) -> None:
        plain.started(one)
        plain.started(two)
        plain.printed(one, b"half")
        plain.printed(two, b"10%\r99%\r\n\ttab\x1b[0m\n")
        plain.printed(one, b" line\nrest")
        plain.done(one)
        plain.failed(two, "because")

    assert written(act) == [
        "#1 [1/2] RUN a",
        "#2 [2/2] RUN b\\x1b[31m",
        "#2 N 99%",
        "#2 N         tab\\x1b[0m",
        "#1 N half line",
        "#1 N rest",
        "#1 DONE Ns",
        "",
        "#2 ERROR: because",
        "",
        "",
    ]


def test_a_step_that_was_known_needs_no_beginning() -> None:
    task = TaskName(number=3, title="[3/3] COPY a b")
    assert written(lambda plain: plain.done(task, "CACHED")) == ["#3 [3/3] COPY a b", "#3 CACHED", "", ""]
