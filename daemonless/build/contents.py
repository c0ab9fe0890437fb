"""The content of one file: opened, made and copied by descriptor, for COPY."""

from __future__ import annotations

import os

from daemonless.build.trees import OPEN_FILE, open_directory, unreadable
from daemonless.errors import Conflict, DaemonlessError, printable
from daemonless.files import write_all
from daemonless.isolation.copying import next_data

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from daemonless.build.selection import Directory

    _Made = TypeVar("_Made")

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SMALL = 1 << 16  # bytes that are read at once; a larger file is copied by the kernel
_PIECE = 1 << 24  # bytes the kernel is asked to copy at once
_EXDEV, _EINVAL, _ENOSYS, _EOPNOTSUPP, _EBADF = 18, 22, 38, 95, 9
_NO_COPY = frozenset((_EXDEV, _EINVAL, _ENOSYS, _EOPNOTSUPP, _EBADF))  # copy_file_range(2) cannot here


def open_source(tree_fd: int, directory: Directory) -> int:
    """Open a directory of the selection (O_PATH)."""
    try:
        return open_directory(tree_fd, directory.source)
    except PermissionError as error:
        raise unreadable(directory.source, error) from None
    except OSError:
        raise DaemonlessError(
            f"{printable(directory.source)} was replaced during the build", "run the build again"
        ) from None


def open_file(dir_fd: int, directory: Directory, name: str) -> int:
    """Open a file of a directory to be read, whatever it has become."""
    try:
        return os.open(name, OPEN_FILE, dir_fd=dir_fd)
    except PermissionError as error:
        raise unreadable(directory.path_of(name), error) from None
    except OSError:
        raise replaced(directory, name) from None


def create(dir_fd: int, name: str | bytes, mode: int) -> int:
    """Open a new file for writing, in the place of what is there. Raises as `put`."""
    return put(dir_fd, name, lambda: os.open(name, _NEW, mode, dir_fd=dir_fd))


def put(dir_fd: int, name: str | bytes, make: Callable[[], _Made]) -> _Made:
    """Have `make` make the file or link of that name, in the place of what is there.

    Raises Conflict if that is a directory, and what `make` raises but FileExistsError.
    """
    try:
        return make()
    except FileExistsError:
        _make_room(dir_fd, name)
        return make()


def _make_room(dir_fd: int, name: str | bytes) -> None:
    try:
        os.unlink(name, dir_fd=dir_fd)
    except IsADirectoryError:
        raise Conflict(f"a file cannot take the place of the directory {printable(name)}") from None


def copy_content(reader: int, writer: int, expected: os.stat_result) -> os.stat_result:
    """Copy a file that had this status when it was selected; return the one that it has now."""
    size = expected.st_size
    if size <= _SMALL:
        data = os.read(reader, size) if size else b""
        write_all(writer, data)
        if len(data) < size:
            copy_data(reader, writer, size, len(data))
    else:
        copy_sparse(reader, writer, size, dense=expected.st_blocks * 512 >= size)
    return os.fstat(reader)


def copy_sparse(reader: int, writer: int, size: int, *, dense: bool) -> None:
    """Copy `size` bytes, and leave out the holes if there are any."""
    if dense:
        copy_data(reader, writer, size, 0)
        return
    position = 0
    while position < size:
        position, end = next_data(reader, position, size)
        if position < end:
            position = copy_data(reader, writer, end, position)
            if position < end:
                break  # it has shrunk
    os.ftruncate(writer, size)


def copy_data(reader: int, writer: int, end: int, position: int) -> int:
    """Copy from `position` up to `end`, or to where the file ends now; return how far it went.

    Where both are on one file system that can share blocks, none are copied (copy_file_range(2)).
    """
    by_range = True
    while position < end:
        count = min(end - position, _PIECE)
        if by_range:
            try:
                done = os.copy_file_range(reader, writer, count, position, position)
            except OSError as error:
                if error.errno not in _NO_COPY:
                    raise
                by_range = False
                os.lseek(writer, position, os.SEEK_SET)
                continue
        else:
            done = os.sendfile(writer, reader, position, count)
        if not done:
            break
        position += done
    return position


def replaced(directory: Directory, name: str) -> DaemonlessError:
    """Return the error of a file that has become something else."""
    return DaemonlessError(
        f"{printable(directory.path_of(name))} was replaced during the build", "run the build again"
    )
