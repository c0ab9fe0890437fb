"""Compress a layer's archive as a stream, hashing both sides of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from isal import isal_zlib

from daemonless.layers.decompress import read_ahead
from daemonless.oci.digest import Digest, new_hash
from daemonless.record import Record

_BLOCK = 1 << 18  # bytes compressed at once; the output depends on it, so it is always the same
_LEVEL = 2  # a third larger than gzip -6, at eight times its speed
_GZIP = 31  # window bits that ask for a gzip header, which has no time in it


class Compressed(Record):
    """A layer as it is stored and as it is identified."""

    digest: Digest  # of what was written
    size: int  # bytes written
    diff_id: Digest  # of the archive


def compress(fd: int, write: Callable[[bytes], object]) -> Compressed:
    """Read an archive from `fd` (a pipe or a file) to its end and `write` it as gzip (RFC 1952).

    The same archive gives the same bytes. Raises OSError.
    """
    plain, packed = new_hash("sha256"), new_hash("sha256")

    def hashed() -> Iterator[bytes]:
        while block := _read_block(fd):
            plain.update(block)
            yield block

    compressor = isal_zlib.compressobj(_LEVEL, wbits=_GZIP)
    size = 0
    for block in read_ahead(hashed()):  # hashing and compressing release the interpreter lock
        data = compressor.compress(block)
        packed.update(data)
        write(data)
        size += len(data)
    data = compressor.flush()
    packed.update(data)
    write(data)
    return Compressed(
        digest=Digest(f"sha256:{packed.hexdigest()}"),
        size=size + len(data),
        diff_id=Digest(f"sha256:{plain.hexdigest()}"),
    )


def _read_block(fd: int) -> bytes:
    """Return the next _BLOCK bytes, fewer only at the end."""
    parts = []
    missing = _BLOCK
    while missing and (part := os.read(fd, missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
