"""What the top layer of an overlay changes in those below: added, changed and deleted paths.

One pass over the top layer as it lies on the disk, where whiteouts stand for what is gone and
directories that hide those below are marked opaque (daemonless.layers.whiteout). As with docker
and podman, a file in the layer counts as changed whatever was done to it, a directory if its
owner, mode or time differ, or if something below it changed.
"""

from __future__ import annotations

import os
import stat

from daemonless.files import open_beneath
from daemonless.layers import whiteout
from daemonless.layers.walk import OPEN_DIRECTORY, walk

ADDED, CHANGED, DELETED = "A", "C", "D"


def find_changes(top_fd: int, below_fd: int, debris: frozenset[bytes] = frozenset()) -> list[tuple[str, str]]:
    """Return (kind, absolute path) of all changes, sorted, each directory before what is in it.

    `below_fd` is the merged view of the layers below, or -1 if there are none; `debris` are paths
    that are no changes (see `left_by_mounts`).
    """
    found = _Changes(below_fd, debris)
    fd = os.open(".", OPEN_DIRECTORY, dir_fd=top_fd)
    if whiteout.is_opaque(fd):
        found.add_hidden(fd, b"")
    walk(fd, found.visit)
    return found.result()


def left_by_mounts(top_fd: int, below_fd: int, mount_points: list[str]) -> frozenset[bytes]:
    """Return those of the mount points, and of their parents, that are in the layer for mounts alone.

    They are new and empty, and as a runtime makes them: owned by root, with no permission beyond
    the usual. Or they are directories of the layers below in which only such things were made.
    """
    candidates = set()
    for point in mount_points:
        path = os.fsencode(point).strip(b"/")
        while path:
            candidates.add(path)
            path = path.rpartition(b"/")[0]
    found: set[bytes] = set()
    for path in sorted(candidates, key=lambda path: -path.count(b"/")):
        status = lookup(top_fd, path)
        if status is None:
            continue
        below = lookup(below_fd, path)
        if stat.S_ISDIR(status.st_mode):
            expected = _identity(below) if below else (stat.S_IFDIR | status.st_mode & 0o755, 0, 0)
            is_debris = _holds_only(top_fd, path, found, merged=below is not None)
        else:
            expected = (stat.S_IFREG | status.st_mode & 0o644, 0, 0)
            is_debris = below is None and status.st_size == 0
        if is_debris and _identity(status) == expected:
            found.add(path)
    return frozenset(found)


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_mode, status.st_uid, status.st_gid


def _holds_only(root_fd: int, path: bytes, known: set[bytes], *, merged: bool) -> bool:
    """Return whether all that a directory holds is known, and one to be merged hides nothing."""
    fd = open_beneath(root_fd, path, OPEN_DIRECTORY)
    try:
        names = os.listdir(fd)
        if merged and whiteout.is_opaque(fd):
            return False
        return all(path + b"/" + os.fsencode(name) in known for name in names)
    finally:
        os.close(fd)


def lookup(root_fd: int, path: bytes) -> os.stat_result | None:
    """Return the status of a path below `root_fd` (-1: nothing is), no link in it being followed."""
    if root_fd < 0:
        return None
    parent, _, name = path.rpartition(b"/")
    try:
        fd = open_beneath(root_fd, parent or b".", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # missing, no directory, a link, longer than any layer's paths
        return None
    try:
        return os.lstat(name, dir_fd=fd)
    except OSError:
        return None
    finally:
        os.close(fd)


class _Changes:
    """The changes found so far, by relative path."""

    def __init__(self, below_fd: int, debris: frozenset[bytes]) -> None:
        self._below_fd = below_fd
        self._debris = debris
        self._touched = {path.rpartition(b"/")[0] for path in debris}  # directories with a new time for that
        self._kinds: dict[bytes, str] = {}

    def visit(self, dir_fd: int, name: bytes, path: bytes) -> int:
        """Note what one entry of the top layer means; return a descriptor to go into a directory."""
        if path in self._debris:
            return -1
        try:
            status = os.lstat(name, dir_fd=dir_fd)
            below = lookup(self._below_fd, path)
            if whiteout.is_whiteout(status):
                if below is not None:
                    self._kinds[path] = DELETED
                return -1
            fd = -1
            if stat.S_ISDIR(status.st_mode):
                fd = os.open(name, OPEN_DIRECTORY, dir_fd=dir_fd)
        except (FileNotFoundError, NotADirectoryError):
            return -1  # the container runs, and has changed it meanwhile
        if below is None:
            self._kinds[path] = ADDED
        elif not (stat.S_ISDIR(below.st_mode) and fd >= 0):
            self._kinds[path] = CHANGED
            if stat.S_ISDIR(below.st_mode):
                self.add_hidden(fd, path)
        else:
            if self._differs(path, status, below):
                self._kinds[path] = CHANGED
            if whiteout.is_opaque(fd):
                self.add_hidden(fd, path)
        return fd

    def add_hidden(self, fd: int, path: bytes) -> None:
        """Note what the directory below loses by what the top layer has at `path`: `fd`, if a directory."""
        try:
            below_fd = open_beneath(self._below_fd, path or b".", OPEN_DIRECTORY)
        except OSError:  # there is none
            return
        try:
            gone = set(os.listdir(below_fd)) - set(os.listdir(fd) if fd >= 0 else ())
        finally:
            os.close(below_fd)
        for name in gone:
            self._kinds[(path + b"/" if path else b"") + os.fsencode(name)] = DELETED

    def _differs(self, path: bytes, status: os.stat_result, below: os.stat_result) -> bool:
        if _identity(status) != _identity(below):
            return True
        return status.st_mtime_ns != below.st_mtime_ns and path not in self._touched

    def result(self) -> list[tuple[str, str]]:
        for path in list(self._kinds):
            while path := path.rpartition(b"/")[0]:
                self._kinds.setdefault(path, CHANGED)
        ordered = sorted(self._kinds, key=lambda path: path.split(b"/"))
        return [(self._kinds[path], "/" + os.fsdecode(path)) for path in ordered]
