"""Wall-clock times as all our files hold them."""

from __future__ import annotations

import time


def timestamp(nanoseconds: int | None = None) -> str:
    """Return a time as RFC 3339 in UTC with nanoseconds; now, unless given (ns since the epoch)."""
    now = time.time_ns() if nanoseconds is None else nanoseconds
    t = time.gmtime(now // 1_000_000_000)
    return (
        f"{t.tm_year:04}-{t.tm_mon:02}-{t.tm_mday:02}T"
        f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}.{now % 1_000_000_000:09}Z"
    )
