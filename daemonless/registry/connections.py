"""Connections to HTTP servers, and through proxies, kept while they may be used again.

On http.client: what is above it - requests, urllib3 - takes 60 to 90 ms to import, as long as pulling a
small image takes otherwise. And on its plain half, which does without ssl, another 5 ms: TLS is put on
such a connection here, where there is any.
"""

from __future__ import annotations

import select
import sys
import threading
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlsplit

from daemonless.registry.proxies import Proxy, find_proxy
from daemonless.structural import Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl

if "ssl" in sys.modules:
    import http.client
else:  # it imports ssl unless that is missing, as from some Pythons
    sys.modules["ssl"] = None  # type: ignore[assignment] # "it cannot be imported"
    try:
        import http.client
    finally:
        del sys.modules["ssl"]

HTTPException = http.client.HTTPException

CONNECT_TIMEOUT = 10.0  # seconds
READ_TIMEOUT = 60.0  # seconds without a single byte
SEND_BLOCK = 1 << 18  # bytes of a streamed body in memory
_KEPT = 8  # idle connections to one server
_QUOTED = "!#$%&'()*+,/:;=?@[]~"  # what stays as it is in a path and a query

_Key = tuple[str, str, int]


class ProxyFailed(OSError):
    """The proxy could not be reached, or refused."""


class TlsFailed(OSError):
    """There is no TLS with the server; `distrust` says why, if that is for its certificate."""

    def __init__(self, error: ssl.SSLError) -> None:
        super().__init__(str(error))
        self.distrust: str = getattr(error, "verify_message", "")


class Sendable(Protocol):
    """A body that is read while it is sent."""

    def read(self, amount: int, /) -> bytes:
        """Return up to `amount` bytes, b"" at the end."""


class Connections:
    """Connections for several threads; `context` returns what TLS ones are made with."""

    def __init__(self, context: Callable[[], ssl.SSLContext]) -> None:
        self._context = context
        self._idle: dict[_Key, list[http.client.HTTPConnection]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Sendable | None
    ) -> Answer:
        """Send a request and return its answer, to be closed.

        `headers` has the Content-Length of a body that is read. Raises OSError, TlsFailed among them,
        HTTPException, or ValueError for an address or a header that cannot be.
        """
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        target = quote(parts.path or "/", _QUOTED) + (
            f"?{quote(parts.query, _QUOTED)}" if parts.query else ""
        )
        proxy = find_proxy(parts.scheme, host, port)
        if proxy and parts.scheme == "http":
            name = f"[{host}]" if ":" in host else host
            target = f"http://{name}{f':{port}' if parts.port else ''}{target}"
            if proxy.authorization:
                headers = {**headers, "Proxy-Authorization": proxy.authorization}
        key = (parts.scheme, host, port)
        connection = self._take(key) or self._connect(key, proxy)
        try:
            try:
                connection.request(method, target, body=body, headers=dict(headers))  # type: ignore[arg-type]
            except (BrokenPipeError, ConnectionResetError):
                pass  # it may have answered before it had all of it
            response = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        return Answer(response, lambda reusable: self._give_back(key, connection, reusable=reusable))

    def close(self) -> None:
        """Close all connections, the ones in use when their answers are."""
        with self._lock:
            self._closed = True
            idle = [connection for each in self._idle.values() for connection in each]
            self._idle.clear()
        for connection in idle:
            connection.close()

    def _take(self, key: _Key) -> http.client.HTTPConnection | None:
        """Return a connection that the server has not closed meanwhile."""
        while True:
            with self._lock:
                if not self._idle.get(key):
                    return None
                connection = self._idle[key].pop()
            if not _is_readable(connection):  # there is nothing to read but its end
                return connection
            connection.close()

    def _give_back(self, key: _Key, connection: http.client.HTTPConnection, *, reusable: bool) -> None:
        with self._lock:
            kept = self._idle.setdefault(key, [])
            if reusable and not self._closed and len(kept) < _KEPT and connection.sock is not None:
                kept.append(connection)
                return
        connection.close()

    def _connect(self, key: _Key, proxy: Proxy | None) -> http.client.HTTPConnection:
        scheme, host, port = key
        at, at_port = (proxy.host, proxy.port) if proxy else (host, port)
        context = self._context() if scheme == "https" else None
        connection = http.client.HTTPConnection(at, at_port, timeout=CONNECT_TIMEOUT, blocksize=SEND_BLOCK)
        if context:
            connection.default_port = 443
            if proxy:
                told = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
                connection.set_tunnel(host, port, headers=told)
        try:
            connection.connect()
            if context:
                _put_tls_on(connection, context, host)
        except TlsFailed:
            connection.close()
            raise
        except (OSError, HTTPException) as error:
            connection.close()
            if proxy:
                raise ProxyFailed(str(error)) from error
            raise
        connection.sock.settimeout(READ_TIMEOUT)
        return connection


class Answer:
    """Status, headers (names in lower case; several values joined) and the unread body of an answer."""

    def __init__(self, response: http.client.HTTPResponse, done: Callable[[bool], None]) -> None:
        self.status = response.status
        self.headers: dict[str, str] = {}
        for name, value in response.getheaders():
            name = name.lower()
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value
        self._response = response
        self._done: Callable[[bool], None] | None = done
        if self._is_whole:
            self.close()

    @property
    def _is_whole(self) -> bool:
        return self._response.isclosed() or self._response.length == 0

    def read(self, amount: int) -> bytes:
        """Return up to `amount` bytes, as soon as there are some; b"" at the end.

        Raises OSError, or HTTPException if the body ends too early.
        """
        response = self._response
        if self._done is None:
            return b""
        # read1, because a peer that trickles must not hold us until `amount` is full
        data = response.read1(amount) if amount else b""
        if amount and not data and response.length:
            raise http.client.IncompleteRead(b"", response.length)
        if self._is_whole:
            self.close()
        return data

    def close(self) -> None:
        """Give the connection back, or drop it if the body was not read to its end."""
        done, self._done = self._done, None
        if done is not None:
            whole = self._is_whole
            self._response.close()
            done(whole and not self._response.will_close)


def _put_tls_on(connection: http.client.HTTPConnection, context: ssl.SSLContext, host: str) -> None:
    import ssl  # noqa: PLC0415 - see above

    try:
        connection.sock = context.wrap_socket(connection.sock, server_hostname=host)
    except ssl.SSLError as error:
        raise TlsFailed(error) from error


def _is_readable(connection: http.client.HTTPConnection) -> bool:
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))
