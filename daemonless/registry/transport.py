"""HTTP for registries: requests, responses, redirects, retries, limits, TLS.

What a browser-like client does by itself is done here by hand, or not at all, because a registry
is not trusted: no cookies, no .netrc, no automatic redirects, no content decoding, no body without
a bound. Proxies come from the environment as usual.

`Transport` is what the client needs; tests pass a function-like fake or point `HttpTransport` at
a server of their own.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urljoin, urlsplit

from daemonless import __version__
from daemonless.errors import InvalidData
from daemonless.files import read_stream
from daemonless.record import Record
from daemonless.registry.connections import Answer, Connections, HTTPException, ProxyFailed, TlsFailed
from daemonless.registry.errors import Refused, RegistryError, Unreachable, Untrusted, redact_url
from daemonless.registry.retry import LATER, Attempts, Retry
from daemonless.registry.tls import Trust
from daemonless.structural import Protocol

MAX_REDIRECTS = 5

_IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE")
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Reader(Protocol):
    """What the content of a request is read from, e.g. a file."""

    def read(self, amount: int, /) -> bytes:
        """Return up to `amount` bytes, b"" at the end."""

    def close(self) -> None:
        """Close it."""


class Content:
    """A body of `length` bytes that is read while it is sent.

    `open_` is called each time it has to be sent, which after a 401 is twice.
    """

    def __init__(self, open_: Callable[[], Reader], length: int) -> None:
        self.open = open_
        self.length = length


class Request(Record):
    """One HTTP request; `headers` and `body` are the only things sent besides our User-Agent."""

    method: str
    url: str
    headers: Mapping[str, str] = {}  # shared and never changed
    body: bytes | Content = b""
    redirects: bool = True  # whether a redirect may be followed

    @property
    def is_repeatable(self) -> bool:
        """Whether sending it again does no harm, and costs little."""
        if isinstance(self.body, Content):
            return False
        return self.method in _IDEMPOTENT or (self.method == "POST" and not self.body)

    def with_header(self, name: str, value: str) -> Request:
        """Return a copy with one header more."""
        return self.replace(headers={**self.headers, name: value})


class Body(Protocol):
    """The stream behind a response."""

    def read(self, amount: int) -> bytes:
        """Return up to `amount` bytes, b"" at the end."""

    def close(self) -> None:
        """Drop the connection if the stream was not read to its end."""


class Response:
    """Status, headers (names in lower case) and the unread body of an answer.

    `url` is where it came from in the end, `crossed` whether a redirect left the origin that was
    asked: such an answer must not be given credentials.
    """

    def __init__(
        self, status: int, headers: Mapping[str, str], body: Body, url: str, *, crossed: bool = False
    ) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body
        self.url = url
        self.crossed = crossed

    def read(self, amount: int) -> bytes:
        """Return up to `amount` bytes of the body; raises Unreachable if the connection breaks."""
        return self.body.read(amount)

    def read_all(self, limit: int, what: str) -> bytes:
        """Return the whole body and close it. Raises InvalidData past `limit` bytes."""
        try:
            return read_stream(self.read, limit, what)
        finally:
            self.close()

    def close(self) -> None:
        """Give the connection back, or drop it if the body was not read."""
        self.body.close()


class Transport(Protocol):
    """What a RegistryClient needs of HTTP."""

    def send(self, request: Request) -> Response:
        """Send, following redirects and retrying where that is harmless."""

    def close(self) -> None:
        """Close all connections."""


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port, which together decide whether credentials may be sent."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    try:
        port = parts.port
    except ValueError:
        raise InvalidData(f"{redact_url(url)} has no valid port") from None
    return scheme, (parts.hostname or "").rstrip("."), port or _DEFAULT_PORTS.get(scheme, 0)


class HttpTransport:
    """A Transport over the network. May be used by several threads at once."""

    def __init__(
        self,
        trust: Trust,
        *,
        debug: Callable[[str], None] | None = None,
        attempts: Callable[[], Attempts] = lambda: Attempts(Retry()),
    ) -> None:
        self._debug = debug
        self._attempts = attempts
        self._answered = False  # a registry that never did is not asked again: it may be misspelt
        self._connections = Connections(lambda: trust.context)

    def close(self) -> None:
        """Close all connections."""
        self._connections.close()

    def send(self, request: Request) -> Response:
        """Send a request, follow its redirects, retry where the status or a lost connection allows.

        Raises Unreachable, Refused (a redirect we must not follow) or RegistryError (too many).
        """
        asked = origin(request.url)
        crossed = False
        for _ in range(MAX_REDIRECTS + 1):
            response = self._send_patiently(request)
            if response.status not in _REDIRECTS or not request.redirects:
                response.crossed = crossed
                return response
            response.close()
            request = _redirected(request, response)
            crossed = crossed or origin(request.url) != asked
            if crossed:
                kept = {k: v for k, v in request.headers.items() if k.lower() != "authorization"}
                request = request.replace(headers=kept)
        raise RegistryError(f"{redact_url(request.url)}: more than {MAX_REDIRECTS} redirects")

    def _send_patiently(self, request: Request) -> Response:
        """Repeat on the statuses that mean "later" and on a lost connection, where that is harmless."""
        attempts = self._attempts()
        while True:
            try:
                response = self._send_once(request)
            except Unreachable as error:
                tell = not self._answered or not request.is_repeatable or isinstance(error, Untrusted)
                if tell or not attempts.again():
                    raise
                continue
            self._answered = True
            if response.status not in LATER or not request.is_repeatable:
                return response
            if not attempts.again(response.headers.get("retry-after", "")):
                return response
            response.close()

    def _send_once(self, request: Request) -> Response:
        headers = {
            "User-Agent": f"daemonless/{__version__}",
            "Accept-Encoding": "identity",
            **request.headers,
        }
        body: _Sent | bytes | None = request.body or None if isinstance(request.body, bytes) else None
        if isinstance(request.body, Content):
            body = _Sent(request.body)
            headers["Content-Length"] = str(request.body.length)
        try:
            with _mapped(request.url):
                answer = self._connections.request(request.method, request.url, headers, body)
        finally:
            if isinstance(body, _Sent):
                body.close()
        if self._debug:
            self._debug(f"{request.method} {redact_url(request.url)}: {answer.status}")
        return Response(answer.status, answer.headers, _Stream(answer, request.url), request.url)


def _redirected(request: Request, response: Response) -> Request:
    location = response.headers.get("location", "")
    url = urljoin(request.url, location)
    parts = urlsplit(url)
    if not location or parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused(f"{redact_url(request.url)} redirects to nowhere")
    if parts.username is not None or parts.password is not None:
        raise Refused(f"{redact_url(request.url)} redirects to an address with a password in it")
    if urlsplit(request.url).scheme == "https" and parts.scheme == "http":
        raise Refused(
            f"{redact_url(request.url)} redirects to {redact_url(url)}, which is not encrypted",
            "the registry, or something on the way to it, is misconfigured",
        )
    if request.method not in ("GET", "HEAD"):
        raise Refused(f"{redact_url(request.url)} redirects a {request.method}")
    return request.replace(url=url)


class _Sent:
    """A Content while it is sent: exactly as long as it says."""

    def __init__(self, content: Content) -> None:
        self._reader = content.open()
        self._left = content.length

    def read(self, amount: int, /) -> bytes:
        data = self._reader.read(min(amount, self._left))
        self._left -= len(data)
        if self._left and not data:
            raise InvalidData(f"what is to be sent ended {self._left} bytes early")
        return data

    def close(self) -> None:
        self._reader.close()


class _Stream:
    """The body of an answer, with our errors."""

    def __init__(self, answer: Answer, url: str) -> None:
        self._answer = answer
        self._url = url

    def read(self, amount: int) -> bytes:
        with _mapped(self._url):
            return self._answer.read(amount)

    def close(self) -> None:
        self._answer.close()


@contextmanager
def _mapped(url: str) -> Iterator[None]:
    """Turn the errors of a connection into ours; no URL in them is shown unredacted."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    try:
        yield
    except TlsFailed as error:
        if error.distrust:
            raise Untrusted(
                f"cannot reach registry {host}: its certificate is not trusted: {error.distrust}",
                f"put its CA into ~/.config/containers/certs.d/{host}/ca.crt, or use --tls-verify=false",
            ) from None
        raise Unreachable(
            f"cannot reach registry {host}: it does not answer with TLS",
            "for a registry without TLS: --tls-verify=false",
        ) from None
    except ProxyFailed:
        raise Unreachable(f"cannot reach registry {host}: the proxy refused", "look at HTTPS_PROXY") from None
    except TimeoutError:
        raise Unreachable(f"cannot reach registry {host}: no answer in time", "try again later") from None
    except (OSError, HTTPException) as error:
        raise Unreachable(f"cannot reach registry {host}: {_reason(error)}", _hint(error)) from None
    except ValueError:  # UnicodeError among them: a name or a header that cannot be
        raise Refused(f"{redact_url(url)} is not a valid address") from None


def _reason(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "the name does not resolve"
    if isinstance(error, OSError) and error.strerror and type(error).__module__ != "ssl":
        return error.strerror
    return "the connection broke"


def _hint(error: Exception | None) -> str:
    if isinstance(error, socket.gaierror):
        return "check the spelling of the registry, and that this machine has network and DNS"
    return "check that the registry runs and that a firewall or proxy does not block it"
