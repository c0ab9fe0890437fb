"""How many bytes the files of directory trees have, whoever of the user's ids they belong to."""

from __future__ import annotations

import os

from daemonless.errors import DaemonlessError
from daemonless.isolation.task import mapped
from daemonless.isolation.userns import load_id_map
from daemonless.layers.walk import OPEN_DIRECTORY, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def sizes_of(trees: Mapping[str, str]) -> dict[str, int]:
    """Return the bytes of each tree, given and named by any key with its directory.

    A file with several names counts once. A tree that is gone is left out. All trees that hold
    directories which only subordinate ids may read together cost one child.
    """
    found: dict[str, int] = {}
    closed: dict[str, str] = {}
    for key, path in trees.items():
        try:
            found[key] = _size(path)
        except PermissionError:
            closed[key] = path
        except (DaemonlessError, OSError):
            continue
    if closed:
        with mapped(lambda: _readable(closed), load_id_map(os.getuid(), os.getgid())) as task:
            found.update(task.wait())
    return found


def _readable(trees: Mapping[str, str]) -> dict[str, int]:
    found = {}
    for key, path in trees.items():
        try:
            found[key] = _size(path)
        except (DaemonlessError, OSError):
            continue
    return found


def _size(path: str) -> int:
    """Return the bytes of the files below a directory of ours; raises OSError."""
    seen = set()
    total = 0

    def visit(dir_fd: int, name: bytes, path: bytes) -> int:
        nonlocal total
        try:
            status = os.lstat(name, dir_fd=dir_fd)
            if status.st_mode & 0o170000 == 0o040000:
                return os.open(name, OPEN_DIRECTORY, dir_fd=dir_fd)
        except (FileNotFoundError, NotADirectoryError):
            return -1  # it changes while it is read
        if status.st_nlink > 1:
            if status.st_ino in seen:
                return -1
            seen.add(status.st_ino)
        total += status.st_size
        return -1

    walk(os.open(path, OPEN_DIRECTORY), visit)
    return total
