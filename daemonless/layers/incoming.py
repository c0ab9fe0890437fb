"""Archives that a person hands us, through a pipe or in a file, compressed or not.

What decompresses is imported when it is needed: most such archives are plain.
"""

from __future__ import annotations

import os

from daemonless.layers.compression import LONGEST, detect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 1 << 18  # bytes of a plain archive at once


class Stream:
    """A descriptor read as it comes, of which the `start` has been read already."""

    def __init__(self, fd: int, start: bytes) -> None:
        self._fd = fd
        self._start = start

    def read(self, size: int = CHUNK) -> bytes:
        """Return the next bytes, at most `size`; none at the end."""
        if self._start:
            data, self._start = self._start[:size], self._start[size:]
            return data
        return os.read(self._fd, size)


def decompressed(fd: int) -> Iterator[bytes]:
    """Return what can be read from `fd` in chunks, decompressed if it begins like a compressed file.

    Waits for the first bytes, and imports what is needed then and there: the result may be taken
    by a child that sees other files. It raises InvalidData for what is not well formed to its
    end, and OSError.
    """
    start = b""
    while len(start) < LONGEST and (data := os.read(fd, LONGEST - len(start))):
        start += data
    stream = Stream(fd, start)
    compression = detect(start)
    if not compression:
        return iter(stream.read, b"")
    from daemonless.layers.decompress import decoder  # noqa: PLC0415 - 20 ms, spared for plain archives

    return decoder(compression)(stream)
