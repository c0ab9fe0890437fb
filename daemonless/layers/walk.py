"""Walk a directory tree by descriptors: in order, without following links, to any depth.

Containers make trees deeper than a stack or a table of descriptors, and change them meanwhile.
"""

from __future__ import annotations

import os

from daemonless.errors import DaemonlessError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_OPEN = 128  # directories held open at once


class _Directory:
    """A directory that is being walked through."""

    __slots__ = ("fd", "identity", "path", "pending")

    def __init__(self, fd: int, path: bytes) -> None:
        status = os.fstat(fd)
        self.fd = fd
        self.path = path
        self.identity = (status.st_dev, status.st_ino)
        self.pending = sorted(map(os.fsencode, os.listdir(fd)), reverse=True)


def walk(fd: int, visit: Callable[[int, bytes, bytes], int], path: bytes = b"") -> None:
    """Call `visit(directory, name, path)` for everything below the directory `fd`, sorted by name.

    `visit` returns a descriptor of the entry, opened with OPEN_DIRECTORY, to have its content
    visited next, or -1. Paths are relative to `fd`, with `path` in front. Takes over `fd`. Raises
    what `visit` raises, and DaemonlessError if a directory is moved under its walker.
    """
    stack = [_Directory(fd, path)]
    try:
        while stack:
            current = stack[-1]
            if not current.pending:
                _leave(stack)
                continue
            name = current.pending.pop()
            inner = current.path + b"/" + name if current.path else name
            fd = visit(current.fd, name, inner)
            if fd >= 0:
                stack.append(_Directory(fd, inner))
                if len(stack) > _MAX_OPEN:
                    _suspend(stack[-_MAX_OPEN - 1])
    finally:
        for directory in stack:
            _suspend(directory)


def _suspend(directory: _Directory) -> None:
    """Close a directory; it is opened again from below."""
    if directory.fd >= 0:
        os.close(directory.fd)
        directory.fd = -1


def _leave(stack: list[_Directory]) -> None:
    """Close the last directory, after opening its parent again if that was closed for its depth."""
    done = stack.pop()
    try:
        if stack and stack[-1].fd < 0:
            parent = stack[-1]
            fd = os.open("..", OPEN_DIRECTORY, dir_fd=done.fd)
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) != parent.identity:
                os.close(fd)
                raise DaemonlessError(f"{printable(done.path)} was moved while it was being read")
            parent.fd = fd
    finally:
        os.close(done.fd)
