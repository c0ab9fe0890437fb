"""Where a layer is unpacked before it is visible: tmp/layer.RANDOM/{diff,attic}.

The directory is locked (flock(2)) by whoever fills it, and the lock is inherited by forked
children: one that can be locked has a dead owner and is swept. A build's directory, tmp/build.RANDOM,
is made and swept in the same way. All paths are relative to a
descriptor of the data directory, because the worker has no other view of the file system.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from daemonless import jsonio, syscalls
from daemonless.files import make_private_directory, write_all
from daemonless.layers.spreading import spread
from daemonless.layers.store import DIFF, RECORD, SCHEMA
from daemonless.oci.digest import Digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.layers.unpack import Unpacked

_PREFIX = "layer."
BUILD_PREFIX = "build."
_ATTIC = "attic"
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Staging:
    """One layer in the making."""

    def __init__(self, data_fd: int, owner: tuple[int, int]) -> None:
        """Make and lock the directory; `owner` is the caller's user and group, as seen from here.

        The layer's directory has to be its user's own to be renamed into trash/ later, and open
        to read for a container whose root is somebody else (keep-id); data/ itself is private.
        """
        self._data_fd = data_fd
        self.path, self.fd = make_locked_directory(data_fd, _PREFIX)
        os.fchmod(self.fd, 0o755)
        if owner != (os.geteuid(), os.getegid()):
            os.fchown(self.fd, *owner)
        for name in (DIFF, _ATTIC):
            os.mkdir(name, 0o755, dir_fd=self.fd)
        self.diff_fd = os.open(DIFF, _OPEN_DIRECTORY, dir_fd=self.fd)
        spread(self.diff_fd)
        self.attic_fd = os.open(_ATTIC, _OPEN_DIRECTORY, dir_fd=self.fd)

    def publish(self, layers: str, diff_id: Digest, unpacked: Unpacked) -> None:
        """Make the layer durable, and then visible as layers/MAPKEY/HEX (`layers` is the former two).

        One syncfs(2) stands for an fsync of every file. If the layer has come to be there
        meanwhile, this one is thrown away. Raises OSError.
        """
        record = layer_record(diff_id, unpacked.size, unpacked.entries, unpacked.warnings)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        fd = os.open(RECORD, flags, 0o644, dir_fd=self.fd)
        write_all(fd, record)
        os.close(fd)
        self._drop_attic()
        syscalls.syncfs(self.fd)
        layers_fd = os.open(layers, _OPEN_DIRECTORY, dir_fd=self._data_fd)
        try:
            os.rename(self.path, diff_id.hex, src_dir_fd=self._data_fd, dst_dir_fd=layers_fd)
            os.fsync(layers_fd)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            self.discard()
        finally:
            os.close(layers_fd)

    def _drop_attic(self) -> None:
        try:
            os.rmdir(_ATTIC, dir_fd=self.fd)
        except OSError:  # a later member replaced a directory
            _move_to_trash(self._data_fd, f"{self.path}/{_ATTIC}")

    def discard(self) -> None:
        """Throw the directory away, if it is still there."""
        try:
            _move_to_trash(self._data_fd, self.path)
        except FileNotFoundError:
            pass

    def close(self) -> None:
        """Close the descriptors, and with the last copy of them the lock."""
        for fd in (self.fd, self.diff_fd, self.attic_fd):
            os.close(fd)


def make_locked_directory(data_fd: int, prefix: str) -> tuple[str, int]:
    """Make a directory below tmp/ and lock it; return its path and its descriptor, which holds the lock."""
    while True:
        path = f"tmp/{prefix}{os.urandom(8).hex()}"
        os.mkdir(path, 0o700, dir_fd=data_fd)
        try:
            fd = os.open(path, _OPEN_DIRECTORY, dir_fd=data_fd)
        except FileNotFoundError:  # a sweep took it in the moment before the lock
            continue
        if _try_lock(fd) and _is_at(fd, data_fd, path):
            return path, fd
        os.close(fd)


def layer_record(diff_id: Digest, size: int, entries: int, warnings: tuple[str, ...] = ()) -> bytes:
    """Return the content of a layer's layer.json; `size` is the bytes of its files."""
    record = {
        "schema": SCHEMA,
        "diffId": str(diff_id),
        "size": size,
        "entries": entries,
        "warnings": list(warnings),
    }
    return jsonio.dumps(record).encode()


def sweep(data_fd: int) -> None:
    """Throw away what owners that died have left."""
    tmp_fd = os.open("tmp", _OPEN_DIRECTORY, dir_fd=data_fd)
    names = os.listdir(tmp_fd)
    os.close(tmp_fd)
    for name in names:
        if not name.startswith((_PREFIX, BUILD_PREFIX)):
            continue
        path = f"tmp/{name}"
        try:
            fd = os.open(path, _OPEN_DIRECTORY, dir_fd=data_fd)
        except OSError:
            continue  # gone meanwhile
        try:
            if _try_lock(fd) and _is_at(fd, data_fd, path):
                _move_to_trash(data_fd, path)
        finally:
            os.close(fd)


def sweep_below(data: str) -> None:
    """Do the same with the data directory at the path `data`; raises OSError."""
    for directory in ("tmp", "trash"):
        make_private_directory(f"{data}/{directory}")
    data_fd = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sweep(data_fd)
    finally:
        os.close(data_fd)


def _move_to_trash(data_fd: int, path: str) -> None:
    os.rename(path, f"trash/{os.urandom(8).hex()}", src_dir_fd=data_fd, dst_dir_fd=data_fd)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(fd: int, data_fd: int, path: str) -> bool:
    """Return whether the directory `fd` is still the one at `path`."""
    try:
        there = os.lstat(path, dir_fd=data_fd)
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(there.st_mode) and there.st_ino == os.fstat(fd).st_ino
