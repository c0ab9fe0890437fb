"""Leases: what somebody makes an image of, or reads, and nobody may remove meanwhile.

    DATA/tmp/lease.RANDOM    digests of blobs and of unpacked layers, one a line; locked by who needs them

A lease is added to, and objects are removed, under images.lock. So what its holder finds after `keep`
is there until it lets go, and what it does not find it makes; no removal comes in between. A lease
counts as long as its lock is held, which ends with its holder however that dies.
"""

from __future__ import annotations

import os

from daemonless import failpoints
from daemonless.files import (
    Lock,
    lock_is_held,
    make_locked_file,
    make_private_directory,
    read_file,
    sweep_unlocked,
    unlink_if_there,
    write_all,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

_PREFIX = "lease."


class Lease:
    """What the caller needs until it leaves the context; raises OSError if the disk is full.

    The caller must not hold images.lock.
    """

    def __init__(self, data: str) -> None:
        self._data = data
        self._staging = f"{data}/tmp"

    def keep(self, *digests: str) -> None:
        """Have nobody remove the blobs and layers of these digests, which need not be there yet."""
        text = "".join(f"{digest}\n" for digest in digests).encode()
        failpoints.reach("lease.keep")
        with store_lock(self._data):
            write_all(self._file.fd, text)

    @property
    def path(self) -> str:
        """The file, for `extend`."""
        return self._file.path

    def __enter__(self) -> Lease:
        make_private_directory(self._staging)
        sweep(self._data)
        self._file = make_locked_file(f"{self._staging}/{_PREFIX}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        unlink_if_there(self._file.path)
        self._file.release()


def extend(data: str, path: str, digests: Iterable[str]) -> None:
    """Add to the lease of another process, the file `path`, which does so no more itself. Raises OSError."""
    text = "".join(f"{digest}\n" for digest in digests).encode()
    with store_lock(data):
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            write_all(fd, text)
        finally:
            os.close(fd)


def store_lock(data: str) -> Lock:
    """Return the lock of who changes the list of images, or what may be removed."""
    return Lock(f"{data}/images.lock")


def leased(data: str) -> set[str]:
    """Return all digests that living holders need; the caller holds images.lock."""
    directory = f"{data}/tmp"
    try:
        paths = [f"{directory}/{name}" for name in os.listdir(directory) if name.startswith(_PREFIX)]
    except FileNotFoundError:
        return set()
    found: set[str] = set()
    for path in paths:
        if lock_is_held(path):
            try:
                found.update(read_file(path).decode("ascii").split())
            except FileNotFoundError:
                pass  # let go meanwhile
    return found


def sweep(data: str) -> None:
    """Remove the leases of holders that died."""
    sweep_unlocked(f"{data}/tmp", _PREFIX)
