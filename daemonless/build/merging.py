"""--squash: several layers as one, which on the same layers below shows the same files.

The layers are put into a file system one after the other, from the bottom: the merged layers below, with
an empty one on top to be written to. What a layer hides is deleted there, and overlayfs notes it in
the new layer if it is of those below. Runs as root of the user namespace.
"""

from __future__ import annotations

import os
import stat

from daemonless.build.contents import copy_sparse, create
from daemonless.build.making import make_places
from daemonless.build.publishing import Filled, Publisher
from daemonless.build.request import Times
from daemonless.build.viewing import mount_writable
from daemonless.files import open_beneath
from daemonless.images.buildcache import StepLayer
from daemonless.layers import xattrs
from daemonless.layers.omitted import Omissions
from daemonless.layers.walk import OPEN_DIRECTORY, walk
from daemonless.layers.whiteout import is_opaque, is_whiteout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def merge(
    publisher: Publisher, directory: str, below: tuple[str, ...], layers: Sequence[str], times: Times | None
) -> tuple[StepLayer, Filled]:
    """Make one layer of `layers`, directories from the bottom, and put it into the store.

    `below` are the directories of the layers under it, from the top; `directory` is a new one of the
    caller's. Raises as `Publisher.publish`.
    """
    os.mkdir(directory, 0o700)
    make_places(directory, below)

    def fill() -> Filled:
        umask = os.umask(0)
        merger = _Merger(mount_writable(below, directory))
        for layer in layers:
            merger.add(layer)
        os.umask(umask)
        return Filled(warnings=tuple(merger.omitted.lines()))

    return publisher.publish(directory, below, times, fill)


class _Merger:
    """Puts layers into the directory `root_fd`."""

    def __init__(self, root_fd: int) -> None:
        self.omitted = Omissions()
        self._root_fd = root_fd
        self._parent = (b"", os.open(".", OPEN_DIRECTORY, dir_fd=root_fd))  # the one used last
        self._linked: dict[tuple[int, int], bytes] = {}  # files of the layer with several names
        self._directories: list[bytes] = []  # of the layer

    def add(self, layer: str) -> None:
        """Put one layer on top of what is there; `layer` is a directory of the store."""
        self._linked, self._directories = {}, []
        top = os.open(layer, OPEN_DIRECTORY)
        walk(os.dup(top), self._visit)
        for path in reversed(self._directories):  # what is put into one changes its times
            source = open_beneath(top, path, OPEN_DIRECTORY)
            target = open_beneath(self._root_fd, path, OPEN_DIRECTORY)
            self._copy_attributes(source, target, path)
            os.close(source)
            os.close(target)
        os.close(top)

    def _visit(self, dir_fd: int, name: bytes, path: bytes) -> int:
        status = os.lstat(name, dir_fd=dir_fd)
        target = self._open_parent(path.rpartition(b"/")[0])
        if is_whiteout(status):
            _remove(target, name)
        elif stat.S_ISDIR(status.st_mode):
            source = os.open(name, OPEN_DIRECTORY, dir_fd=dir_fd)
            self._add_directory(source, target, name)
            self._directories.append(path)
            return source
        else:
            self._add_file(dir_fd, target, name, path, status)
        return -1

    def _open_parent(self, path: bytes) -> int:
        if self._parent[0] != path:
            os.close(self._parent[1])
            self._parent = (path, open_beneath(self._root_fd, path or b".", OPEN_DIRECTORY))
        return self._parent[1]

    def _add_directory(self, source: int, target: int, name: bytes) -> None:
        there = _lstat(target, name)
        if there is not None and not (stat.S_ISDIR(there.st_mode) and not is_opaque(source)):
            _remove(target, name)
            there = None
        if there is None:
            os.mkdir(name, 0o700, dir_fd=target)

    def _add_file(self, dir_fd: int, target: int, name: bytes, path: bytes, status: os.stat_result) -> None:
        _remove(target, name)
        identity = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and identity in self._linked:
            known = self._linked[identity]
            parent, _, last = known.rpartition(b"/")
            fd = open_beneath(self._root_fd, parent or b".", OPEN_DIRECTORY)
            os.link(last, name, src_dir_fd=fd, dst_dir_fd=target, follow_symlinks=False)
            os.close(fd)
            return
        self._linked[identity] = path
        if stat.S_ISREG(status.st_mode):
            reader, writer = os.open(name, _READ, dir_fd=dir_fd), create(target, name, 0o600)
            copy_sparse(reader, writer, status.st_size, dense=status.st_blocks * 512 >= status.st_size)
            self._copy_attributes(reader, writer, path)
            os.close(reader)
            os.close(writer)
            return
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=dir_fd), name, dir_fd=target)
        elif stat.S_ISFIFO(status.st_mode):
            os.mkfifo(name, stat.S_IMODE(status.st_mode), dir_fd=target)
        else:  # layers have nothing else
            return
        os.chown(name, status.st_uid, status.st_gid, dir_fd=target, follow_symlinks=False)
        times = (status.st_mtime_ns, status.st_mtime_ns)
        os.utime(name, ns=times, dir_fd=target, follow_symlinks=False)

    def _copy_attributes(self, source: int, target: int, path: bytes) -> None:
        """Copy owner, mode, times, and the extended attributes that layers have."""
        status = os.fstat(source)
        os.fchown(target, status.st_uid, status.st_gid)
        os.fchmod(target, stat.S_IMODE(status.st_mode))
        known = set(map(os.fsencode, os.listxattr(target)))
        for name, value in xattrs.read(source, path, self.omitted).items():
            os.setxattr(target, name, value)
            known.discard(name)
        for name in known & xattrs.read(target, path, self.omitted).keys():  # of the directory below
            os.removexattr(target, name)
        os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))


def _lstat(dir_fd: int, name: bytes) -> os.stat_result | None:
    try:
        return os.lstat(name, dir_fd=dir_fd)
    except FileNotFoundError:
        return None


def _remove(dir_fd: int, name: bytes) -> None:
    """Remove whatever has that name, if anything has; nothing is moved, which overlayfs may refuse."""
    try:
        os.unlink(name, dir_fd=dir_fd)
        return
    except FileNotFoundError:
        return
    except IsADirectoryError:
        pass
    top = os.open(name, OPEN_DIRECTORY, dir_fd=dir_fd)
    directories: list[bytes] = []

    def visit(inner_fd: int, inner: bytes, path: bytes) -> int:
        if stat.S_ISDIR(os.lstat(inner, dir_fd=inner_fd).st_mode):
            directories.append(path)
            return os.open(inner, OPEN_DIRECTORY, dir_fd=inner_fd)
        os.unlink(inner, dir_fd=inner_fd)
        return -1

    walk(os.dup(top), visit)
    for path in reversed(directories):
        parent, _, last = path.rpartition(b"/")
        fd = open_beneath(top, parent or b".", OPEN_DIRECTORY)
        os.rmdir(last, dir_fd=fd)
        os.close(fd)
    os.close(top)
    os.rmdir(name, dir_fd=dir_fd)
