"""HTTP for registries: requests, responses, redirects, retries, limits, TLS.

What a browser-like client does by itself is done here by hand, or not at all, because a registry
is not trusted: no cookies, no .netrc, no automatic redirects, no content decoding, no body without
a bound. Proxies come from the environment as usual.

`Transport` is what the client needs; tests pass a function-like fake or point `HttpTransport` at
a server of their own.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Protocol, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import requests.adapters
import urllib3

from daemonless import __version__
from daemonless.errors import InvalidData
from daemonless.record import Record
from daemonless.registry.errors import Refused, RegistryError, Unreachable, Untrusted, redact_url
from daemonless.registry.retry import LATER, Attempts, Retry
from daemonless.registry.tls import Trust

MAX_REDIRECTS = 5
CONNECT_TIMEOUT = 10.0  # seconds
READ_TIMEOUT = 60.0  # seconds without a single byte
SEND_BLOCK = 1 << 18  # bytes of a streamed body in memory

_IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE")
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_E = TypeVar("_E", bound=BaseException)
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
        parts, total = [], 0
        try:
            while part := self.read(min(1 << 16, limit + 1 - total)):
                parts.append(part)
                total += len(part)
                if total > limit:
                    raise InvalidData(f"{what} is larger than {limit} bytes")
        finally:
            self.close()
        return b"".join(parts)

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
    """A Transport on requests. May be used by several threads at once."""

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
        self._session = requests.Session()
        self._session.headers.clear()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.auth = _no_auth  # otherwise requests takes credentials from ~/.netrc
        self._verify = trust.verify
        self._session.mount("http://", _Adapter())
        self._session.mount("https://", _TlsAdapter(trust))
        if not trust.verify:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

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
        headers = {"User-Agent": f"daemonless/{__version__}", "Accept-Encoding": "identity"}
        body = _Sent(request.body) if isinstance(request.body, Content) else request.body or None
        try:
            with _mapped(request.url):
                answer = self._session.request(
                    request.method,
                    request.url,
                    headers={**headers, **request.headers},
                    data=body,
                    allow_redirects=False,
                    stream=True,
                    verify=self._verify,  # said each time: REQUESTS_CA_BUNDLE beats the session's value
                    timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
                )
        finally:
            if isinstance(body, _Sent):
                body.close()
        if self._debug:
            self._debug(f"{request.method} {redact_url(request.url)}: {answer.status_code}")
        return Response(answer.status_code, answer.headers, _Stream(answer), request.url)


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


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
    """A Content in the shape in which requests takes a body with a Content-Length."""

    def __init__(self, content: Content) -> None:
        self._reader = content.open()
        self._length = self._left = content.length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        while data := self.read():
            yield data

    def read(self, amount: int = SEND_BLOCK) -> bytes:
        data = self._reader.read(min(amount, self._left))
        self._left -= len(data)
        if self._left and not data:
            raise InvalidData(f"what is to be sent ended {self._left} bytes early")
        return data

    def close(self) -> None:
        self._reader.close()


class _Stream:
    """The raw body of a requests answer."""

    def __init__(self, answer: requests.Response) -> None:
        self._answer = answer

    def read(self, amount: int) -> bytes:
        with _mapped(self._answer.url):
            # read1 returns what there is: a peer that trickles must not hold us until `amount` is full
            data: bytes = self._answer.raw.read1(amount, decode_content=False)
        return data

    def close(self) -> None:
        self._answer.close()


class _Adapter(requests.adapters.HTTPAdapter):
    """Connections for several threads."""

    def __init__(self) -> None:
        super().__init__(pool_maxsize=8)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options, blocksize=SEND_BLOCK)


class _TlsAdapter(_Adapter):
    """Connections made with our own TLS context: system trust, certs.d, client certificates."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options, ssl_context=self._trust.context)

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        return super().proxy_manager_for(*args, **options, ssl_context=self._trust.context)


@contextmanager
def _mapped(url: str) -> Iterator[None]:
    """Turn the exceptions of requests and urllib3 into ours; no URL in them is shown unredacted."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    try:
        yield
    except requests.exceptions.SSLError as error:
        reason = _find(error, ssl.SSLCertVerificationError)
        if reason is None:
            raise Unreachable(
                f"cannot reach registry {host}: it does not answer with TLS",
                "for a registry without TLS: --tls-verify=false",
            ) from None
        raise Untrusted(
            f"cannot reach registry {host}: its certificate is not trusted: {reason.verify_message}",
            f"put its CA into ~/.config/containers/certs.d/{host}/ca.crt, or use --tls-verify=false",
        ) from None
    except requests.exceptions.ProxyError:
        raise Unreachable(f"cannot reach registry {host}: the proxy refused", "look at HTTPS_PROXY") from None
    except (requests.exceptions.Timeout, urllib3.exceptions.ReadTimeoutError, TimeoutError):
        raise Unreachable(f"cannot reach registry {host}: no answer in time", "try again later") from None
    except (requests.exceptions.ConnectionError, urllib3.exceptions.HTTPError, OSError) as error:
        if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema)):
            raise Refused(f"{redact_url(url)} is not a valid address") from None
        raise Unreachable(f"cannot reach registry {host}: {_reason(error)}", _hint(error)) from None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what it wraps: causes, contexts, urllib3's reason, first arguments."""
    seen: list[BaseException] = []
    queue: list[object] = [error]
    while queue:
        item = queue.pop(0)
        if not isinstance(item, BaseException) or any(item is known for known in seen):
            continue
        seen.append(item)
        yield item
        queue += [getattr(item, "reason", None), item.__cause__, item.__context__, *item.args]


def _find(error: BaseException, kind: type[_E]) -> _E | None:
    return next((item for item in _chain(error) if isinstance(item, kind)), None)


def _reason(error: BaseException) -> str:
    for item in _chain(error):
        if isinstance(item, urllib3.exceptions.NameResolutionError):
            return "the name does not resolve"
        if isinstance(item, OSError) and item.strerror and not isinstance(item, requests.RequestException):
            return item.strerror
    return "the connection broke"


def _hint(error: BaseException) -> str:
    if _find(error, urllib3.exceptions.NameResolutionError):
        return "check the spelling of the registry, and that this machine has network and DNS"
    return "check that the registry runs and that a firewall or proxy does not block it"
