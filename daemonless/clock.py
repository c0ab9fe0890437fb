"""Wall-clock times as all our files hold them."""

from __future__ import annotations

import os
import time

from daemonless.errors import InvalidData


def timestamp(nanoseconds: int | None = None) -> str:
    """Return a time as RFC 3339 in UTC with nanoseconds; now, unless given (ns since the epoch)."""
    now = time.time_ns() if nanoseconds is None else nanoseconds
    t = time.gmtime(now // 1_000_000_000)
    return (
        f"{t.tm_year:04}-{t.tm_mon:02}-{t.tm_mday:02}T"
        f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}.{now % 1_000_000_000:09}Z"
    )


def creation_time() -> str:
    """Return the time that something new was made: now, or SOURCE_DATE_EPOCH for a reproducible one.

    Raises InvalidData if that is not a number of seconds.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not epoch:
        return timestamp()
    if not (epoch.isascii() and epoch.isdigit() and len(epoch) < 12):
        raise InvalidData("SOURCE_DATE_EPOCH is not a number of seconds")
    return timestamp(int(epoch) * 10**9)
