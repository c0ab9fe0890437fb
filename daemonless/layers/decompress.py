"""Decompress archives as a stream: gzip (RFC 1952), zstd (RFC 8878), and for a person's bzip2 and xz.

The output of a layer's blob is bounded twice, in bytes and in its ratio to the input: OCI declares
no uncompressed size, and a few kilobytes of zstd can stand for gigabytes. Chunks are at most
CHUNK bytes long whatever the input says, so memory stays flat.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from queue import Empty, Queue
from threading import Thread

import zstandard
from isal import igzip_lib

from daemonless.errors import InvalidData, Unsupported
from daemonless.layers.compression import LONGEST, MAGIC, detect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from daemonless.layers.incoming import Stream

CHUNK = 1 << 18  # bytes of output at once: few switches, and few pages that are touched for the first time
_READ = 1 << 17  # bytes of input at once
_ALARM_FROM = 64 << 20  # bytes of output before the ratio counts
_ALARM_RATIO = 2000  # gzip ends near 1030; more is a bomb
_MAX_WINDOW = 1 << 27  # bytes; what `zstd -d` accepts without --long


class _Input:
    """A descriptor read from its start, counting; what zstandard takes for a file."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.count = 0

    def read(self, size: int = _READ) -> bytes:
        data = os.pread(self.fd, size, self.count)
        self.count += len(data)
        return data


def decompress(fd: int, compression: str, limit: int, *, what: str = "the layer") -> Iterator[bytes]:
    """Yield the content of the blob `fd` in chunks, at most `limit` bytes in all.

    `compression` is what the media type announces: "", "gzip" or "zstd"; the bytes have to agree.
    Raises InvalidData for everything that is not exactly one well-formed stream of that kind.
    """
    found = detect(os.pread(fd, LONGEST, 0))
    if found != compression:
        raise InvalidData(
            f"{what} is {found or 'not compressed'} but its media type says {compression or 'plain tar'}"
        )
    source = _Input(fd)
    total = 0
    for chunk in decoder(compression)(source):
        total += len(chunk)
        if total > limit:
            raise InvalidData(f"{what} unpacks to more than the {limit} bytes there is room for")
        if total > _ALARM_FROM and total > _ALARM_RATIO * source.count:
            raise InvalidData(f"{what} expands more than {_ALARM_RATIO} times: a decompression bomb")
        yield chunk


def decoder(compression: str) -> Callable[[_Input | Stream], Iterator[bytes]]:
    """Return what yields the content of a source of that compression; it raises InvalidData."""
    if compression == "zstd":
        return _unzstd
    if compression == "gzip":
        flag = igzip_lib.DECOMP_GZIP
        error: Any = igzip_lib.error  # to its stub it is an instance
        return lambda source: _members(source, "gzip", lambda: igzip_lib.IgzipDecompressor(flag=flag), error)
    if compression == "bzip2":
        import bz2  # noqa: PLC0415 - layers are never of this kind, nor of the next

        return lambda source: _members(source, "bzip2", bz2.BZ2Decompressor, OSError)
    if compression == "xz":
        import lzma  # noqa: PLC0415 - as above

        def unxz() -> lzma.LZMADecompressor:
            return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_WINDOW)

        return lambda source: _members(source, "xz", unxz, lzma.LZMAError)
    return _plain


def _plain(source: _Input | Stream) -> Iterator[bytes]:
    while chunk := source.read(CHUNK):
        yield chunk


def _members(
    source: _Input | Stream, kind: str, start: Callable[[], Any], error: type[Exception]
) -> Iterator[bytes]:
    """Yield the members of a compressed file as one stream (RFC 1952, 2.2); zeros may follow them.

    `start` makes a decompressor for one member, which raises `error` for what is none.
    """
    magic = MAGIC[kind]
    data = source.read()
    while data.startswith(magic):
        member = start()
        while not member.eof:
            try:
                chunk = member.decompress(data, CHUNK)
            except error as reason:
                raise InvalidData(f"the archive is not valid {kind}: {reason}") from None
            if chunk:
                yield chunk
            data = b""
            if member.needs_input and not member.eof:
                data = source.read()
                if not data:
                    raise InvalidData(f"the archive is not valid {kind}: it ends too early")
        data = member.unused_data
        while len(data) < len(magic) and (more := source.read()):
            data += more
    while data:
        if data.strip(b"\0"):
            raise InvalidData(f"the archive has other bytes after its {kind} stream")
        data = source.read()


def _unzstd(source: _Input | Stream) -> Iterator[bytes]:
    """Yield all frames of a zstd file as one stream; dictionaries and huge windows are refused."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    # A reader, not a decompressobj: only its output is bounded per call. That it does not tell
    # a cut frame from a whole one is made up for by the tar reader and the digest.
    reader = decompressor.stream_reader(
        source,  # type: ignore[arg-type] # only its read is used
        read_size=_READ,
        read_across_frames=True,
    )
    try:
        while chunk := reader.read(CHUNK):
            yield chunk
    except zstandard.ZstdError as error:
        if "memory" in str(error):
            raise Unsupported("the archive's zstd window is larger than 128 MiB") from None
        raise InvalidData(f"the archive is not valid zstd: {error}") from None


def read_ahead(chunks: Iterator[bytes], depth: int = 8) -> Iterator[bytes]:
    """Yield what `chunks` yields, from a thread that runs up to `depth` chunks ahead.

    Inflating and hashing release the interpreter lock, so that they overlap with the creation
    of files. Errors of `chunks` are raised here.
    """
    queue: Queue[bytes | BaseException | None] = Queue(depth)
    abandoned = False

    def run() -> None:
        try:
            for chunk in chunks:
                queue.put(chunk)
                if abandoned:
                    return
            queue.put(None)
        except BaseException as error:  # it belongs to the consumer
            queue.put(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        while (item := queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        abandoned = True
        while thread.is_alive():  # it may wait for room in the queue
            try:
                queue.get(timeout=0.001)
            except Empty:
                pass
        thread.join()
