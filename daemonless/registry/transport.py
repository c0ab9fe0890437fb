"""HTTP for registries: requests, responses, redirects, retries, limits, TLS.

What a browser-like client does by itself is done here by hand, or not at all, because a registry
is not trusted: no cookies, no .netrc, no automatic redirects, no content decoding, no body without
a bound. Proxies come from the environment as usual.

`Transport` is what the client needs; tests pass a function-like fake or point `HttpTransport` at
a server of their own.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
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
from daemonless.registry.tls import Trust

MAX_REDIRECTS = 5
MAX_ATTEMPTS = 4
MAX_WAIT = 30.0  # seconds of Retry-After that are honoured; longer means "not today"
CONNECT_TIMEOUT = 10.0  # seconds
READ_TIMEOUT = 60.0  # seconds without a single byte

_RETRIED = frozenset((408, 429, 500, 502, 503, 504))
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_E = TypeVar("_E", bound=BaseException)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Request(Record):
    """One HTTP request; `headers` and `body` are the only things sent besides our User-Agent."""

    method: str
    url: str
    headers: Mapping[str, str] = {}  # shared and never changed
    body: bytes = b""
    redirects: bool = True  # whether a redirect may be followed

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
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._debug = debug
        self._sleep = sleep
        self._session = requests.Session()
        self._session.headers.clear()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.auth = _no_auth  # otherwise requests takes credentials from ~/.netrc
        self._verify = trust.verify
        self._session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=8))
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
        """Retry GET and HEAD on the statuses that mean "later", and once on a lost connection."""
        attempts = MAX_ATTEMPTS if request.method in ("GET", "HEAD") else 1
        for attempt in range(1, attempts + 1):
            response = self._send_once(request)
            wait = _wait_of(response.headers.get("retry-after", ""), attempt)
            if response.status not in _RETRIED or attempt == attempts or wait > MAX_WAIT:
                break
            response.close()
            self._sleep(wait)
        return response

    def _send_once(self, request: Request) -> Response:
        headers = {"User-Agent": f"daemonless/{__version__}", "Accept-Encoding": "identity"}
        with _mapped(request.url):
            answer = self._session.request(
                request.method,
                request.url,
                headers={**headers, **request.headers},
                data=request.body or None,
                allow_redirects=False,
                stream=True,
                verify=self._verify,  # said each time: REQUESTS_CA_BUNDLE beats the session's value
                timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
            )
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


def _wait_of(retry_after: str, attempt: int) -> float:
    """Return seconds to wait: Retry-After (RFC 9110 section 10.2.3), else 0.5, 1, 2 ..."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    if retry_after:
        try:
            return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
        except ValueError:
            pass
    return 0.25 * 2.0**attempt


class _Stream:
    """The raw body of a requests answer."""

    def __init__(self, answer: requests.Response) -> None:
        self._answer = answer

    def read(self, amount: int) -> bytes:
        with _mapped(self._answer.url):
            data: bytes = self._answer.raw.read(amount, decode_content=False)
        return data

    def close(self) -> None:
        self._answer.close()


class _TlsAdapter(requests.adapters.HTTPAdapter):
    """Connections made with our own TLS context: system trust, certs.d, client certificates."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        super().__init__(pool_maxsize=8)

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
