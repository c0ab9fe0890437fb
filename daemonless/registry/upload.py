"""One blob on its way to a registry (distribution spec, "Pushing Blobs"; end-4a, end-5, end-6, end-13).

    POST                    -> Location
    PATCH chunk, PATCH ...  -> Location, Range        not for small blobs
    PUT ?digest=            -> 201

A chunk whose connection broke is not sent again from its start: the registry is asked how much
it has. Content and credentials go to the origin of the registry alone, wherever it wants them.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from daemonless.errors import InvalidData
from daemonless.oci.digest import Digest
from daemonless.oci.image import Descriptor
from daemonless.registry.errors import Refused, RegistryError, Unreachable, Untrusted, redact_url
from daemonless.registry.retry import LATER, Attempts
from daemonless.registry.transport import Content, Reader, Response, origin

CHUNK = 64 << 20  # bytes of one PATCH; below the 100 MB that large networks let through
SMALL = 4 << 20  # bytes up to which a blob goes with the PUT
# what registries that take a blob only in one piece answer to a PATCH
_NO_CHUNKS = frozenset((400, 404, 405, 411, 415, 416, 501))
_OCTETS = "application/octet-stream"

Ask = Callable[[str, str, dict[str, str], "bytes | Content"], Response]  # method, URL, headers, body


class Upload:
    """Sends the blob of `descriptor`, which `open_at` opens at an offset.

    `ask` sends a request with the right authorization, `fail` raises what an answer means,
    `is_there` tells whether the registry has the blob. `progress` gets the number of bytes that
    were sent, a negative one where the registry has lost some.
    """

    def __init__(
        self,
        descriptor: Descriptor,
        open_at: Callable[[int], Reader],
        *,
        start: str,
        ask: Ask,
        fail: Callable[[Response], Exception],
        is_there: Callable[[], bool],
        attempts: Attempts,
        progress: Callable[[int], None],
    ) -> None:
        self._descriptor = descriptor
        self._open_at = open_at
        self._start = start
        self._ask = ask
        self._fail = fail
        self._is_there = is_there
        self._attempts = attempts
        self._progress = progress
        self._shown = 0
        self._location = ""
        self._offset = 0  # how much the registry is known to have
        self._most = 0  # how much it ever had: only more than that is getting on
        self._chunk = CHUNK
        self._in_one_piece = descriptor.size <= SMALL

    def run(self, location: str = "") -> None:
        """Upload, into the upload at `location` if one was opened. Raises DaemonlessError."""
        self._location = self._checked(location, self._start)
        while True:
            try:
                if not self._location:
                    self._begin()
                self._send()
            except Untrusted:
                raise
            except Unreachable:
                if not self._attempts.again():
                    raise
            except _Later as later:
                if not self._attempts.again(later.response.headers.get("retry-after", "")):
                    raise self._fail(later.response) from None
                later.response.close()
            else:
                self._show(self._descriptor.size)
                return
            if self._find_out():
                self._show(self._descriptor.size)
                return

    def _begin(self) -> None:
        response = self._ask("POST", self._start, {}, b"")
        if response.status != 202:
            raise self._fail(response)
        response.close()
        self._offset = 0
        self._show(0)
        self._chunk = max(CHUNK, _number(response.headers.get("oci-chunk-min-length", "")))
        self._location = self._next_location(response)
        if not self._location:
            raise InvalidData(f"{redact_url(response.url)} does not say where to upload to")

    def _send(self) -> None:
        size = self._descriptor.size
        while not self._in_one_piece and self._offset < size:
            if not self._patch(min(self._chunk, size - self._offset)):
                self._in_one_piece = True
                self._begin()
        parts = urlsplit(self._location)
        digest = f"digest={quote(self._descriptor.digest, safe='')}"
        target = urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, digest)))))
        body = self._content(size - self._offset) if self._offset < size else b""
        response = self._ask("PUT", target, {"Content-Type": _OCTETS}, body)
        if response.status in LATER or (response.status in (404, 416) and not self._in_one_piece):
            raise _Later(response)
        if response.status not in (201, 200, 204):
            raise self._fail(response)
        response.close()
        stated = response.headers.get("docker-content-digest", "")
        if stated and Digest(stated) != self._descriptor.digest:
            raise InvalidData(f"the registry stored {stated} instead of {self._descriptor.digest}")

    def _patch(self, length: int) -> bool:
        """Send one chunk; return False if the registry takes no chunks."""
        end = self._offset + length
        headers = {"Content-Type": _OCTETS, "Content-Range": f"{self._offset}-{end - 1}"}
        response = self._ask("PATCH", self._location, headers, self._content(length))
        if response.status in _NO_CHUNKS and self._offset == 0:
            response.close()
            return False
        if response.status in LATER or response.status in (404, 416):
            raise _Later(response)
        if response.status not in (202, 200, 201, 204):
            raise self._fail(response)
        response.close()
        self._location = self._next_location(response) or self._location
        received = _received(response, end)
        if not self._offset < received <= end:
            raise InvalidData(f"{redact_url(response.url)} says it has {received} bytes of {end} sent")
        self._advance(received)
        return True

    def _advance(self, received: int) -> None:
        self._offset = received
        self._show(received)
        if received > self._most:
            self._most = received
            self._attempts.advanced()

    def _find_out(self) -> bool:
        """After a failure, ask what the registry has; return whether that is the whole blob."""
        if not self._location:
            return False
        response = self._ask("GET", self._location, {}, b"")
        response.close()
        if response.status in (204, 200, 202) and not self._in_one_piece:
            received = _received(response, self._offset)
            if self._offset <= received <= self._descriptor.size:
                self._location = self._next_location(response) or self._location
                self._advance(received)
                return False
        # it has forgotten the upload, or has completed it and the answer was lost
        self._location = ""
        self._offset = 0
        self._show(0)
        return self._is_there()

    def _next_location(self, response: Response) -> str:
        """Return where a Location header leads (RFC 3986), "" without one; raises Refused."""
        return self._checked(response.headers.get("location", ""), response.url)

    def _checked(self, location: str, base: str) -> str:
        if not location:
            return ""
        url = urljoin(base, location)
        parts = urlsplit(url)
        if origin(url) != origin(self._start) or "@" in parts.netloc:
            raise Refused(
                f"registry {urlsplit(self._start).netloc} wants the upload at {redact_url(url)}",
                "nothing was sent there; the registry is misconfigured or hostile",
            )
        return urlunsplit(parts._replace(fragment=""))

    def _content(self, length: int) -> Content:
        """Return the next `length` bytes as a body that reports what is read of it."""
        offset = self._offset

        def open_() -> Reader:
            return _Reported(self._open_at(offset), offset, self._show)

        return Content(open_, length)

    def _show(self, position: int) -> None:
        if position != self._shown:
            self._progress(position - self._shown)
            self._shown = position


class _Later(Exception):
    """The registry could not do it now, or has lost track of the upload."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class _Reported:
    """A Reader that tells a function where it is."""

    def __init__(self, reader: Reader, position: int, show: Callable[[int], None]) -> None:
        self._reader = reader
        self._position = position
        self._show = show

    def read(self, amount: int, /) -> bytes:
        data = self._reader.read(amount)
        self._position += len(data)
        self._show(self._position)
        return data

    def close(self) -> None:
        self._reader.close()


def _received(response: Response, default: int) -> int:
    """Return how many bytes the Range header of an upload (0-N, N included) says there are.

    Docker's registry says 0-0 for none at all, so that is what it is taken for where nothing is
    known to be there.
    """
    text = response.headers.get("range", "").removeprefix("bytes=")
    first, _, last = text.partition("-")
    if not text:
        return default
    if first != "0" or not last.isascii() or not last.isdigit() or len(last) > 18:
        raise RegistryError(f"{redact_url(response.url)} answered with a malformed Range")
    return int(last) + 1 if int(last) or default == 1 else 0


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
