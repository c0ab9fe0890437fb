"""Content-addressed files in an OCI image layout (image-spec, image-layout.md).

    images/oci-layout                the layout's version
    images/index.json                see daemonless.images.store
    images/blobs/sha256/HEX          manifests, configs, layers as they came

A blob gets its name by a rename, after its bytes have been verified; the fsync may come later,
but comes before index.json names an image that uses it. So a blob that some image uses is whole,
and one that none uses is only as good as its hash, which is what `is_intact` looks at.

On the hot path: hashing is only loaded by what writes.
"""

from __future__ import annotations

import os

from daemonless import failpoints
from daemonless.errors import DaemonlessError, NotFound
from daemonless.files import (
    make_locked_file,
    make_private_directory,
    read_file,
    sweep_unlocked,
    sync,
    unlink_if_there,
    write_all,
    write_atomic,
)
from daemonless.oci.digest import Digest, digest_of, new_hash
from daemonless.oci.image import MAX_DOCUMENT
from daemonless.syscalls import syncfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from daemonless.oci.image import Descriptor

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_STAGED = "blob."


class BlobStore:
    """The blobs below `data`, the root of all durable state."""

    def __init__(self, data: str) -> None:
        self.root = f"{data}/images"
        self.staging = f"{data}/tmp"

    def prepare(self) -> None:
        """Make the layout's directories; raises OSError."""
        make_private_directory(f"{self.root}/blobs/sha256")
        make_private_directory(self.staging)
        if not self._has_layout():
            write_atomic(f"{self.root}/oci-layout", _LAYOUT, durable=False)  # it is always the same

    def _has_layout(self) -> bool:
        """Return whether the file is there; a power loss may have left an empty one."""
        try:
            return os.stat(f"{self.root}/oci-layout").st_size == len(_LAYOUT)
        except FileNotFoundError:
            return False

    def path(self, digest: str) -> str:
        """Return where the blob of a digest lies, or would lie."""
        checked = Digest(digest)
        return f"{self.root}/blobs/{checked.algorithm}/{checked.hex}"

    def has(self, digest: str, size: int | None = None) -> bool:
        """Return whether the blob is there, with the size expected."""
        try:
            status = os.stat(self.path(digest))
        except FileNotFoundError:
            return False
        return size is None or status.st_size == size

    def has_all(self, descriptors: Iterable[Descriptor]) -> bool:
        """Return whether all of these blobs are there, with their sizes."""
        return all(self.has(each.digest, each.size) for each in descriptors)

    def is_intact(self, digest: str, size: int) -> bool:
        """Return whether the blob is there and its bytes still have its digest."""
        if not self.has(digest, size):
            return False
        state = new_hash(Digest(digest).algorithm)
        fd = os.open(self.path(digest), os.O_RDONLY | os.O_CLOEXEC)
        try:
            while data := os.read(fd, 1 << 20):
                state.update(data)
        finally:
            os.close(fd)
        return bool(state.hexdigest() == Digest(digest).hex)

    def remove(self, digest: str) -> None:
        """Remove a blob, which may be gone already; raises OSError."""
        unlink_if_there(self.path(digest))

    def read(self, digest: str, limit: int = MAX_DOCUMENT) -> bytes:
        """Return the content of a small blob; raises NotFound or InvalidData."""
        try:
            return read_file(self.path(digest), limit, what=f"blob {digest}")
        except FileNotFoundError:
            raise NotFound(f"blob {digest} is missing from the store", "pull the image again") from None

    def add(self, data: bytes) -> Digest:
        """Store a document and return its digest; raises OSError."""
        digest = digest_of(data)
        if not self.has(digest, len(data)):
            with self.stage(digest) as staged:
                staged.write(data)
                staged.commit()
                staged.sync()
        return digest

    def add_all(self, *documents: bytes) -> None:
        """Store several documents, and make them durable together; raises OSError.

        One syncfs(2) stands for two fsyncs of each, and after a layer was unpacked it finds little to do.
        """
        missing = {digest_of(data): data for data in documents}
        missing = {digest: data for digest, data in missing.items() if not self.has(digest, len(data))}
        for digest, data in missing.items():
            with self.stage(digest) as staged:
                staged.write(data)
                staged.commit()
        if missing:
            failpoints.reach("blobs.sync")
            fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                syncfs(fd)
            finally:
                os.close(fd)

    def stage(self, digest: str = "") -> Staged:
        """Return a new file that becomes the blob of `digest`, known now or then, when it is committed."""
        return Staged(self, digest)

    def sweep(self) -> int:
        """Remove what writers that died have left in the staging directory; return its bytes."""
        return sweep_unlocked(self.staging, _STAGED)


class Staged:
    """A blob being written, under a name nobody looks for; gone on exit unless committed.

    The file is its own lock, so that `sweep` can tell a dead writer's from a living one's.
    """

    def __init__(self, store: BlobStore, digest: str) -> None:
        self._store = store
        self._digest = digest
        self._target = ""
        self._committed = False
        self._file = make_locked_file(f"{store.staging}/{_STAGED}")

    def write(self, data: bytes) -> None:
        """Append; raises OSError."""
        write_all(self._file.fd, data)

    @property
    def path(self) -> str:
        """Where the bytes are before they are committed."""
        return self._file.path

    def commit(self, digest: str = "") -> str:
        """Give the blob its name and return its path; the caller has verified the bytes."""
        self._target = self._store.path(digest or self._digest)
        make_private_directory(self._target.rpartition("/")[0])
        failpoints.reach("blob.commit")
        os.rename(self._file.path, self._target)
        self._committed = True
        return self._target

    def sync(self) -> None:
        """Make content and name survive a power loss."""
        failpoints.reach("blob.sync")
        os.fsync(self._file.fd)
        sync(self._target.rpartition("/")[0])

    def discard(self) -> None:
        """Remove the file unless it was committed; may be called at any time, by any thread."""
        if not self._committed:
            try:
                os.unlink(self._file.path)
            except FileNotFoundError:
                pass

    def __enter__(self) -> Staged:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()
        self._file.release()


def store_failed(doing: str, error: OSError) -> DaemonlessError:
    """Return the error a person should see when the store cannot be written."""
    hints = {
        28: "free some space, e.g. with: daemonless rmi IMAGE",
        122: "your quota is used up: free some space, e.g. with: daemonless rmi IMAGE",
    }
    return DaemonlessError(f"cannot {doing}: {error.strerror}", hints.get(error.errno or 0, ""))
