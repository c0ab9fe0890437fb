"""Compress a layer's archive as a stream, hashing both sides of it.

The same archive gives the same bytes, whatever pieces it comes in, as long as the libraries that
compress stay the same.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

from isal import isal_zlib

from daemonless.layers.decompress import read_ahead
from daemonless.oci.digest import Digest, new_hash
from daemonless.record import Record

LEVELS = {"gzip": range(1, 10), "zstd": range(1, 21)}
_BLOCK = 1 << 18  # bytes compressed at once; the output depends on it, so it is always the same
_FAST = 2  # isal's level: a third larger than gzip -6, at eight times its speed
_ZSTD_LEVEL = 3
_PIPE = 1 << 20  # bytes between the process that archives and the one that compresses
_F_SETPIPE_SZ = 1031  # fcntl(2)
_GZIP = 31  # window bits that ask for a gzip header, which has no time in it


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class Compressed(Record):
    """A layer as it is stored and as it is identified."""

    digest: Digest  # of what was written
    size: int  # bytes written
    diff_id: Digest  # of the archive


def wide_pipe() -> tuple[int, int]:
    """Return both ends of a pipe that lets who archives run ahead of who compresses."""
    read_end, write_end = os.pipe()
    try:
        fcntl.fcntl(write_end, _F_SETPIPE_SZ, _PIPE)
    except PermissionError:
        pass  # the user has no more pipe memory; the usual 64 KiB do
    return read_end, write_end


def compress(fd: int, write: Callable[[bytes], object]) -> Compressed:
    """Read an archive from `fd` (a pipe or a file) to its end and `write` it as gzip (RFC 1952).

    Raises OSError.
    """
    return compress_chunks(iter(lambda: _read_block(fd), b""), write)


def compress_chunks(
    chunks: Iterator[bytes], write: Callable[[bytes], object], kind: str = "gzip", level: int | None = None
) -> Compressed:
    """Compress chunks of any size; `kind` and `level` are of LEVELS, or a fast level if none is given.

    Raises what `chunks` and `write` raise.
    """
    plain, packed = new_hash("sha256"), new_hash("sha256")

    def hashed() -> Iterator[bytes]:
        for block in _blocks(chunks):
            plain.update(block)
            yield block

    compressor = _compressor(kind, level)
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


def _compressor(kind: str, level: int | None) -> _Compressor:
    if kind == "zstd":
        import zstandard  # noqa: PLC0415 - 3 ms, and few layers are compressed so

        return zstandard.ZstdCompressor(level=level or _ZSTD_LEVEL, write_checksum=True).compressobj()
    if level is None:
        fast: _Compressor = isal_zlib.compressobj(_FAST, wbits=_GZIP)
        return fast
    return zlib.compressobj(level, wbits=_GZIP)


def _blocks(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Cut chunks anew, into blocks of the one size."""
    parts: list[bytes] = []
    held = 0
    for chunk in chunks:
        start = 0
        while len(chunk) - start + held >= _BLOCK:
            end = start + _BLOCK - held
            parts.append(chunk[start:end])
            yield b"".join(parts) if len(parts) > 1 else parts[0]
            parts, held, start = [], 0, end
        if start < len(chunk):
            parts.append(chunk[start:])
            held += len(chunk) - start
    if parts:
        yield b"".join(parts)


def _read_block(fd: int) -> bytes:
    """Return the next _BLOCK bytes, fewer only at the end."""
    parts = []
    missing = _BLOCK
    while missing and (part := os.read(fd, missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
