"""What every place that images come from can do."""

from __future__ import annotations

from types import TracebackType

from daemonless.oci.digest import Digest
from daemonless.oci.image import Descriptor, Fetched
from daemonless.oci.reference import Reference
from daemonless.structural import Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeGuard

    from daemonless.oci.digest import Readable


class BlobReader(Protocol):
    """A blob being read; a context manager that closes it."""

    def read(self, size: int = ..., /) -> bytes:
        """Return up to `size` bytes; b"" once all have been read and found to be right."""

    def read_all(self) -> bytes:
        """Return the whole content, found to be right; for blobs of a few MiB."""

    def __enter__(self) -> BlobReader:
        """Return the reader."""

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""


class Resumable(Protocol):
    """A Source that is far away, and can go on in the middle of a blob."""

    def resume_blob(self, descriptor: Descriptor, held: Readable) -> BlobReader:
        """Open a blob where `held`, a stream of its beginning, ends; what it has is only hashed."""


class Source(Protocol):
    """One image, or one index of images, in the place where it is.

    What comes out of it is as foreign as what a registry sends: everything fetched by digest has
    that digest and the size announced, and all documents are still to be parsed. Blobs may be
    opened by several threads.
    """

    @property
    def name(self) -> str:
        """How messages call the image."""

    @property
    def references(self) -> tuple[Reference, ...]:
        """The names that it should have in the store; none for an image that says nothing of one."""

    def fetch_manifest(self, digest: Digest | None = None, *, size: int | None = None) -> Fetched:
        """Return what the source stands for, or a manifest of its index. Raises DaemonlessError."""

    def open_blob(self, descriptor: Descriptor) -> BlobReader:
        """Open the config or a layer; `descriptor.size` bounds what is read. Raises DaemonlessError."""

    def close(self) -> None:
        """Close what is open."""


def is_resumable(source: Source) -> TypeGuard[Resumable]:
    """Return whether it can go on in the middle of a blob."""
    return hasattr(source, "resume_blob")
