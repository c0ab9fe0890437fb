"""Read the tar archives of image layers, strictly (image-spec, layer.md).

A bad checksum in the middle, data after the end, a member that says its name twice: all that
readers differ about is refused. Nothing recurses, nothing is read before its size has been
bounded, and a member's data is handed on as slices of the caller's chunks. `tarfile` is no
alternative: it takes a broken header for the end of the archive, and negative sizes as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from daemonless.errors import InvalidData, Unsupported, printable
from daemonless.layers.tar_header import (
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    FIFO,
    GNU_LINK,
    GNU_NAME,
    GNU_SPARSE,
    HARD_LINK,
    PAX,
    PAX_GLOBAL,
    REGULAR,
    SYMLINK,
    Entry,
    apply_pax,
    parse_header,
    parse_pax,
)

BLOCK = 512
MAX_EXTENDED_HEADER = 1 << 20  # bytes; Go's archive/tar has the same bound (CVE-2022-2879)
_MAX_EXTENSIONS = 2  # extended headers in front of one member
_SHORT = 1 << 16  # bytes that are read rather than skipped
_ZEROS = bytes(BLOCK)
_EXTENSIONS = frozenset((PAX, PAX_GLOBAL, GNU_NAME, GNU_LINK))
_MEMBERS = frozenset((REGULAR, HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO))


class TarReader:
    """Iterate over the members of an archive that arrives in chunks of any size.

    After a member its data may be taken with `data`; what is not taken is skipped. The iteration
    ends only after the end marker and nothing but zeros up to the end of the stream. Raises
    InvalidData, or Unsupported; `budget` is how many bytes the stream may have, so that no
    member may claim more than what is left of it. `skip`, if the chunks have such a thing, passes
    over bytes that come after the last chunk.
    """

    def __init__(
        self,
        chunks: Iterator[bytes],
        budget: int = 1 << 62,
        skip: Callable[[int], object] | None = None,
    ) -> None:
        self.count = 0  # members so far
        self._chunks = chunks
        self._skip_chunks = skip
        self._chunk = b""
        self._position = 0  # in the chunk
        self._passed = 0  # bytes of earlier chunks
        self._budget = budget
        self._data = 0  # bytes left of the member's data
        self._padding = 0  # and then up to the next block

    def __iter__(self) -> Iterator[Entry]:
        while entry := self._next():
            self.count += 1
            yield entry

    @property
    def position(self) -> int:
        """Where in the stream the current member's data begins, before any of it is taken."""
        return self._passed + self._position

    def data(self) -> Iterator[memoryview]:
        """Yield the rest of the current member's data in pieces."""
        while self._data:
            if self._position == len(self._chunk):
                self._refill()
            start = self._position
            self._position = min(start + self._data, len(self._chunk))
            self._data -= self._position - start
            yield memoryview(self._chunk)[start : self._position]

    def _next(self) -> Entry | None:
        self._skip()
        extensions: dict[int, bytes] = {}
        while True:
            block = self._take(BLOCK)
            if block == _ZEROS:
                if extensions:
                    raise InvalidData("an extended header has no member after it")
                self._finish()
                return None
            entry = parse_header(block)
            remaining = self._budget - self._passed - self._position
            if entry.kind not in _EXTENSIONS:
                break
            if entry.size > min(MAX_EXTENDED_HEADER, remaining):
                raise InvalidData(f"an extended header of {entry.size} bytes is too large")
            data = self._take(entry.size)
            self._padding = -entry.size % BLOCK
            self._skip()
            if entry.kind == PAX_GLOBAL:
                _check_global(parse_pax(data))
                continue
            if entry.kind in extensions or len(extensions) == _MAX_EXTENSIONS:
                raise InvalidData("too many extended headers before one member")
            extensions[entry.kind] = data
        _merge(entry, extensions)
        if entry.size > remaining:
            raise InvalidData(f"{printable(entry.name)} claims {entry.size} bytes, more than may be unpacked")
        self._data = entry.size
        self._padding = -entry.size % BLOCK
        return entry

    def _take(self, size: int) -> bytes:
        """Return exactly `size` bytes."""
        start, end = self._position, self._position + size
        if end <= len(self._chunk):
            self._position = end
            return self._chunk[start:end]
        parts = [self._chunk[start:]]
        missing = size - len(parts[0])
        while missing:
            self._refill()
            part = self._chunk[:missing]
            self._position = len(part)
            missing -= len(part)
            parts.append(part)
        return b"".join(parts)

    def _skip(self) -> None:
        """Pass over what is left of the current member."""
        left = self._data + self._padding
        self._data = self._padding = 0
        while left > len(self._chunk) - self._position:
            left -= len(self._chunk) - self._position
            if self._skip_chunks and left > _SHORT:
                self._skip_chunks(left - 1)  # the last one is read: it shows that the others are there
                self._passed += left - 1
                left = 1
            self._refill()
        self._position += left

    def _refill(self) -> None:
        """Go to the next chunk; the one before has been used up."""
        self._passed += len(self._chunk)
        self._position = 0
        for chunk in self._chunks:
            if chunk:
                self._chunk = chunk
                return
        self._chunk = b""
        raise InvalidData("the archive ends too early")

    def _finish(self) -> None:
        if self._take(BLOCK) != _ZEROS:
            raise InvalidData("the archive has one block of zeros where two mark its end")
        rest = self._chunk[self._position :]
        self._chunk, self._position = b"", 0
        while True:
            if rest.strip(b"\0"):
                raise InvalidData("the archive goes on after its end marker")
            try:
                rest = next(self._chunks)
            except StopIteration:
                return


def _check_global(records: dict[bytes, bytes]) -> None:
    """Accept a global header that only comments, as git archive writes it."""
    for key in records:
        if key != b"comment":
            raise InvalidData(f"a global extended header sets {printable(key, 60)} for all members")


def _merge(entry: Entry, extensions: dict[int, bytes]) -> None:
    """Apply the extended headers to their member, and refuse members that make no sense."""
    records = parse_pax(extensions[PAX]) if PAX in extensions else {}
    for kind, key in ((GNU_NAME, b"path"), (GNU_LINK, b"linkpath")):
        if kind in extensions:
            if key in records:
                raise InvalidData(f"a member has its {key.decode()} in two extended headers")
            records[key] = extensions[kind].rstrip(b"\0")
    if records:
        apply_pax(entry, records)
    if entry.kind not in _MEMBERS:
        if entry.kind == GNU_SPARSE:
            raise Unsupported(
                f"{printable(entry.name)} is a sparse file, which a layer may not hold (image-spec, layer.md)"
            )
        raise InvalidData(f"{printable(entry.name)} has the unknown type {printable(bytes([entry.kind]))!r}")
    if entry.kind == REGULAR:
        if entry.name.endswith(b"/"):  # a file to Go, a directory to GNU tar
            raise InvalidData(f"{printable(entry.name)} is a file with the name of a directory")
    elif entry.size:
        raise InvalidData(f"{printable(entry.name)} has data but is not a file")
