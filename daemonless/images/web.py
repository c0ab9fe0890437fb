"""Archives at http(s) addresses."""

from __future__ import annotations

from urllib.parse import urlsplit

from daemonless.errors import NotFound, UsageError
from daemonless.registry.errors import redact_url
from daemonless.registry.tls import load_trust
from daemonless.registry.transport import HttpTransport, Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_OK, _NOT_FOUND = 200, 404


def open_url(url: str) -> Callable[[int], bytes]:
    """Return what reads the file at an address; it takes how many bytes it may return.

    Raises NotFound, UsageError, or what `daemonless.registry.transport` raises.
    """
    parts = urlsplit(url)
    if not parts.hostname or parts.username is not None or parts.password is not None:
        raise UsageError(f"{redact_url(url)} is not an address that can be fetched")
    response = HttpTransport(load_trust(parts.netloc)).send(Request(method="GET", url=url))
    if response.status != _OK:
        response.close()
        reason = "there is no such file" if response.status == _NOT_FOUND else f"status {response.status}"
        raise NotFound(f"cannot fetch {redact_url(url)}: {reason}")
    return response.read
