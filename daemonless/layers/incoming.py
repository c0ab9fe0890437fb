"""Archives that a person hands us, through a pipe or in a file, compressed or not.

What decompresses is imported when it is needed: most such archives are plain.
"""

from __future__ import annotations

import os

from daemonless.layers.compression import LONGEST, detect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHUNK = 1 << 18  # bytes of a plain archive at once


class Stream:
    """What a function reads as it comes, of which the `start` has been read already."""

    def __init__(self, read: Callable[[int], bytes], start: bytes) -> None:
        self._read = read
        self._start = start

    def read(self, size: int = CHUNK) -> bytes:
        """Return the next bytes, at most `size`; none at the end."""
        if self._start:
            data, self._start = self._start[:size], self._start[size:]
            return data
        return self._read(size)


def decompressed(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Return what `read` gives, in chunks, decompressed if it begins like a compressed file.

    `read` takes how many bytes it may return, and returns none at the end. Waits for the first
    bytes, and imports what is needed then and there: the result may be taken by a child that sees
    other files. It raises InvalidData for what is not well formed to its end, and what `read` raises.
    """
    start = b""
    while len(start) < LONGEST and (data := read(LONGEST - len(start))):
        start += data
    stream = Stream(read, start)
    compression = detect(start)
    if not compression:
        return iter(stream.read, b"")
    from daemonless.layers.decompress import decoder  # noqa: PLC0415 - 20 ms, spared for plain archives

    return decoder(compression)(stream)


def reader(fd: int) -> Callable[[int], bytes]:
    """Return a function that reads from a descriptor."""
    return lambda size: os.read(fd, size)
