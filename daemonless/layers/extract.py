"""Put the members of a tar archive into a directory that is in use, as `cp` does.

What is there stays unless the archive has something of the same name: files and links are
replaced, directories merged, and a directory takes the place of anything else, or the other way
round, only if that is asked for. Parents are opened by the function the caller gives, so it
decides where links in the way may lead; the last component of a name is never followed. Device
nodes are left out.
"""

from __future__ import annotations

import os
import stat

from daemonless.errors import Conflict, InvalidData, printable
from daemonless.files import open_in_root
from daemonless.layers import trash, xattrs
from daemonless.layers.holes import write_content
from daemonless.layers.names import normalise
from daemonless.layers.omitted import Omissions
from daemonless.layers.tar_header import (
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    FIFO,
    HARD_LINK,
    REGULAR,
    SYMLINK,
    Entry,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from daemonless.layers.tar import TarReader

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OVER = os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PATH_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_IMPLIED_MODE = 0o755  # of directories that have no member of their own
_SMALLEST_HOLE = 4096  # bytes: a block of a file system
_HINT = "to replace one by the other: --overwrite"
_EBUSY, _EXDEV, _ENOTDIR, _ELOOP = 16, 18, 20, 40


class Extractor:
    """Adds members to a directory; `finish` gives directories their attributes.

    `open_parent` opens a directory (O_PATH) by its path, b"" being the top. `owner_of` returns whom
    a member is given to, None for who may not give away. `mode_mask` are the mode bits that are kept.
    With `overwrite` directories and other things replace each other. `keep_top` leaves the top's own
    attributes as they are, whatever the archive says of it.
    """

    def __init__(
        self,
        open_parent: Callable[[bytes], int],
        *,
        owner_of: Callable[[Entry], tuple[int, int] | None],
        mode_mask: int = 0o7777,
        overwrite: bool = False,
        keep_top: bool = True,
    ) -> None:
        self.omitted = Omissions()
        self.described: set[int] = set()  # inodes of the directories that the archive has members for
        self._open_parent = open_parent
        self._owner_of = owner_of
        self._mode_mask = mode_mask
        self._overwrite = overwrite
        self._keep_top = keep_top
        self._parent = (b"", -1)  # the directory used last, and a descriptor of it
        self._directories: list[tuple[bytes, Entry]] = []

    def add(self, path: bytes, entry: Entry, reader: TarReader) -> None:
        """Make `entry` at `path`; a hard link's `entry.link` is a path of this kind, too.

        Raises Conflict if a directory is in the way or missing, OSError.
        """
        path = normalise(path)
        if not path:
            self._add_top(entry)
            return
        dir_fd, name = self._place(path)
        kind = entry.kind
        if kind == DIRECTORY:
            self._make_directory(dir_fd, name, path, entry)
        elif kind == REGULAR:
            self._make_file(dir_fd, name, path, entry, reader)
        elif kind == SYMLINK:
            self._make_room(dir_fd, name, path)
            os.symlink(entry.link, name, dir_fd=dir_fd)
            self._finish_special(dir_fd, name, entry)
        elif kind == FIFO:
            self._make_room(dir_fd, name, path)
            os.mkfifo(name, entry.mode & 0o777, dir_fd=dir_fd)
            self._finish_special(dir_fd, name, entry)
        elif kind == HARD_LINK:
            self._link(dir_fd, name, path, entry)
        elif kind in (CHARACTER, BLOCK_DEVICE):
            self.omitted.add("device nodes were left out", path)

    def finish(self) -> None:
        """Give directories their attributes, the deepest first: nothing more is put into them."""
        for path, entry in reversed(self._directories):
            dir_fd, name = self._place(path)
            try:
                fd = os.open(name, _OPEN_DIRECTORY, dir_fd=dir_fd)
            except OSError:
                continue  # replaced meanwhile by somebody else
            try:
                self._finish_open(fd, entry)
                self.described.add(os.fstat(fd).st_ino)
            finally:
                os.close(fd)
        self.close()

    def close(self) -> None:
        """Close what is open."""
        if self._parent[1] >= 0:
            os.close(self._parent[1])
            self._parent = (b"", -1)

    def _place(self, path: bytes) -> tuple[int, bytes]:
        """Return a descriptor of the directory that a path is in, and its last component."""
        parent, _, name = path.rpartition(b"/")
        if self._parent[1] < 0 or self._parent[0] != parent:
            try:
                fd = self._open_parent(parent)
            except (FileNotFoundError, NotADirectoryError):
                raise Conflict(f"{printable(parent)} is not a directory") from None
            except OSError as error:
                if error.errno in (_ELOOP, _EXDEV):
                    raise Conflict(f"{printable(parent)} is behind a link, and not followed") from None
                raise
            self.close()
            self._parent = (parent, fd)
        return self._parent[1], name

    def _add_top(self, entry: Entry) -> None:
        if entry.kind != DIRECTORY:
            raise InvalidData("the root of an archive can only be a directory")
        if not self._keep_top:
            self._directories.insert(0, (b".", entry))

    def _make_directory(self, dir_fd: int, name: bytes, path: bytes, entry: Entry) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=dir_fd)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(name, dir_fd=dir_fd).st_mode):
                if not self._overwrite:
                    raise Conflict(
                        f"cannot overwrite non-directory {printable(path)} with a directory", _HINT
                    ) from None
                os.unlink(name, dir_fd=dir_fd)
                os.mkdir(name, 0o700, dir_fd=dir_fd)
        self._directories.append((path, entry))

    def _make_file(self, dir_fd: int, name: bytes, path: bytes, entry: Entry, reader: TarReader) -> None:
        is_new = True
        try:
            fd = os.open(name, _NEW, 0o600, dir_fd=dir_fd)
        except FileExistsError:
            is_new = self._make_room(dir_fd, name, path)
            fd = os.open(name, _NEW if is_new else _OVER, 0o600, dir_fd=dir_fd)
        try:
            smallest = _SMALLEST_HOLE if is_new else 0  # what is mounted there may be a device
            write_content(fd, reader.data(), entry.size, smallest=smallest)
            self._finish_open(fd, entry)
        finally:
            os.close(fd)

    def _link(self, dir_fd: int, name: bytes, path: bytes, entry: Entry) -> None:
        """Link to a file of the archive; it is opened first, because the parent may be the one kept."""
        target = normalise(entry.link)
        self._make_room(dir_fd, name, path)
        here = os.dup(dir_fd)
        try:
            there, last = self._place(target)
            os.link(last, name, src_dir_fd=there, dst_dir_fd=here, follow_symlinks=False)
        except FileNotFoundError:
            raise InvalidData(
                f"{printable(path)} is a hard link to {printable(target)}, which is missing"
            ) from None
        finally:
            os.close(here)

    def _make_room(self, dir_fd: int, name: bytes, path: bytes) -> bool:
        """Remove what is at a name; False for a mount point, which can only be written to."""
        try:
            os.unlink(name, dir_fd=dir_fd)
        except FileNotFoundError:
            pass
        except IsADirectoryError:
            if not self._overwrite:
                raise Conflict(
                    f"cannot overwrite directory {printable(path)} with a non-directory", _HINT
                ) from None
            fd = os.open(name, _OPEN_DIRECTORY, dir_fd=dir_fd)
            try:
                trash.empty(fd)
            finally:
                os.close(fd)
            os.rmdir(name, dir_fd=dir_fd)
        except OSError as error:
            if error.errno != _EBUSY:
                raise
            return False
        return True

    def _finish_open(self, fd: int, entry: Entry) -> None:
        """Give a file or directory its attributes; chown(2) first, for it clears others."""
        owner = self._owner_of(entry)
        if owner:
            os.fchown(fd, *owner)
        xattrs.apply(fd, entry, self.omitted)
        os.fchmod(fd, entry.mode & self._mode_mask)
        os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))

    def _finish_special(self, dir_fd: int, name: bytes, entry: Entry) -> None:
        owner = self._owner_of(entry)
        if owner:
            os.chown(name, *owner, dir_fd=dir_fd, follow_symlinks=False)
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=dir_fd, follow_symlinks=False)


def open_or_make(top: int, path: bytes) -> int:
    """Open the directory `path` below `top`, made with its parents if no member was it.

    Links are followed with `top` as the root. For an Extractor's `open_parent`; the umask must be 0.
    """
    try:
        return open_in_root(top, path or b".", _PATH_DIRECTORY)
    except FileNotFoundError:
        parent, _, name = path.rpartition(b"/")
    fd = open_or_make(top, parent)
    try:
        os.mkdir(name, _IMPLIED_MODE, dir_fd=fd)
    except FileExistsError:
        raise NotADirectoryError(_ENOTDIR, os.strerror(_ENOTDIR)) from None  # a link to nothing
    finally:
        os.close(fd)
    return open_in_root(top, path, _PATH_DIRECTORY)
