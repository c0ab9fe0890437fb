"""A layer of the store in another compression than the one it lies there in.

Of what it becomes only digest and size are remembered (`daemonless.images.blobnotes`): a registry
that has it is not sent it, and nothing is compressed to find that out. The bytes are made again
where they are needed, in a staged file of the push's own, so garbage collection need not know them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from daemonless.errors import InvalidData, NotFound
from daemonless.images.blobnotes import BlobNotes, Form
from daemonless.images.blobs import BlobStore, Staged
from daemonless.images.transports.destination import Open
from daemonless.layers.compress import compress_chunks
from daemonless.layers.decompress import decompress
from daemonless.oci.digest import Digest, new_hash
from daemonless.oci.image import Descriptor, layer_compression
from daemonless.record import Record

_LIMIT = 1 << 50  # bytes of a plain layer: what lies in the store has been unpacked once


class Target(Record):
    """The compression a layer is to have ("", "gzip", "zstd"), at a level or at a fast one."""

    compression: str
    level: int | None = None

    def __str__(self) -> str:
        return (self.compression or "plain") + (f"-{self.level}" if self.level else "")


class Recompressor:
    """Makes layers of `blobs` in other compressions; may be used by several threads.

    `discard` removes what has been made.
    """

    def __init__(self, blobs: BlobStore, notes: BlobNotes) -> None:
        self._blobs = blobs
        self._notes = notes
        self._staged: list[Staged] = []

    def make(self, stored: Descriptor, diff_id: Digest, target: Target) -> tuple[Form, Open]:
        """Make the layer; return what it is and what opens it at an offset.

        Raises NotFound or InvalidData if the store is damaged, OSError.
        """
        if target.compression:
            form, path = self._compress(stored, diff_id, target)
            self._notes.add_form(diff_id, str(target), form)
            return form, lambda offset: FileReader(os.open(path, os.O_RDONLY | os.O_CLOEXEC), offset)
        known = self._notes.form(diff_id, str(target))
        form = known or self._measure(stored, diff_id)
        if not known:
            self._notes.add_form(diff_id, str(target), form)
        return form, lambda offset: _PlainReader(self._plain(stored), offset)

    def discard(self) -> None:
        """Remove all that has been made."""
        for staged in self._staged:
            staged.discard()

    def _compress(self, stored: Descriptor, diff_id: Digest, target: Target) -> tuple[Form, str]:
        staged = self._blobs.stage()
        self._staged.append(staged)
        packed = compress_chunks(self._plain(stored), staged.write, target.compression, target.level)
        _check(stored, diff_id, packed.diff_id)
        return Form(digest=packed.digest, size=packed.size), staged.path

    def _measure(self, stored: Descriptor, diff_id: Digest) -> Form:
        """Return what the plain layer is, without keeping it."""
        state = new_hash(diff_id.algorithm)
        size = 0
        for chunk in self._plain(stored):
            state.update(chunk)
            size += len(chunk)
        actual = Digest(f"{diff_id.algorithm}:{state.hexdigest()}")
        _check(stored, diff_id, actual)
        return Form(digest=actual, size=size)

    def _plain(self, stored: Descriptor) -> Iterator[bytes]:
        fd = _open_stored(self._blobs, stored)
        try:
            yield from decompress(fd, layer_compression(stored.media_type), _LIMIT)
        finally:
            os.close(fd)


class FileReader:
    """The file `fd`, read from an offset on and closed at the end."""

    def __init__(self, fd: int, offset: int) -> None:
        self._fd = fd
        self._next = offset

    def read(self, amount: int, /) -> bytes:
        """Return up to `amount` bytes, b"" at the end."""
        data = os.pread(self._fd, amount, self._next)
        self._next += len(data)
        return data

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class _PlainReader:
    """A layer that is decompressed while it is read; an offset is come to by passing over."""

    def __init__(self, chunks: Iterator[bytes], offset: int) -> None:
        self._chunks = chunks
        self._chunk = b""
        self._position = 0
        while offset and (data := self.read(min(offset, 1 << 20))):
            offset -= len(data)

    def read(self, amount: int, /) -> bytes:
        """Return up to `amount` bytes, b"" at the end."""
        if self._position == len(self._chunk):
            self._chunk, self._position = next(self._chunks, b""), 0
        data = self._chunk[self._position : self._position + amount]
        self._position += len(data)
        return data

    def close(self) -> None:
        """Close the layer's file."""
        self._chunks.close()  # type: ignore[attr-defined] # a generator


def reads_stored(blobs: BlobStore, stored: Descriptor) -> Open:
    """Return what opens a blob as it is at an offset; it raises NotFound if the blob is gone."""
    return lambda offset: FileReader(_open_stored(blobs, stored), offset)


def _open_stored(blobs: BlobStore, stored: Descriptor) -> int:
    """Return a descriptor of a blob; raises NotFound if it is gone."""
    try:
        return os.open(blobs.path(stored.digest), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"blob {stored.digest} is missing from the store", "pull the image again") from None


def _check(stored: Descriptor, expected: Digest, actual: Digest) -> None:
    if actual != expected:
        raise InvalidData(
            f"layer {stored.digest} is damaged: it holds {actual} instead of {expected}",
            "remove the image and pull it again",
        )
