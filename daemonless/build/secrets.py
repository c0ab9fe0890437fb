"""The values of `--secret`: for RUN to mount, and to show to servers that ADD fetches from."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from daemonless.errors import DaemonlessError, NotFound, UsageError, printable
from daemonless.files import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.build.runjob import Secret

MAX_SECRET = 500 << 10  # bytes, as BuildKit
_HEADERS = (("HTTP_AUTH_HEADER", ""), ("HTTP_AUTH_TOKEN", "Bearer "))


def value_of(name: str, secret: Secret) -> bytes:
    """Return the value of a secret. Raises NotFound or UsageError."""
    shown = printable(name)
    if secret.env:
        value = os.environb.get(os.fsencode(secret.env))
        if value is None:
            raise NotFound(f"the secret {shown} is to come from the variable {secret.env}, which is not set")
        return value
    try:
        return read_file(secret.path, MAX_SECRET, what=f"the secret {shown}")
    except OSError as error:
        raise NotFound(f"cannot read the secret {shown} from {secret.path}: {error.strerror}") from None
    except DaemonlessError as error:
        raise UsageError(error.message, "a secret may have 500 kB") from None


def authorization(url: str, secrets: tuple[tuple[str, Secret], ...]) -> dict[str, str]:
    """Return the header that lets a server give out `url`, or nothing.

    As with BuildKit the secret HTTP_AUTH_TOKEN_HOST is a bearer token and HTTP_AUTH_HEADER_HOST all of the
    header; HOST may have the port. Raises what `value_of` raises, UsageError for what is no header.
    """
    given = dict(secrets)
    parts = urlsplit(url)
    for host in (parts.netloc, parts.hostname or ""):
        for kind, before in _HEADERS:
            name = f"{kind}_{host}"
            if name in given:
                value = value_of(name, given[name]).strip()
                if not value.isascii() or not value.decode("ascii").isprintable():
                    raise UsageError(f"the secret {printable(name)} is not one line of ASCII to send")
                return {"Authorization": f"{before}{value.decode('ascii')}"}
    return {}
