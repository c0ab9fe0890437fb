"""A blob as a verified stream that survives lost connections (RFC 9110 section 14).

A connection that breaks is replaced by another that goes on at the same byte. As long as bytes
come in that is done without end: a large blob on a bad line arrives late, but it arrives.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from daemonless.errors import InvalidData
from daemonless.oci.digest import VerifiedReader
from daemonless.oci.image import Descriptor
from daemonless.registry.errors import Unreachable
from daemonless.registry.retry import Attempts
from daemonless.registry.transport import Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.oci.digest import Readable

PROGRESS = 4 << 10  # bytes after which a lost connection is nobody's failure
SLOW = 512  # bytes per second; less than that over WINDOW is a connection worth giving up
WINDOW = 30.0  # seconds


class Blob:
    """A blob being read: verified, bounded, resumed where the connection broke.

    What `held` has of its beginning is hashed but neither fetched nor read again.
    """

    def __init__(
        self,
        open_at: Callable[[int], Response],
        descriptor: Descriptor,
        what: str,
        *,
        attempts: Attempts,
        held: Readable | None = None,
    ) -> None:
        self._stream = _ResumingStream(open_at, descriptor.size, attempts)
        self._reader = VerifiedReader(self._stream, descriptor.digest, descriptor.size, what=what)
        self._stream.start(self._reader.resume(held) if held else 0)

    def read(self, size: int = 1 << 20) -> bytes:
        """Return up to `size` bytes; b"" once all have been read and verified."""
        return self._reader.read(size)

    def read_all(self) -> bytes:
        """Return the whole verified content; for blobs of a few MiB."""
        return self._reader.read_all()

    def __enter__(self) -> Blob:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()


class _ResumingStream:
    """Reads on with a Range request after a lost connection."""

    def __init__(self, open_at: Callable[[int], Response], size: int, attempts: Attempts) -> None:
        self._open_at = open_at
        self._size = size
        self._attempts = attempts
        self._offset = 0
        self._begun_at = 0  # where the connection there is began
        self._skip = 0  # bytes to come that are not wanted again
        self._response: Response | None = None
        self._watch = _Watch()

    def start(self, offset: int) -> None:
        """Begin at `offset`; raises what says that the blob is not there."""
        self._offset = offset
        if not offset:
            self._open()

    def read(self, amount: int) -> bytes:
        while self._offset < self._size or self._response is not None:
            response = self._response or self._open()
            try:
                data = response.read(min(self._skip, 1 << 20) or amount)
                self._watch.count(len(data))
            except Unreachable:
                if not self._lost():
                    raise
                continue
            if self._skip and data:
                self._skip -= len(data)
                continue
            self._offset += len(data)
            if data or self._offset >= self._size:
                return data
            if not self._lost():  # the peer closed early, and called it the end
                return b""
        return b""

    def _lost(self) -> bool:
        """Drop the connection; return whether to try another, after a wait if this one was of no use."""
        self.close()
        if self._offset - self._begun_at >= PROGRESS and not self._watch.slow:
            self._attempts.advanced()
            return True
        return self._attempts.again()

    def _open(self) -> Response:
        """Connect; whether that is tried again is the transport's business."""
        self._response = response = self._open_at(self._offset)
        self._begun_at = self._offset
        self._watch = _Watch()
        # without ranges it sends the whole blob again; the digest is still of all bytes
        self._skip = self._offset if response.status != 206 else 0
        start = f"bytes {self._offset}-"
        if response.status == 206 and not response.headers.get("content-range", "").startswith(start):
            raise InvalidData("the registry resumed a download at another place than asked")
        return response

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None


class _Watch:
    """Notices a peer that sends a few bytes now and then, to keep a connection for ever."""

    def __init__(self) -> None:
        self.slow = False
        self._bytes = 0
        self._since = time.monotonic()

    def count(self, amount: int) -> None:
        """Count what came. Raises Unreachable if it was too little for too long."""
        self._bytes += amount
        now = time.monotonic()
        if now - self._since < WINDOW:
            return
        self.slow = self._bytes < SLOW * (now - self._since)
        if self.slow:
            raise Unreachable(
                f"the registry sent only {self._bytes} bytes in {now - self._since:.0f} s", "try again later"
            )
        self._bytes, self._since = 0, now
