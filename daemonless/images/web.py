"""Files at http(s) addresses: what `import`, ADD and build contexts fetch.

With requests, which knows every kind of proxy and server. Registries are spoken to by a transport of
their own (`daemonless.registry.transport`): importing requests takes as long as pulling a small image.
The servers are not trusted more than a registry: no cookies, no .netrc, no decoding of content, and no
redirect from https to http.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from daemonless import __version__
from daemonless.errors import NotFound, UsageError
from daemonless.files import read_stream
from daemonless.registry.errors import Refused, Unreachable, redact_url
from daemonless.registry.tls import Trust, load_trust

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_TIMEOUTS = 10, 60  # seconds to connect, and between two pieces of an answer
_MAX_REDIRECTS = 10
_OK, _GONE = 200, (404, 410)
_NO_HEADERS: Mapping[str, str] = {}  # shared and never changed


class Download:
    """A file on its way; to be closed."""

    def __init__(self, session: requests.Session, answer: requests.Response) -> None:
        self._session = session
        self._answer = answer
        self.headers: Mapping[str, str] = answer.headers  # whatever the case of their names

    def read(self, amount: int) -> bytes:
        """Return up to `amount` bytes, what there is, b"" at the end. Raises Unreachable."""
        try:
            data: bytes = self._answer.raw.read1(amount, decode_content=False)
        except Exception as error:  # urllib3's, the standard library's
            raise Unreachable(f"cannot fetch {redact_url(self._answer.url)}: the connection broke") from error
        return data

    def read_all(self, limit: int, what: str) -> bytes:
        """Return all of it, and close. Raises InvalidData past `limit` bytes."""
        try:
            return read_stream(self.read, limit, what)
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection."""
        self._answer.close()
        self._session.close()


def open_url(url: str, headers: Mapping[str, str] = _NO_HEADERS) -> Download:
    """Ask for the file at an address; `headers` go to its own server only.

    Raises NotFound if there is none, UsageError for no address, Unreachable, Refused.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.username is not None or parts.password is not None:
        raise UsageError(f"{redact_url(url)} is not an address that can be fetched")
    session = _Session(load_trust(parts.netloc))
    try:
        return Download(session, _get(session, url, headers))
    except BaseException:
        session.close()
        raise


def _get(session: _Session, url: str, headers: Mapping[str, str]) -> requests.Response:
    try:
        answer = session.get(url, headers=headers, stream=True, timeout=_TIMEOUTS)
    except requests.exceptions.TooManyRedirects:
        raise Refused(f"{redact_url(url)}: more than {_MAX_REDIRECTS} redirects") from None
    except requests.exceptions.InvalidURL:
        raise UsageError(f"{redact_url(url)} is not an address that can be fetched") from None
    except requests.exceptions.RequestException as error:
        reason, hint = _reason(error)
        raise Unreachable(f"cannot fetch {redact_url(url)}: {reason}", hint) from None
    if answer.status_code != _OK:
        answer.close()
        gone = answer.status_code in _GONE
        reason = "there is no such file" if gone else f"the server answers {answer.status_code}"
        raise NotFound(f"cannot fetch {redact_url(url)}: {reason}")
    return answer


class _Session(requests.Session):
    """One fetch: requests without what it does on its own."""

    def __init__(self, trust: Trust) -> None:
        super().__init__()
        self.headers.clear()
        self.headers.update({"User-Agent": f"daemonless/{__version__}", "Accept-Encoding": "identity"})
        self.auth = lambda request: request  # otherwise it takes credentials from ~/.netrc
        self.max_redirects = _MAX_REDIRECTS
        self.mount("https://", _TlsAdapter(trust))

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where an answer redirects to. Raises Refused for an address that is not encrypted."""
        target: str | None = super().get_redirect_target(resp)
        if target and resp.url.startswith("https:") and target.lower().startswith("http:"):
            resp.close()
            raise Refused(f"{redact_url(resp.url)} redirects to {redact_url(target)}, which is not encrypted")
        return target

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Send no cookies, and no credentials to another server."""
        prepared_request.headers.pop("Cookie", None)
        before, after = urlsplit(response.request.url), urlsplit(prepared_request.url)
        if (before.scheme, before.netloc) != (after.scheme, after.netloc):
            prepared_request.headers.pop("Authorization", None)


class _TlsAdapter(HTTPAdapter):
    """Connections made with our own TLS context: system trust, certs.d, client certificates."""

    def __init__(self, trust: Trust) -> None:
        self._context = trust.context
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Give the context to direct connections."""
        super().init_poolmanager(*args, **options, ssl_context=self._context)

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """Give it to those through a proxy, too."""
        return super().proxy_manager_for(*args, **options, ssl_context=self._context)

    def cert_verify(self, conn: Any, url: str, verify: object, cert: object) -> None:
        """Leave to the context what is trusted; requests would add a list of its own."""


def _reason(error: requests.exceptions.RequestException) -> tuple[str, str]:
    """Return why a server was not reached, and what to do about it."""
    text = str(error)
    if isinstance(error, requests.exceptions.SSLError):
        untrusted = "CERTIFICATE_VERIFY_FAILED" in text
        reason = "its certificate is not trusted" if untrusted else "it does not answer with TLS"
        return reason, "name the authority's file in SSL_CERT_FILE" if untrusted else ""
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy refused", "look at HTTPS_PROXY and HTTP_PROXY"
    if isinstance(error, requests.exceptions.Timeout):
        return "no answer in time", "try again later"
    if "NameResolutionError" in text or "Name or service not known" in text:
        return "the name does not resolve", "check the spelling, and that this machine has network and DNS"
    if "Connection refused" in text:
        return "Connection refused", ""
    return "the connection broke", ""
