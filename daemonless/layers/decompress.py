"""Decompress layer blobs as a stream: gzip (RFC 1952), zstd (RFC 8878) or plain tar.

The output is bounded twice, in bytes and in its ratio to the input: OCI declares no
uncompressed size, and a few kilobytes of zstd can stand for gigabytes. Chunks are at most
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

CHUNK = 1 << 19  # bytes of output at once: fits the cache of a core, and few enough switches
_READ = 1 << 17  # bytes of input at once
_ALARM_FROM = 64 << 20  # bytes of output before the ratio counts
_ALARM_RATIO = 2000  # gzip ends near 1030; more is a bomb
_MAX_WINDOW = 1 << 27  # bytes; what `zstd -d` accepts without --long
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"  # after one byte 0x50 to 0x5f


class _Input:
    """A descriptor read from its start, counting; what zstandard takes for a file."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.count = 0

    def read(self, size: int = _READ) -> bytes:
        data = os.pread(self.fd, size, self.count)
        self.count += len(data)
        return data


def detect(start: bytes) -> str:
    """Return "gzip", "zstd" or "" (anything else) from the first bytes of a blob."""
    if start.startswith(_GZIP):
        return "gzip"
    if start.startswith(_ZSTD) or (start[1:4] == _ZSTD_SKIPPABLE and start[0] >> 4 == 5):
        return "zstd"
    return ""


def decompress(fd: int, compression: str, limit: int) -> Iterator[bytes]:
    """Yield the content of the blob `fd` in chunks, at most `limit` bytes in all.

    `compression` is what the media type announces: "", "gzip" or "zstd"; the bytes have to agree.
    Raises InvalidData for everything that is not exactly one well-formed stream of that kind.
    """
    found = detect(os.pread(fd, 4, 0))
    if found != compression:
        raise InvalidData(
            f"the layer is {found or 'not compressed'} but its media type says {compression or 'plain tar'}"
        )
    source = _Input(fd)
    streams = {"": _plain, "gzip": _gunzip, "zstd": _unzstd}
    total = 0
    for chunk in streams[compression](source):
        total += len(chunk)
        if total > limit:
            raise InvalidData(f"the layer unpacks to more than the {limit} bytes there is room for")
        if total > _ALARM_FROM and total > _ALARM_RATIO * source.count:
            raise InvalidData(f"the layer expands more than {_ALARM_RATIO} times: a decompression bomb")
        yield chunk


def _plain(source: _Input) -> Iterator[bytes]:
    while chunk := source.read(CHUNK):
        yield chunk


def _gunzip(source: _Input) -> Iterator[bytes]:
    """Yield the members of a gzip file as one stream (RFC 1952, 2.2); zeros may follow them."""
    data = source.read()
    while data.startswith(_GZIP):
        member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        while not member.eof:
            try:
                chunk = member.decompress(data, CHUNK)
            except igzip_lib.error as error:  # type: ignore[misc] # to its stub it is an instance
                raise InvalidData(f"the layer is not valid gzip: {error}") from None
            if chunk:
                yield chunk
            data = b""
            if member.needs_input and not member.eof:
                data = source.read()
                if not data:
                    raise InvalidData("the layer is not valid gzip: it ends too early")
        data = member.unused_data
        if len(data) < len(_GZIP):
            data += source.read()
    while data:
        if data.strip(b"\0"):
            raise InvalidData("the layer has other bytes after its gzip stream")
        data = source.read()


def _unzstd(source: _Input) -> Iterator[bytes]:
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
            raise Unsupported("the layer's zstd window is larger than 128 MiB") from None
        raise InvalidData(f"the layer is not valid zstd: {error}") from None


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
