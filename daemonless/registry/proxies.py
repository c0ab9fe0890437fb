"""Which proxy leads to a server: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in either case.

As curl and Python's urllib read them: what is in lower case counts first. A proxy is spoken to without TLS,
also about a server that is not.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from daemonless.errors import Unsupported
from daemonless.record import Record
from daemonless.registry.auth import basic_header, is_loopback
from daemonless.registry.errors import redact_url

_PORT = 80


class Proxy(Record):
    """Where a proxy is, and what it is told of us."""

    host: str
    port: int
    authorization: str = ""


def find_proxy(scheme: str, host: str, port: int, env: Mapping[str, str] = os.environ) -> Proxy | None:
    """Return the proxy to a server, or None if it is asked itself.

    This machine is, whatever NO_PROXY says. Raises Unsupported for one that speaks something else than http.
    """
    if is_loopback(host):
        return None
    given = _variable(env, f"{scheme}_proxy") or _variable(env, "all_proxy")
    if not given or _is_direct(_variable(env, "no_proxy"), host, port):
        return None
    parts = urlsplit(given if "://" in given else f"http://{given}")
    try:
        at = parts.port or _PORT
    except ValueError:
        at = 0
    if parts.scheme != "http" or not parts.hostname or not at:
        raise Unsupported(
            f"the proxy {redact_url(given)} cannot be used: it is not http://HOST:PORT",
            f"look at {scheme.upper()}_PROXY",
        )
    authorization = ""
    if parts.username is not None:
        authorization = basic_header(unquote(parts.username), unquote(parts.password or ""))
    return Proxy(host=parts.hostname, port=at, authorization=authorization)


def _variable(env: Mapping[str, str], name: str) -> str:
    return env.get(name) or env.get(name.upper()) or ""


def _is_direct(exceptions: str, host: str, port: int) -> bool:
    """Return whether NO_PROXY has a server: by its name, a domain above it, its address or network."""
    for entry in exceptions.replace(" ", "").split(","):
        name = entry.lstrip(".").lower()
        if not name:
            continue
        if name == "*" or name in (host, f"{host}:{port}") or host.endswith(f".{name}"):
            return True
        if f"{host}:{port}".endswith(f".{name}") or ("/" in name and _is_within(host, name)):
            return True
    return False


def _is_within(host: str, network: str) -> bool:
    import ipaddress  # noqa: PLC0415 - 5 ms that few need

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
