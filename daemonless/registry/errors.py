"""What can go wrong with a registry, and the one place that takes secrets out of messages.

DaemonlessError
├── RegistryError          the registry answered, but not with what was asked for
│   ├── Unauthorized       401 or 403: credentials are missing, wrong or not enough
│   └── Refused            going on would break a security rule (realm, redirect, downgrade)
├── Unreachable            no answer: name, network or time
│   └── Untrusted          an answer, but with a certificate nobody vouches for
└── NotFound               404 (daemonless.errors)
"""

from __future__ import annotations

from urllib.parse import urlsplit

from daemonless.errors import DaemonlessError, printable


class RegistryError(DaemonlessError):
    """The registry answered something we cannot use."""


class Unauthorized(RegistryError):
    """The registry wants other credentials than it got."""


class Refused(RegistryError):
    """The registry asked for something that would endanger credentials or content."""


class Unreachable(DaemonlessError):
    """The registry could not be reached."""


class Untrusted(Unreachable):
    """The registry's certificate is not trusted."""


def redact_url(url: str) -> str:
    """Return a URL fit for people: no user information, no query values, no control characters.

    All query values go, because the links registries redirect to are signed: whoever reads one
    may fetch with it.
    """
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "(malformed URL)"
    query = "&".join(f"{pair.partition('=')[0]}=***" for pair in parts.query.split("&") if pair)
    shown = f"{parts.scheme}://{host}{parts.path}" + (f"?{query}" if query else "")
    return printable(shown, 300)
