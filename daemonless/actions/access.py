"""How to talk to registries, as the options of a command say."""

from __future__ import annotations

from daemonless.clock import duration
from daemonless.errors import UsageError
from daemonless.registry.access import Access
from daemonless.registry.retry import Retry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def registry_access(args: Args) -> Access:
    """Return it; raises UsageError for unusable options."""
    return Access(
        credentials=args.creds or "",
        authfile=args.authfile or "",
        tls_verify=args.tls_verify,
        cert_dir=args.cert_dir or "",
        retry=Retry(times=args.retry, delay=_delay(args.retry_delay)),
        debug=args.debug,
    )


def _delay(text: str | None) -> float | None:
    """Return seconds of a Go duration, or of a plain number."""
    if text is None:
        return None
    nanoseconds = duration(text if not text.isdigit() else f"{text}s")
    if nanoseconds is None:
        raise UsageError(f"invalid time {text!r}", "write it like 2s or 1m30s")
    return nanoseconds / 1e9
