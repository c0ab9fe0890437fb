"""What has arrived of a blob: kept until the rest comes, by whichever process fetches it.

    images/partial/ALGORITHM-HEX     the first bytes of that blob, as far as anybody knows

The file is its own lock, so that of two pulls that want the same blob one fetches it and the other
waits, and takes over if the first dies. Nothing vouches for the bytes: whoever goes on from there
hashes them first, and throws them away if the whole turns out to be something else.
"""

from __future__ import annotations

import os
import time
from types import TracebackType

from daemonless import failpoints
from daemonless.files import Lock, make_private_directory, sync, unlink_if_there, write_all
from daemonless.images.blobs import BlobStore
from daemonless.oci.digest import Digest

KEPT = 7 * 86400.0  # seconds that a pull leaves what nobody has gone on with


def sweep(store: BlobStore, age: float = KEPT) -> int:
    """Remove what no process is fetching and nothing was added to for `age` seconds; return its bytes.

    Raises OSError.
    """
    directory = _directory(store)
    freed = 0
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return 0
    for name in names:
        lock = Lock(f"{directory}/{name}")
        try:
            status = os.stat(lock.path)
            old = status.st_size == 0 or time.time() - status.st_mtime >= age
            if old and lock.try_acquire() and lock.is_in_place():
                os.unlink(lock.path)
                freed += status.st_size
        except FileNotFoundError:
            pass
        finally:
            lock.release()
    return freed


def _directory(store: BlobStore) -> str:
    return f"{store.root}/partial"


class Partial:
    """The beginning of the blob `digest`; `claim` it before anything but `size` is used.

    Nothing of it is lost on exit unless it was discarded or committed.
    """

    def __init__(self, store: BlobStore, digest: str) -> None:
        self._store = store
        self._digest = Digest(digest)
        make_private_directory(_directory(store))
        self._file = Lock(f"{_directory(store)}/{self._digest.algorithm}-{self._digest.hex}")
        self._gone = False

    def claim(self) -> bool:
        """Take the blob to fetch it; return False while another process, or thread, does."""
        while self._file.try_acquire():
            if self._file.is_in_place():
                os.lseek(self._file.fd, 0, os.SEEK_END)
                return True
            self._file.release()  # it was finished or swept meanwhile; the next one is a new file
        return False

    @property
    def size(self) -> int:
        """How many bytes there are, also while another process writes them."""
        return os.fstat(self._file.fd).st_size

    def reader(self) -> Held:
        """Return a stream of what is there."""
        return Held(self._file.fd)

    def write(self, data: bytes) -> None:
        """Append; raises OSError."""
        write_all(self._file.fd, data)

    def restart(self) -> None:
        """Throw away what is there and begin anew."""
        os.ftruncate(self._file.fd, 0)
        os.lseek(self._file.fd, 0, os.SEEK_SET)

    def commit(self) -> None:
        """Give the blob its name; the caller has verified the bytes."""
        target = self._store.path(self._digest)
        make_private_directory(target.rpartition("/")[0])
        failpoints.reach("partial.commit")
        os.rename(self._file.path, target)
        self._gone = True

    def sync(self) -> None:
        """Make content and name of the committed blob survive a power loss."""
        failpoints.reach("partial.sync")
        target = self._store.path(self._digest)
        sync(target)
        sync(target.rpartition("/")[0])

    def discard(self) -> None:
        """Remove what is there."""
        if not self._gone:
            unlink_if_there(self._file.path)
            self._gone = True

    def __enter__(self) -> Partial:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.release()


class Held:
    """Reads a file from its start, without moving the offset at which it is written."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._offset = 0

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, b"" at the end."""
        data = os.pread(self._fd, size, self._offset)
        self._offset += len(data)
        return data
