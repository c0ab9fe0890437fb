"""What every place that images go to can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from daemonless.errors import InvalidData
from daemonless.oci.digest import VerifiedReader
from daemonless.oci.image import Descriptor
from daemonless.record import Record
from daemonless.structural import Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeGuard

CHUNK = 1 << 20  # bytes copied at once


class Reader(Protocol):
    """Content being read."""

    def read(self, amount: int, /) -> bytes:
        """Return up to `amount` bytes, b"" at the end."""

    def close(self) -> None:
        """Close it."""


Open = Callable[[int], Reader]  # opens content at an offset; may be called more than once
Advance = Callable[[int], None]  # is told how many bytes more have gone


class Accepts(Record):
    """What a destination can hold."""

    formats: tuple[str, ...] = ("oci", "docker")  # of images.build.FORMATS
    plain_only: bool = False  # layers are not compressed there
    compresses: bool = True  # plain layers are compressed on the way, unless asked otherwise
    at_once: int = 1  # blobs that it takes at the same time


class Destination(Protocol):
    """Where one image goes. Methods raise DaemonlessError or OSError."""

    @property
    def name(self) -> str:
        """How messages call it."""

    @property
    def accepts(self) -> Accepts:
        """What it can hold."""

    def find_blob(self, descriptor: Descriptor) -> str:
        """Say why a blob need not be put there, or return an empty string."""

    def put_blob(self, descriptor: Descriptor, open_at: Open, progress: Advance) -> None:
        """Put the config or a layer there."""

    def put_manifest(self, data: bytes, media_type: str) -> None:
        """Put the manifest there, when all it needs is; this gives the image its name."""


class HoldsLists(Destination, Protocol):
    """A Destination that may also get a list of images, by `put_manifest`, after what it names."""

    def put_member(self, data: bytes, media_type: str) -> None:
        """Put the manifest of an image there that a list names."""


def holds_lists(destination: Destination) -> TypeGuard[HoldsLists]:
    """Return whether it may get a list."""
    return hasattr(destination, "put_member")


def verified(descriptor: Descriptor, open_at: Open, progress: Advance) -> Iterator[bytes]:
    """Yield a blob in chunks, at the end of which it has been found to be what it should be."""
    reader = open_at(0)
    try:
        checked = VerifiedReader(reader, descriptor.digest, descriptor.size)
        while data := checked.read(CHUNK):
            yield data
            progress(len(data))
    except InvalidData as error:
        raise InvalidData(error.message, "the image is damaged here: pull it again") from None
    finally:
        reader.close()
