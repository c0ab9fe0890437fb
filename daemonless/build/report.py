"""What a build says of its progress while it goes on: the interface, and plain lines.

Everything goes to stderr. Lines follow the form of BuildKit's plain progress, which people's tools
read: a number per step, then what it is, what it printed with the seconds since it began, and its end.
"""

from __future__ import annotations

import os
import time

from daemonless.errors import printable
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Protocol, Self

    class Report(Protocol):
        """Is told what happens; a context manager around the whole build."""

        def __enter__(self) -> Self: ...

        def __exit__(
            self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
        ) -> None: ...

        def started(self, task: TaskName) -> None:
            """Be told that a task begins."""

        def printed(self, task: TaskName, data: bytes) -> None:
            """Be given what a task's command has printed; any bytes, in pieces of any size."""

        def done(self, task: TaskName, note: str = "") -> None:
            """Be told that a task has ended well; `note` is CACHED for one whose result was known."""

        def failed(self, task: TaskName, reason: str) -> None:
            """Be told that a task has failed."""

        def say(self, text: str) -> None:
            """Be told something that concerns no task, one line."""

        def tick(self) -> float:
            """Refresh what is shown; return seconds until the next time, or -1 for never."""


# of a command that failed
_LAST_LINES = 10
_TAIL = 8192  # bytes


class TaskName(Record):
    """One thing that a build does."""

    number: int  # from 1 on, in the order in which they are planned
    title: str  # as "[build 2/5] RUN make"


class Quiet:
    """Says nothing, unless a command fails: then the last lines that it printed."""

    def __init__(self, fd: int = 2) -> None:
        self._fd = fd
        self._tails: dict[int, bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to undo."""

    def started(self, task: TaskName) -> None:
        """Say nothing."""

    def printed(self, task: TaskName, data: bytes) -> None:
        """Keep the end of it."""
        self._tails[task.number] = (self._tails.get(task.number, b"") + data)[-_TAIL:]

    def done(self, task: TaskName, note: str = "") -> None:
        """Forget what it printed."""
        self._tails.pop(task.number, None)

    def failed(self, task: TaskName, reason: str) -> None:
        """Print the last lines of its command."""
        lines = self._tails.pop(task.number, b"").splitlines()[-_LAST_LINES:]
        text = "".join(f"{printable(line.expandtabs(), 4000)}\n" for line in lines)
        self._write_raw(text.encode("utf-8", "backslashreplace"))

    def say(self, text: str) -> None:
        """Say nothing."""

    def tick(self) -> float:
        """Nothing to refresh."""
        return -1.0

    def _write_raw(self, data: bytes) -> None:
        try:
            os.write(self._fd, data)
        except OSError:  # nobody reads it: the build goes on
            pass


class Plain(Quiet):
    """Prints lines as they come; those of steps that run side by side are told apart by their numbers."""

    def __init__(self, fd: int = 2) -> None:
        super().__init__(fd)
        self._begun: dict[int, float] = {}
        self._rest: dict[int, bytes] = {}  # the beginning of a line that has not ended yet
        self._last = 0

    def started(self, task: TaskName) -> None:
        """Print what the task is."""
        self._begun[task.number] = time.monotonic()
        self._write(task, printable(task.title, 2000))

    def printed(self, task: TaskName, data: bytes) -> None:
        """Print the lines that are complete."""
        lines = (self._rest.pop(task.number, b"") + data).split(b"\n")
        if lines[-1]:
            self._rest[task.number] = lines[-1]
        for line in lines[:-1]:
            self._line(task, line)

    def done(self, task: TaskName, note: str = "") -> None:
        """Print how long it took, or that it was not needed."""
        self._flush(task)
        if task.number not in self._begun:
            self.started(task)
        self._write(task, note or f"DONE {self._seconds(task):.1f}s")
        self._write_raw(b"\n")

    def failed(self, task: TaskName, reason: str) -> None:
        """Print why it failed."""
        self._flush(task)
        self._write(task, f"ERROR: {reason}")
        self._write_raw(b"\n")

    def say(self, text: str) -> None:
        """Print a line."""
        self._write_raw(f"{text}\n".encode("utf-8", "backslashreplace"))

    def _seconds(self, task: TaskName) -> float:
        return time.monotonic() - self._begun[task.number]

    def _flush(self, task: TaskName) -> None:
        rest = self._rest.pop(task.number, b"")
        if rest:
            self._line(task, rest)

    def _line(self, task: TaskName, line: bytes) -> None:
        text = line.rstrip(b"\r").rpartition(b"\r")[2]  # of a progress bar only what it ended with
        self._write(task, f"{self._seconds(task):.3f} {printable(text.expandtabs(), 4000)}")

    def _write(self, task: TaskName, text: str) -> None:
        self._write_raw(f"#{task.number} {text}\n".encode("utf-8", "backslashreplace"))
