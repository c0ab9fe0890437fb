"""Which certificates a registry may show, and which one we show it.

System trust, then what containers-certs.d(5) describes: a directory HOST[:PORT] with *.crt (CAs)
and *.cert + *.key (a client's pair), looked for in ~/.config/containers/certs.d,
/etc/containers/certs.d and /etc/docker/certs.d.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping

from daemonless.errors import UsageError
from daemonless.registry.places import config_home

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl  # takes 5 ms to import, for connections that may never come

_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


class Trust:
    """What connections with TLS are made with."""

    def __init__(self, make: Callable[[], ssl.SSLContext]) -> None:
        self._make = make
        self._context: ssl.SSLContext | None = None
        self._lock = threading.Lock()

    @property
    def context(self) -> ssl.SSLContext:
        """The TLS context; it is made, and certificates are read, when it is first asked for: 5 to 50 ms.

        Raises UsageError for certificates that cannot be read.
        """
        with self._lock:
            if self._context is None:
                self._context = self._make()
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
    directories lie. Raises UsageError for what was named and is not there.
    """
    if cert_dir and not os.path.isdir(cert_dir):
        raise UsageError(f"cannot read the certificates in {cert_dir}: it is not a directory")
    directories = [cert_dir] if cert_dir else _directories(host, env, system)
    if not tls_verify:
        return Trust(lambda: _make_context(directories, verify=False))
    given = env.get("REQUESTS_CA_BUNDLE") or env.get("SSL_CERT_FILE")
    bundle = given or next((path for path in _BUNDLES if os.path.exists(path)), None)
    if given and not os.path.exists(given):
        raise UsageError(f"cannot read the CA file {given}", "look at SSL_CERT_FILE and REQUESTS_CA_BUNDLE")
    more = [name for name in env.get("SSL_CERT_DIR", "").split(":") if name]
    return Trust(lambda: _make_context(directories, bundle or "", more))


def _make_context(
    directories: Iterable[str], bundle: str = "", more: Iterable[str] = (), *, verify: bool = True
) -> ssl.SSLContext:
    """Return a context with what is in some directories of certs.d, a file or directory, and `more` of these.

    Raises UsageError for an unreadable certificate.
    """
    import ssl  # noqa: PLC0415 - see above

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    for directory in directories:
        _load_directory(context, directory)
    for name in more:
        _load_authorities(context, name)
    if bundle:
        try:
            is_directory = os.path.isdir(bundle)
            context.load_verify_locations(**{"capath" if is_directory else "cafile": bundle})
        except OSError as error:
            raise UsageError(f"cannot use the certificates in {bundle}: {error}") from None
    return context


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
        except OSError:  # ssl.SSLError is one
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
        except OSError as error:
            raise UsageError(f"cannot use the certificate {path}: {error}") from None
