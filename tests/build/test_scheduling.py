"""Stages side by side: generators that wait for processes and for each other."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from typing import Any

import pytest

from daemonless.build.scheduling import Job, Scheduler
from daemonless.errors import DaemonlessError, NotFound
from daemonless.isolation.task import Task, fork_plain


def job(work: Any, printed: list[bytes] | None = None) -> Job:
    """Return a job whose process calls `work` with the descriptor to print to."""
    return Job(
        start=lambda fd: Task(lambda: work(fd), fork_plain),
        output=printed.append if printed is not None else lambda data: None,
    )


def test_a_job_gives_its_result_and_all_that_it_printed() -> None:
    printed: list[bytes] = []
    results = []

    def work(fd: int) -> int:
        for number in range(1000):
            os.write(fd, b"%03d\n" % number)
        return 7

    def stage() -> Generator[Job | int, Any, None]:
        results.append((yield job(work, printed)))

    Scheduler(2).run({0: stage()})
    assert results == [7]
    assert b"".join(printed) == b"".join(b"%03d\n" % number for number in range(1000))


def test_a_stage_waits_for_another_and_not_for_one_that_has_ended() -> None:
    order = []

    def first() -> Generator[Job | int, Any, None]:
        yield job(lambda fd: time.sleep(0.05))
        order.append("first")

    def second() -> Generator[Job | int, Any, None]:
        yield 0
        order.append("second")
        yield 0
        order.append("again")

    Scheduler(2).run({1: second(), 0: first()})
    assert order == ["first", "second", "again"]


@pytest.mark.parametrize(("limit", "most"), [(1, 1), (3, 3)])
def test_no_more_processes_than_allowed(limit: int, most: int) -> None:
    seen: list[int] = []
    running = 0

    def stage() -> Generator[Job | int, Any, None]:
        nonlocal running

        def start(fd: int) -> Task:
            nonlocal running
            running += 1
            seen.append(running)
            return Task(lambda: time.sleep(0.05), fork_plain)

        yield Job(start=start, output=lambda data: None)
        running -= 1

    Scheduler(limit).run({number: stage() for number in range(6)})
    assert max(seen) == most


def test_a_failure_is_thrown_into_its_stage_and_ends_the_others() -> None:
    told = []
    pids: list[int] = []

    def failing() -> Generator[Job | int, Any, None]:
        try:
            yield job(lambda fd: _raise(NotFound("nothing there", "look elsewhere")))
        except NotFound as error:
            told.append(error.hint)
            raise DaemonlessError("the stage failed", exit_status=3) from error

    def slow() -> Generator[Job | int, Any, None]:
        def start(fd: int) -> Task:
            task = Task(lambda: time.sleep(60), fork_plain)
            pids.append(task._pid)
            return task

        yield Job(start=start, output=lambda data: None)

    with pytest.raises(DaemonlessError, match="the stage failed") as caught:
        Scheduler(2).run({0: slow(), 1: failing()})
    assert caught.value.exit_status == 3
    assert told == ["look elsewhere"]
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_no_descriptor_is_left_open() -> None:
    before = len(os.listdir("/proc/self/fd"))

    def stage() -> Generator[Job | int, Any, None]:
        yield job(lambda fd: None)
        yield job(lambda fd: _raise(NotFound("gone")))

    with pytest.raises(NotFound):
        Scheduler(2).run({0: stage()})
    assert len(os.listdir("/proc/self/fd")) == before


def _raise(error: Exception) -> None:
    raise error
