"""Reading the event log: every line once, oldest first, across the rotation of its file.

A writer appends to the file it has opened, and whoever finds it full renames it, so a line may
still come to the old file after the new one exists. The reader therefore keeps the old file open
and looks at it, too, until the next rotation. A line that no writer of ours can have written
whole - torn by a full disk, or not JSON - is passed over.
"""

from __future__ import annotations

import os
import select

from daemonless import jsonio, syscalls
from daemonless.errors import InvalidData
from daemonless.events import FILE_NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_CHUNK = 1 << 16
_LONGEST = 1 << 20  # bytes; a longer line is none of ours
_POLL_MS = 200  # without inotify
_TEXTS = ("time", "type", "action", "id")


class EventLog:
    """A position in the event log of one run directory."""

    def __init__(self, run: str, *, from_start: bool) -> None:
        self._path = f"{run}/{FILE_NAME}"
        self._files: list[_File] = []  # at most two: the one before and the current one
        self._watch = _watch(run)
        self._advance()
        if not from_start:
            for file in self._files:
                file.skip()

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield the events that were recorded since the last call."""
        advanced = True
        while advanced:
            for file in self._files:
                for line in file.lines():
                    event = _parse(line)
                    if event is not None:
                        yield event
            advanced = self._advance()

    def wait(self, milliseconds: int | None) -> None:
        """Return when there may be more to read, when nobody reads standard output any more, or in time."""
        poll = select.poll()
        poll.register(1, 0)  # a closed pipe shows without being asked for
        if self._watch >= 0:
            poll.register(self._watch, select.POLLIN)
        elif milliseconds is None or milliseconds > _POLL_MS:
            milliseconds = _POLL_MS
        ready = dict(poll.poll(milliseconds))
        if self._watch in ready:
            os.read(self._watch, _CHUNK)
        if ready.get(1, 0) & select.POLLERR:
            raise BrokenPipeError

    def close(self) -> None:
        """Give the descriptors back."""
        for file in self._files:
            file.close()
        if self._watch >= 0:
            os.close(self._watch)

    def _advance(self) -> bool:
        """Open the files that have come since the last time; return whether there are any.

        After two rotations between two reads the first of them lies where the old file was. More
        than that would be 4 MiB of events between two reads, and some of them are lost.
        """
        opened = list(self._files)
        current = _File.open(self._path)  # before the other one: it may become that meanwhile
        for file in (_File.open(f"{self._path}.1"), current):
            if file is None:
                continue
            if file.is_one_of(opened):
                file.close()
            else:
                opened.append(file)
        found = len(opened) > len(self._files)
        self._files = opened[-2:]
        for file in opened[:-2]:
            file.close()
        return found


class _File:
    """One file of the log, and how far it has been read."""

    def __init__(self, fd: int) -> None:
        status = os.fstat(fd)
        self.fd = fd
        self.identity = status.st_dev, status.st_ino
        self._rest = b""  # the beginning of a line whose end is not there yet

    @classmethod
    def open(cls, path: str) -> _File | None:
        """Open the file at a path, or return None if there is none."""
        try:
            return cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW))
        except FileNotFoundError:
            return None

    def is_one_of(self, files: list[_File]) -> bool:
        return any(self.identity == other.identity for other in files)

    def skip(self) -> None:
        os.lseek(self.fd, 0, os.SEEK_END)

    def lines(self) -> Iterator[bytes]:
        while part := os.read(self.fd, _CHUNK):
            *complete, self._rest = (self._rest + part).split(b"\n")
            self._rest = self._rest[-_LONGEST:]
            yield from complete

    def close(self) -> None:
        os.close(self.fd)


def _watch(run: str) -> int:
    """Return an inotify descriptor for the directory; -1 if the user has no more of them."""
    try:
        fd = syscalls.inotify_init()
    except OSError:
        return -1
    try:
        mask = syscalls.IN_MODIFY | syscalls.IN_CREATE | syscalls.IN_MOVED_TO
        syscalls.inotify_add_watch(fd, os.fsencode(run), mask)
    except OSError:
        os.close(fd)
        return -1
    return fd


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return the event of a line, the last one if it was appended to a torn one; None for others."""
    start = line.rfind(b'{"time":')
    if start < 0:
        return None
    try:
        event = jsonio.loads(line[start:], what="event", limit=_LONGEST)
    except InvalidData:
        return None
    if not isinstance(event, dict) or not all(isinstance(event.get(key), str) for key in _TEXTS):
        return None
    return event
