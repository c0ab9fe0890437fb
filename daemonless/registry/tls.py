"""Which certificates a registry may show, and which one we show it.

System trust, then what containers-certs.d(5) describes: a directory HOST[:PORT] with *.crt (CAs)
and *.cert + *.key (a client's pair), looked for in ~/.config/containers/certs.d,
/etc/containers/certs.d and /etc/docker/certs.d.
"""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Mapping

from daemonless.errors import UsageError
from daemonless.registry.places import config_home

_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


class Trust:
    """What connections with TLS are made with."""

    def __init__(self, context: ssl.SSLContext, bundle: str = "") -> None:
        self._context = context
        self._bundle = bundle
        self._lock = threading.Lock()

    @property
    def context(self) -> ssl.SSLContext:
        """The TLS context; all authorities are read when it is first asked for, which takes 10 ms and more.

        Raises UsageError for an unreadable file of them.
        """
        with self._lock:
            bundle, self._bundle = self._bundle, ""
            if bundle:
                try:
                    is_directory = os.path.isdir(bundle)
                    self._context.load_verify_locations(**{"capath" if is_directory else "cafile": bundle})
                except (OSError, ssl.SSLError) as error:
                    raise UsageError(f"cannot use the certificates in {bundle}: {error}") from None
        return self._context


def load_trust(
    host: str,
    *,
    tls_verify: bool = True,
    cert_dir: str = "",
    env: Mapping[str, str] = os.environ,
    system: str = "/etc",
) -> Trust:
    """Return what to trust for the registry `host` (with its port, if one was given).

    `cert_dir` takes the place of the registry's certs.d directories. `env` gives SSL_CERT_FILE,
    SSL_CERT_DIR, REQUESTS_CA_BUNDLE, HOME and XDG_CONFIG_HOME; `system` is where the system-wide certs.d
    directories lie. Raises UsageError for an unreadable certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cert_dir and not os.path.isdir(cert_dir):
        raise UsageError(f"cannot read the certificates in {cert_dir}: it is not a directory")
    for directory in [cert_dir] if cert_dir else _directories(host, env, system):
        _load_directory(context, directory)
    if not tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return Trust(context)
    given = env.get("REQUESTS_CA_BUNDLE") or env.get("SSL_CERT_FILE")
    bundle = given or next((path for path in _BUNDLES if os.path.exists(path)), None)
    if given and not os.path.exists(given):
        raise UsageError(f"cannot read the CA file {given}", "look at SSL_CERT_FILE and REQUESTS_CA_BUNDLE")
    for name in filter(None, env.get("SSL_CERT_DIR", "").split(":")):
        _load_authorities(context, name)
    return Trust(context, bundle or "")


def _directories(host: str, env: Mapping[str, str], system: str) -> list[str]:
    bases = (f"{config_home(env)}/containers", f"{system}/containers", f"{system}/docker")
    return [path for base in bases if os.path.isdir(path := f"{base}/certs.d/{host}")]


def _load_authorities(context: ssl.SSLContext, directory: str) -> None:
    """Trust the certificates in a directory of SSL_CERT_DIR, whatever its files are called."""
    try:
        names = sorted(os.listdir(directory))
    except OSError as error:
        raise UsageError(f"cannot read {directory}: {error.strerror}", "look at SSL_CERT_DIR") from None
    for name in names:
        try:
            if os.path.isfile(f"{directory}/{name}"):
                context.load_verify_locations(cafile=f"{directory}/{name}")
        except (OSError, ssl.SSLError):
            continue  # not a certificate: such directories hold other things as well


def _load_directory(context: ssl.SSLContext, directory: str) -> None:
    for name in sorted(os.listdir(directory)):
        path = f"{directory}/{name}"
        stem, kind = os.path.splitext(path)
        try:
            if kind == ".crt":
                context.load_verify_locations(cafile=path)
            elif kind == ".cert":
                context.load_cert_chain(path, f"{stem}.key")
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"cannot use the certificate {path}: {error}") from None
