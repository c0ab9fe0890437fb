"""A blob as a verified stream that survives lost connections (RFC 9110 section 14)."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from daemonless.errors import InvalidData
from daemonless.oci.digest import VerifiedReader
from daemonless.oci.image import Descriptor
from daemonless.registry.errors import Unreachable
from daemonless.registry.transport import Response

MAX_RESUMES = 4


class Blob:
    """A blob being read: verified, bounded, resumed where the connection broke."""

    def __init__(self, open_at: Callable[[int], Response], descriptor: Descriptor, what: str) -> None:
        self._stream = _ResumingStream(open_at, descriptor.size)
        self._reader = VerifiedReader(self._stream, descriptor.digest, descriptor.size, what=what)

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
    """Reads on with a Range request (RFC 9110 section 14) after a lost connection."""

    def __init__(self, open_at: Callable[[int], Response], size: int) -> None:
        self._open_at = open_at
        self._size = size
        self._offset = 0
        self._resumes = 0
        self._response: Response | None = open_at(0)

    def read(self, amount: int) -> bytes:
        while True:
            try:
                if self._response is None:
                    self._response = self._resume()
                data = self._response.read(amount)
                if data or self._offset >= self._size:
                    self._offset += len(data)
                    return data
            except Unreachable:
                if self._resumes >= MAX_RESUMES:
                    raise
            # the peer closed early, with or without an error
            self.close()
            if self._resumes >= MAX_RESUMES:
                return b""
            self._resumes += 1

    def _resume(self) -> Response:
        response = self._open_at(self._offset)
        if response.status == 206:
            if not response.headers.get("content-range", "").startswith(f"bytes {self._offset}-"):
                response.close()
                raise InvalidData("the registry resumed a download at another place than asked")
            return response
        skip = self._offset  # it sends the whole blob again; the digest is still of all bytes
        while skip:
            data = response.read(min(skip, 1 << 20))
            if not data:
                break
            skip -= len(data)
        return response

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None
