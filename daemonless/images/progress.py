"""What a person sees of a pull or a push, on stderr: bars on a terminal, a few lines elsewhere, or nothing.

Whatever moves blobs reports through `Progress` and knows nothing of the form. On a terminal there
is a bar for each blob that is on its way and one for all; a blob that has arrived leaves the line
that a log would have. `rich` is imported here only, and only for a terminal.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from types import TracebackType

from daemonless.oci.digest import Digest
from daemonless.structural import Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SECONDS_BETWEEN_LINES = 15.0  # about a blob that takes long, where there are no bars
_BAR_WIDTH = 30  # columns
_WIDE = 76  # columns from which on all is shown, and
_NARROW = 50  # below which there is neither a bar nor a rate


class Progress(Protocol):
    """Where it is reported to; `advance` is called by several threads."""

    def add(self, digest: Digest, size: int) -> None:
        """Announce a blob of `size` bytes; to do so again changes nothing."""

    def advance(self, digest: Digest, count: int) -> None:
        """Tell that `count` bytes more have passed."""

    def finish(self, digest: Digest, note: str) -> None:
        """Tell that a blob is where it should be: "done", or why it had not to be moved."""

    def __enter__(self) -> object:
        """Begin to show."""

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it should stay."""


class Silent:
    """Shows nothing."""

    def add(self, digest: Digest, size: int) -> None:
        """Ignore it."""

    def advance(self, digest: Digest, count: int) -> None:
        """Ignore it."""

    def finish(self, digest: Digest, note: str) -> None:
        """Ignore it."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to undo."""


class Lines:
    """A line at the beginning, one for each blob that is done, and some for those that take long."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._lock = threading.Lock()
        self._sizes: dict[Digest, int] = {}
        self._passed: dict[Digest, int] = {}
        self._told: dict[Digest, float] = {}  # when there was a word about a blob

    def add(self, digest: Digest, size: int) -> None:
        """Remember the size for the lines to come."""
        self._sizes[digest] = size

    def advance(self, digest: Digest, count: int) -> None:
        """Print a line if there was none about this blob for a while."""
        now = time.monotonic()
        with self._lock:
            begun = self._told.setdefault(digest, now)
            passed = self._passed[digest] = self._passed.get(digest, 0) + count
            if now - begun < SECONDS_BETWEEN_LINES:
                return
            self._told[digest] = now
        _print(f"Layer {digest.short}: {_megabytes(passed)} of {_megabytes(self._sizes.get(digest, 0))} MB")

    def finish(self, digest: Digest, note: str) -> None:
        """Print the blob's last line."""
        _print(last_line(digest, self._sizes.get(digest, 0), note))

    def __enter__(self) -> Lines:
        _print(self._title)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to undo."""


class Bars:
    """A bar for each blob that is on its way, one for all, and lines of those that are done."""

    def __init__(self, title: str) -> None:
        # late: 40 ms, and only a terminal needs it
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import Progress as Display  # noqa: PLC0415
        from rich.progress import TaskID  # noqa: PLC0415

        self._title = title
        self._lock = threading.Lock()
        self._sizes: dict[Digest, int] = {}
        self._tasks: dict[Digest, TaskID] = {}
        self._finished: set[Digest] = set()
        console = Console(stderr=True)
        self._display = Display(
            *_columns(console.width), console=console, refresh_per_second=8, transient=True, expand=False
        )
        self._all = self._display.add_task("all", total=0, visible=False)

    def add(self, digest: Digest, size: int) -> None:
        """Add to what is to come."""
        with self._lock:
            if digest not in self._sizes:
                self._sizes[digest] = size
                self._display.update(self._all, total=sum(self._sizes.values()))

    def advance(self, digest: Digest, count: int) -> None:
        """Move the bar, which appears with the first byte."""
        with self._lock:
            task = self._tasks.get(digest)
            if task is None:
                size = self._sizes.get(digest, 0)
                task = self._tasks[digest] = self._display.add_task(digest.short, total=size)
                self._display.update(self._all, visible=len(self._sizes) > 1)
        self._display.advance(task, count)
        self._display.advance(self._all, count)

    def finish(self, digest: Digest, note: str) -> None:
        """Put a line in the place of the bar."""
        with self._lock:
            size = self._sizes.get(digest, 0)
            task = self._tasks.pop(digest, None)
            if task is not None:
                self._display.remove_task(task)
            elif digest not in self._finished:  # it was not to be moved
                self._sizes[digest] = 0
                self._display.update(self._all, total=sum(self._sizes.values()))
            self._finished.add(digest)
        line = last_line(digest, size, note)
        self._display.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def __enter__(self) -> Bars:
        self._display.console.print(self._title, highlight=False, markup=False, soft_wrap=True)
        self._display.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._display.stop()


def _columns(width: int) -> list[Any]:
    """Return what a row has room for on a terminal of `width` columns."""
    from rich import progress  # noqa: PLC0415 - as above

    name = progress.TextColumn("{task.description}", markup=False)
    if width < _NARROW:
        return [name, progress.TaskProgressColumn()]
    bar = progress.BarColumn(bar_width=_BAR_WIDTH if width >= _WIDE + 12 else 12)
    rate, left = progress.TransferSpeedColumn(), progress.TimeRemainingColumn(compact=True)
    return [name, bar, *([progress.DownloadColumn()] if width >= _WIDE else []), rate, left]


def last_line(digest: Digest, size: int, note: str) -> str:
    """Return what stays of a blob: how large it is and what became of it."""
    return f"Layer {digest.short}: {_megabytes(size)} MB, {note}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}"


def _print(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def make_progress(name: str, *, quiet: bool, verb: str = "Pulling") -> Any:
    """Return the form that suits where stderr goes; `name` is the image that `verb` is done to."""
    if quiet:
        return Silent()
    title = f"{verb} {name}"
    if sys.stderr.isatty() and os.environ.get("TERM") not in (None, "", "dumb") and not os.environ.get("CI"):
        return Bars(title)
    return Lines(title)
