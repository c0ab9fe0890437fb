"""What COPY and ADD read: a build context, or the files of a stage or an image.

Their content is foreign. A path is resolved inside the tree's root, as a process in it would
(`resolve`); the result has no link in it and is opened as such, and what is in a directory is
opened by name in that directory, never through a link.
"""

from __future__ import annotations

import os

from daemonless.errors import Conflict, DaemonlessError, UsageError, printable
from daemonless.files import open_beneath
from daemonless.layers.names import MAX_COMPONENT, MAX_NAME
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.dockerfile.ignore import IgnoreMatcher

OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PATH_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC  # waits for no FIFO
_MAX_LINKS = 40  # as path_resolution(7)
_MAX_COMPONENTS = 4096


class Tree(Record):
    """A directory that files are copied from."""

    fd: int  # O_PATH | O_DIRECTORY descriptor of its root
    ignore: IgnoreMatcher | None = None
    owners: bool = False  # whether owners of files count (a stage or image) or are made 0:0 (a context)
    name: str = "the context"  # in messages: "no such file in NAME"
    file: str = ""  # of a tree that was fetched for one file: what it is called
    identity: str = ""  # of a tree that was fetched: what stands for all its content

    def hides(self, path: str) -> bool:
        """Return whether .dockerignore leaves out the file or directory `path` itself."""
        return self.ignore is not None and bool(path) and self.ignore.excludes(path)

    def may_show_below(self, path: str) -> bool:
        """Return whether something below the directory `path`, which is left out, may be in the tree."""
        return self.ignore is not None and self.ignore.may_reinclude_below(path)


def resolve(root_fd: int, path: str) -> str:
    """Return where `path` leads inside the root, relative to it and without links; "" is the root.

    What does not exist is taken as it is written, so the result may be made. Raises Conflict for a
    loop of links, UsageError for what is no path.
    """
    if "\0" in path:
        raise UsageError(f"{printable(path)!r} is no path: it has a NUL in it")
    done: list[str] = []
    todo = path.split("/")[::-1]
    links = 0
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            del done[-1:]
            continue
        target = read_link(root_fd, "/".join((*done, part)))
        if target is None:
            done.append(part)
            continue
        links += 1
        if links > _MAX_LINKS or len(todo) > _MAX_COMPONENTS:
            raise Conflict(f"{printable(path)} is a loop of links")
        if target.startswith("/"):
            done.clear()
        todo.extend(target.split("/")[::-1])
    resolved = "/".join(done)
    if len(os.fsencode(resolved)) >= MAX_NAME or any(len(os.fsencode(part)) > MAX_COMPONENT for part in done):
        raise UsageError(f"{printable(path, 60)!r} is longer than a path can be")
    return resolved


def read_link(root_fd: int, path: str) -> str | None:
    """Return what the link at `path` says; None if there is something else, or nothing."""
    try:
        fd = open_beneath(root_fd, os.fsencode(path), os.O_PATH | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        return os.fsdecode(os.readlink("", dir_fd=fd))
    except OSError:  # ENOENT: it is no link
        return None
    finally:
        os.close(fd)


def status(root_fd: int, path: str) -> os.stat_result | None:
    """Return the status of a resolved path, None if there is nothing."""
    try:
        fd = open_beneath(root_fd, os.fsencode(path) or b".", os.O_PATH | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise unreadable(path, error) from None
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


def open_directory(root_fd: int, path: str, flags: int = PATH_DIRECTORY) -> int:
    """Open the directory at a resolved path. Raises OSError."""
    return open_beneath(root_fd, os.fsencode(path) or b".", flags)


def list_directory(root_fd: int, path: str) -> list[tuple[str, os.stat_result]]:
    """Return name and status of all that is in a directory, sorted by name."""
    try:
        fd = open_directory(root_fd, path, OPEN_DIRECTORY)
    except PermissionError as error:
        raise unreadable(path, error) from None
    except OSError as error:
        raise DaemonlessError(f"{printable(path)} was replaced while it was being read") from error
    try:
        found = []
        with os.scandir(fd) as entries:
            for entry in entries:
                try:
                    found.append((entry.name, entry.stat(follow_symlinks=False)))
                except FileNotFoundError:
                    continue  # gone meanwhile, as a temporary file is
    except PermissionError as error:
        raise unreadable(path, error) from None
    finally:
        os.close(fd)
    found.sort()
    return found


def unreadable(path: str, error: OSError) -> DaemonlessError:
    """Return the error of a file that may not be read."""
    return DaemonlessError(
        f"cannot read {printable(path) or 'the directory'}: {error.strerror}",
        "make it readable, or leave it out with .dockerignore",
    )
