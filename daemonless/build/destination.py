"""The directories of a root filesystem that files are copied into."""

from __future__ import annotations

import os
import stat

from daemonless.build.trees import OPEN_DIRECTORY, PATH_DIRECTORY, open_directory, status
from daemonless.errors import Conflict, printable

_IMPLIED_MODE = 0o755


class Destination:
    """A root filesystem. Paths are resolved ones (`daemonless.build.trees.resolve`); the umask must be 0."""

    def __init__(self, root_fd: int, now_ns: int) -> None:
        """`now_ns` is the time of parents that are made."""
        self._root_fd = root_fd
        self._now_ns = now_ns

    def open_or_make(self, path: str, owner: tuple[int, int]) -> int:
        """Open the directory at `path`; if it is missing, it is made with its parents, for `owner`."""
        try:
            return open_directory(self._root_fd, path)
        except FileNotFoundError:
            pass
        except NotADirectoryError:
            raise self._in_the_way(path) from None
        fd = os.open(".", PATH_DIRECTORY, dir_fd=self._root_fd)
        try:
            for name in path.split("/"):
                try:
                    inner = os.open(name, PATH_DIRECTORY, dir_fd=fd)
                except FileNotFoundError:
                    inner = self._make_parent(fd, name, owner)
                os.close(fd)
                fd = inner
        except NotADirectoryError:
            os.close(fd)
            raise self._in_the_way(path) from None
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _make_parent(self, dir_fd: int, name: str, owner: tuple[int, int]) -> int:
        os.mkdir(name, _IMPLIED_MODE, dir_fd=dir_fd)
        fd = os.open(name, OPEN_DIRECTORY, dir_fd=dir_fd)
        try:
            os.fchown(fd, *owner)
            os.fchmod(fd, _IMPLIED_MODE)
            os.utime(fd, ns=(self._now_ns, self._now_ns))
        except BaseException:
            os.close(fd)
            raise
        return fd

    def make_directory(self, path: str) -> bool:
        """Make the directory at `path`, whose parent is there; return whether it was missing."""
        parent, _, name = path.rpartition("/")
        fd = open_directory(self._root_fd, parent)
        try:
            os.mkdir(name, 0o700, dir_fd=fd)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(name, dir_fd=fd).st_mode):
                raise Conflict(
                    f"a directory cannot take the place of /{printable(path)}, which is none",
                    "remove it in an earlier step, or copy to where it leads",
                ) from None
            return False
        finally:
            os.close(fd)
        return True

    def _in_the_way(self, path: str) -> Conflict:
        """Return the error of a path on which something is no directory."""
        known = ""
        for name in path.split("/"):
            known = f"{known}/{name}" if known else name
            found = status(self._root_fd, known)
            if found is not None and not stat.S_ISDIR(found.st_mode):
                break
        return Conflict(f"/{printable(known)} is not a directory")
