"""The directory a layer is unpacked into: parents found and made, earlier members replaced.

A parent is looked up inside the layer's root (openat2(2), RESOLVE_IN_ROOT), where absolute links
mean "from the layer's root"; what is created or replaced is one component in a directory that is
open, never followed.
"""

from __future__ import annotations

import os
import stat

from daemonless.errors import InvalidData, printable
from daemonless.files import open_in_root
from daemonless.layers import whiteout, xattrs

OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_IMPLIED_MODE = 0o755  # of directories that have no member of their own
_MAX_OPEN = 128  # descriptors of directories kept


class Tree:
    """A layer's directory while members are added to it.

    Descriptors of parents are kept by path: what a path leads to changes only when a directory
    or a link is replaced, and then they are all dropped. They stay open until `tidy`, which is
    called between two members.
    """

    def __init__(self, root_fd: int, attic_fd: int) -> None:
        self.root_fd = os.open(".", OPEN_DIRECTORY, dir_fd=root_fd)
        self._attic_fd = attic_fd
        self._replaced = 0
        self._open: dict[bytes, int] = {b"": self.root_fd}
        self._stale: list[int] = []
        xattrs.remove_default_acl(self.root_fd)
        os.fchmod(self.root_fd, _IMPLIED_MODE)

    def close(self) -> None:
        """Close all descriptors."""
        self._stale.extend(self._open.values())
        self._open = {}
        self.tidy()

    def tidy(self) -> None:
        """Close what the member before was the last to use."""
        if self._stale:
            for fd in self._stale:
                os.close(fd)
            self._stale.clear()

    def directory(self, path: bytes) -> int:
        """Return a descriptor of the directory `path`, made with its parents if it is missing.

        Raises InvalidData if something else is in the way.
        """
        fd = self._open.get(path)
        if fd is not None:
            return fd
        flags = os.O_PATH | os.O_DIRECTORY
        try:
            fd = open_in_root(self.root_fd, path, flags)
        except (FileNotFoundError, NotADirectoryError):
            self._make_directories(path)
            fd = open_in_root(self.root_fd, path, flags)
        self.keep(path, fd)
        return fd

    def existing_directory(self, path: bytes) -> int:
        """Return a descriptor of the directory `path`; raises OSError if there is none."""
        fd = self._open.get(path)
        if fd is None:
            fd = open_in_root(self.root_fd, path, os.O_PATH | os.O_DIRECTORY)
            self.keep(path, fd)
        return fd

    def keep(self, path: bytes, fd: int) -> None:
        """Take over a descriptor of the directory `path`."""
        if path in self._open:
            self._stale.append(fd)
            return
        if len(self._open) >= _MAX_OPEN:
            self._forget()
        self._open[path] = fd

    def make_directory(self, dir_fd: int, name: bytes, mode: int) -> None:
        """Create a directory; a whiteout there becomes the mark that it hides the lower one.

        Raises FileExistsError for anything else of that name.
        """
        try:
            os.mkdir(name, mode, dir_fd=dir_fd)
        except FileExistsError:
            if not whiteout.is_whiteout(os.lstat(name, dir_fd=dir_fd)):
                raise
            os.unlink(name, dir_fd=dir_fd)
            os.mkdir(name, mode, dir_fd=dir_fd)
            self.make_opaque(dir_fd, name)

    def make_opaque(self, dir_fd: int, name: bytes) -> None:
        """Make the directory `name` hide what the lower layers have in it."""
        fd = os.open(name, OPEN_DIRECTORY, dir_fd=dir_fd)
        try:
            whiteout.make_opaque(fd)
        finally:
            os.close(fd)

    def make_room(self, dir_fd: int, name: bytes) -> None:
        """Take away what an earlier member put at `name`: the last one wins.

        A directory goes to the attic as it is. Raises FileNotFoundError if there is nothing.
        """
        mode = os.lstat(name, dir_fd=dir_fd).st_mode
        if stat.S_ISDIR(mode):
            os.rename(name, b"%d" % self._replaced, src_dir_fd=dir_fd, dst_dir_fd=self._attic_fd)
            self._replaced += 1
        else:
            os.unlink(name, dir_fd=dir_fd)
        if stat.S_ISDIR(mode) or stat.S_ISLNK(mode):
            self._forget()

    def _forget(self) -> None:
        root_fd = self._open.pop(b"")
        self._stale.extend(self._open.values())
        self._open = {b"": root_fd}

    def _make_directories(self, path: bytes) -> None:
        fd = os.dup(self.root_fd)
        done = b""
        try:
            for name in path.split(b"/"):
                done += (b"/" if done else b"") + name
                try:
                    following = open_in_root(self.root_fd, done, os.O_PATH | os.O_DIRECTORY)
                except (FileNotFoundError, NotADirectoryError):
                    self.make_directory(fd, name, _IMPLIED_MODE)
                    following = os.open(name, OPEN_DIRECTORY, dir_fd=fd)
                os.close(fd)
                fd = following
        except FileExistsError:
            raise InvalidData(f"{printable(done)} is not a directory, nor a link to one") from None
        finally:
            os.close(fd)
