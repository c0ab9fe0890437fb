"""Which files' content is known: hashes by inode, so that what has not changed is not read again.

A file counts as unchanged while device, inode, size, and both times are what they were. One that
was changed as it was hashed, or so shortly before that another change could leave the same times,
is not remembered. The index of a context is one file in the cache directory; a damaged one is as
none.
"""

from __future__ import annotations

import os
import time
from hashlib import sha256
from struct import Struct

from daemonless.errors import InvalidData
from daemonless.files import make_private_directory, read_file, unlink_if_there, write_atomic

_ROW = Struct("<QQqqQB32s")  # device, inode, mtime_ns, ctime_ns, size, age, hash
_MAGIC = b"daemonless index 1\n"
_HASH = 32  # bytes of the hash of all that follows, after the magic
_LIMIT = 256 << 20  # bytes: three million files
_MAX_AGE = 8  # builds without a file until it is forgotten
_MAX_CONTEXTS = 64  # indexes kept
_FINE, _COARSE = 20_000_000, 2_000_000_000  # ns in which two changes may get one time

TYPE_CHECKING = False
if TYPE_CHECKING:
    Key = tuple[int, int]
    Row = tuple[int, int, int, bytes]  # mtime_ns, ctime_ns, size, hash


class ContentIndex:
    """Hashes of files. Without a path it lasts as long as the object."""

    def __init__(self, path: str = "") -> None:
        self._path = path
        self._old: dict[Key, Row] = {}
        self._ages: dict[Key, int] = {}
        self._new: dict[Key, Row] = {}
        self._changed = False
        if path:
            self._load()

    def get(self, status: os.stat_result) -> bytes | None:
        """Return the hash of the file with this status, None if it has to be read."""
        key = (status.st_dev, status.st_ino)
        row = self._new.get(key)
        if row is None:
            row = self._old.get(key)
            if row is None:
                return None
            self._new[key] = row
        if row[:3] == (status.st_mtime_ns, status.st_ctime_ns, status.st_size):
            return row[3]
        return None

    def put(self, before: os.stat_result, after: os.stat_result, digest: bytes) -> None:
        """Remember the hash of a file whose status was taken before and after it was read."""
        if not is_same(before, after):
            return
        changed = max(after.st_ctime_ns, after.st_mtime_ns)
        # file systems that count in seconds, or in two of them, have no nanoseconds to show
        grain = _FINE if after.st_ctime_ns % 1_000_000_000 else _COARSE
        if changed + grain < time.time_ns():
            key = (after.st_dev, after.st_ino)
            self._new[key] = (after.st_mtime_ns, after.st_ctime_ns, after.st_size, digest)
            self._changed = True

    def save(self) -> None:
        """Write what is new for the next build; files that builds no longer ask for are forgotten."""
        if not self._path or not self._changed:
            return
        rows = []
        for (device, inode), (mtime, ctime, size, digest) in self._new.items():
            rows.append(_ROW.pack(device, inode, mtime, ctime, size, 0, digest))
        for key, (mtime, ctime, size, digest) in self._old.items():
            age = self._ages[key] + 1
            if key not in self._new and age < _MAX_AGE:
                rows.append(_ROW.pack(*key, mtime, ctime, size, age, digest))
        body = b"".join(rows)
        if len(body) > _LIMIT - 100:
            return
        directory = self._path.rpartition("/")[0]
        try:
            make_private_directory(directory)
            write_atomic(self._path, _MAGIC + sha256(body).digest() + body, durable=False)
            _forget_oldest(directory)
        except OSError:
            return  # a cache that cannot be written is no reason for a build to fail
        self._changed = False

    def _load(self) -> None:
        try:
            data = read_file(self._path, _LIMIT)
        except (OSError, InvalidData):
            return
        start = len(_MAGIC) + _HASH
        body = memoryview(data)[start:]
        if not data.startswith(_MAGIC) or len(body) % _ROW.size:
            return
        if sha256(body).digest() != data[len(_MAGIC) : start]:
            return
        for device, inode, mtime, ctime, size, age, digest in _ROW.iter_unpack(body):
            self._old[device, inode] = (mtime, ctime, size, digest)
            self._ages[device, inode] = age


def open_index(cache: str, root_fd: int) -> ContentIndex:
    """Return the index of the context whose root is `root_fd`; `cache` is Paths.cache."""
    status = os.fstat(root_fd)
    return ContentIndex(f"{cache}/contexts/{status.st_dev:x}-{status.st_ino:x}")


def is_same(before: os.stat_result, after: os.stat_result) -> bool:
    """Return whether two statuses are of one file that was not changed between them."""
    return (
        before.st_ino == after.st_ino
        and before.st_dev == after.st_dev
        and before.st_size == after.st_size
        and before.st_mtime_ns == after.st_mtime_ns
        and before.st_ctime_ns == after.st_ctime_ns
    )


def _forget_oldest(directory: str) -> None:
    """Keep the indexes that were written last."""
    names = os.listdir(directory)
    if len(names) > _MAX_CONTEXTS:
        paths = sorted((f"{directory}/{name}" for name in names), key=_written)
        for path in paths[: len(names) - _MAX_CONTEXTS]:
            unlink_if_there(path)


def _written(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except FileNotFoundError:
        return 0
