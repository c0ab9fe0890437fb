"""What a person sees of a pull, on stderr: bars on a terminal, a few lines elsewhere, or nothing.

The pull reports through `Progress` and knows nothing of the form. `rich` is imported here only,
and only for a terminal.
"""

from __future__ import annotations

import os
import sys
import threading
from types import TracebackType
from typing import Any, Protocol

from daemonless.oci.digest import Digest


class Progress(Protocol):
    """Where a pull reports to; `advance` is called by several threads."""

    def add(self, digest: Digest, size: int) -> None:
        """Announce a layer of `size` bytes."""

    def advance(self, digest: Digest, count: int) -> None:
        """Tell that `count` bytes more have arrived."""

    def finish(self, digest: Digest, note: str) -> None:
        """Tell that a layer is here: "done", or "already here" if it was before."""

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


class Lines(Silent):
    """One line when the pull begins and one for each layer, for logs and pipes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._sizes: dict[Digest, int] = {}

    def add(self, digest: Digest, size: int) -> None:
        """Remember the size for the line to come."""
        self._sizes[digest] = size

    def finish(self, digest: Digest, note: str) -> None:
        """Print the layer's line."""
        size = self._sizes.get(digest, 0) / 1e6
        sys.stderr.write(f"Layer {digest.short}: {size:.1f} MB, {note}\n")
        sys.stderr.flush()

    def __enter__(self) -> Lines:
        sys.stderr.write(f"Pulling {self._name}\n")
        sys.stderr.flush()
        return self


class Bars:
    """A bar for each layer, on a terminal."""

    def __init__(self, name: str) -> None:
        # late: 40 ms, and only a terminal needs it
        from rich import progress  # noqa: PLC0415
        from rich.console import Console  # noqa: PLC0415

        self._name = name
        self._lock = threading.Lock()
        self._tasks: dict[Digest, progress.TaskID] = {}
        self._bars = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=30),
            progress.DownloadColumn(),
            progress.TransferSpeedColumn(),
            progress.TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            refresh_per_second=8,
        )

    def add(self, digest: Digest, size: int) -> None:
        """Show a bar."""
        with self._lock:
            if digest not in self._tasks:
                self._tasks[digest] = self._bars.add_task(digest.short, total=size, note="")

    def advance(self, digest: Digest, count: int) -> None:
        """Move the bar."""
        self._bars.advance(self._tasks[digest], count)

    def finish(self, digest: Digest, note: str) -> None:
        """Fill the bar and say why it is full."""
        task = self._tasks[digest]
        total = self._bars.tasks[task].total
        self._bars.update(task, completed=total, note="" if note == "done" else note)

    def __enter__(self) -> Bars:
        self._bars.console.print(f"Pulling {self._name}", highlight=False, markup=False)
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()


def make_progress(name: str, *, quiet: bool) -> Any:
    """Return the form that suits where stderr goes; `name` is the reference being pulled."""
    if quiet:
        return Silent()
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("CI"):
        return Bars(name)
    return Lines(name)
