"""What is to be done with the result of a build: a task like those of the stages, after them."""

from __future__ import annotations

from daemonless.build.report import TaskName
from daemonless.build.scheduling import Job, Scheduler
from daemonless.errors import DaemonlessError
from daemonless.isolation.task import Task, fork_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from daemonless.build.report import Report


def perform(report: Report, task: TaskName, work: Callable[[], Any]) -> Any:
    """Do `work` in a process of its own, and report on it; return or raise what it does, a JSON value."""
    results = []

    def routine() -> Generator[Job | int, Any, None]:
        report.started(task)
        try:
            result = yield Job(
                start=lambda output: Task(work, fork_plain), output=lambda data: report.printed(task, data)
            )
        except DaemonlessError as error:
            report.failed(task, error.message)
            raise
        results.append(result)
        report.done(task)

    report.planned(1)
    Scheduler(1, report.tick).run({0: routine()})
    return results[0]
