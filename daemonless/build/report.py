"""What a build says of its progress while it goes on: the interface, plain lines, and silence.

Everything goes to stderr. Lines follow the form of BuildKit's plain progress, which people's tools
read: a number per step, then what it is, what it printed with the seconds since it began, and its end.
Whatever the form, the last lines of a step that failed are there to be read, once.
"""

from __future__ import annotations

from daemonless.build.loglines import LINE, Log, clean
from daemonless.errors import printable
from daemonless.files import write_all
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Protocol, Self

    class Report(Protocol):
        """Is told what happens; a context manager around the whole build."""

        is_for_people: bool  # and so may be told of pulls by others

        def __enter__(self) -> Self: ...

        def __exit__(
            self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
        ) -> None: ...

        def planned(self, count: int) -> None:
            """Be told how many tasks there are going to be."""

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

        def warn(self, text: str) -> None:
            """Be told what the user may have to change, one line."""

        def finished(self, image: str, names: list[str]) -> None:
            """Be told the id of the image that all of it has led to, and how it is called."""

        def tick(self) -> float:
            """Refresh what is shown; return seconds until the next time, or -1 for never."""


class TaskName(Record):
    """One thing that a build does."""

    number: int  # from 1 on, in the order in which they are planned
    title: str  # as "[build 2/5] RUN make"


class Quiet:
    """Says nothing, except what a step that failed has printed."""

    is_for_people = False

    def __init__(self, fd: int = 2) -> None:
        self._fd = fd
        self._logs: dict[int, Log] = {}  # of the tasks that are going on
        self._failure = b""  # to be printed at the end

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Print the last lines of the step that failed."""
        self._write(self._failure)

    def planned(self, count: int) -> None:
        """Say nothing."""

    def started(self, task: TaskName) -> None:
        """Begin to keep what it prints."""
        self._logs[task.number] = Log()

    def printed(self, task: TaskName, data: bytes) -> None:
        """Keep the last lines."""
        self._log(task).add(data)

    def done(self, task: TaskName, note: str = "") -> None:
        """Forget them."""
        self._logs.pop(task.number, None)

    def failed(self, task: TaskName, reason: str) -> None:
        """Have them printed at the end."""
        log = self._logs.pop(task.number, None)
        if log is not None:
            log.end()
            self._failure = last_lines(task, log)

    def say(self, text: str) -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        """Print it all the same."""
        self._write(f"Warning: {printable(text, LINE)}\n")

    def finished(self, image: str, names: list[str]) -> None:
        """Say nothing."""

    def tick(self) -> float:
        """Nothing to refresh."""
        return -1.0

    def _log(self, task: TaskName) -> Log:
        return self._logs.setdefault(task.number, Log())

    def _write(self, text: str | bytes) -> None:
        data = text.encode("utf-8", "backslashreplace") if isinstance(text, str) else text
        try:
            write_all(self._fd, data)
        except OSError:  # nobody reads it: the build goes on
            pass


class Plain(Quiet):
    """Prints lines as they come; those of steps that run side by side are told apart by their numbers."""

    is_for_people = True

    def __init__(self, fd: int = 2) -> None:
        super().__init__(fd)
        self._last = 0  # which task's line is the last one

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say of what was going on that it goes on no more, then what failed."""
        for number in self._logs:
            self._write(f"#{number} CANCELED\n\n")
        super().__exit__(kind, value, trace)

    def started(self, task: TaskName) -> None:
        """Print what the task is."""
        super().started(task)
        self._line(task, printable(task.title, LINE))

    def printed(self, task: TaskName, data: bytes) -> None:
        """Print the lines that are complete."""
        self._lines(task, self._log(task).add(data))

    def done(self, task: TaskName, note: str = "") -> None:
        """Print how long it took, or that it was not needed."""
        if task.number not in self._logs:
            self.started(task)
        log = self._log(task)
        self._lines(task, log.end())
        self._line(task, (note or f"DONE {log.seconds:.1f}s") + "\n")
        super().done(task, note)

    def failed(self, task: TaskName, reason: str) -> None:
        """Print why it failed; its last lines again only if there are others between them."""
        if task.number not in self._logs:  # its files are what it lacks
            self.started(task)
        known = self._last
        self._lines(task, self._log(task).end())
        super().failed(task, reason)
        if known == task.number:
            self._failure = b""
        self._line(task, f"ERROR: {reason}\n")

    def say(self, text: str) -> None:
        """Print a line."""
        self._write(f"{printable(text, LINE)}\n")

    def finished(self, image: str, names: list[str]) -> None:
        """Print the names, as the id is the command's result."""
        for name in names:
            self.say(f"Tagged {name}")

    def _lines(self, task: TaskName, lines: list[tuple[float, bytes]]) -> None:
        for seconds, line in lines:
            self._line(task, f"{seconds:.3f} {clean(line)}")

    def _line(self, task: TaskName, text: str) -> None:
        self._last = task.number
        self._write(f"#{task.number} {text}\n")


def last_lines(task: TaskName, log: Log) -> bytes:
    """Return the last lines of a step that failed, in a frame; nothing if there are none."""
    if not log.tail:
        return b""
    lines = "".join(f"{seconds:.3f} {text}\n" for seconds, text in log.tail)
    frame = "------"
    return f"{frame}\n > {printable(task.title)}:\n{lines}{frame}\n".encode("utf-8", "backslashreplace")
