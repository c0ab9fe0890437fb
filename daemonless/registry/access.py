"""How to talk to registries: what the options of `pull`, `push` and others say, for all of them."""

from __future__ import annotations

from collections.abc import Callable

from daemonless.record import Record
from daemonless.registry.client import RegistryClient, open_registry
from daemonless.registry.credentials import find_credential, parse_creds
from daemonless.registry.registries import Endpoint
from daemonless.registry.retry import Retry


class Access(Record):
    """What is not given is found out as usual: credentials in the user's files, trust in the system's."""

    credentials: str = ""  # USER:PASSWORD, for registries and not for their mirrors
    authfile: str = ""  # where else to look for credentials
    tls_verify: bool | None = None  # None: demanded, but not on this machine or where registries.conf says so
    cert_dir: str = ""  # as for `open_registry`
    retry: Retry = Retry()
    debug: Callable[[str], None] | None = None

    def connect(self, endpoint: Endpoint) -> RegistryClient:
        """Return a client for the place of an image; nothing is sent yet. Raises UsageError."""
        reference = endpoint.reference
        credential = (
            parse_creds(self.credentials)
            if self.credentials and not endpoint.is_mirror
            else find_credential(reference.domain, reference.path, authfile=self.authfile)
        )
        return open_registry(
            reference.domain,
            credential=credential,
            tls_verify=False if endpoint.insecure and self.tls_verify is None else self.tls_verify,
            cert_dir=self.cert_dir,
            # there are others to ask instead of a mirror
            retry=Retry(times=min(1, self.retry.times)) if endpoint.is_mirror else self.retry,
            debug=self.debug,
        )
