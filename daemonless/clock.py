"""Wall-clock times as all our files hold them, and lengths of time as people write them."""

from __future__ import annotations

import os
import time

from daemonless.errors import InvalidData

_UNITS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


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
    return timestamp(epoch_of(epoch, "SOURCE_DATE_EPOCH") * 10**9) if epoch else timestamp()


def epoch_of(text: str, what: str) -> int:
    """Return the seconds since the epoch that `text` says. Raises InvalidData naming `what`."""
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise InvalidData(f"{what} is not a number of seconds")
    return int(text)


def duration(text: str) -> int | None:
    """Return a Go duration such as `1h30m` in nanoseconds, or None if it is not one."""
    total = 0
    number = ""
    position = 0
    while position < len(text):
        if text[position] in "0123456789.":
            number += text[position]
            position += 1
            continue
        unit = text[position : position + 2] if text[position : position + 2] in _UNITS else text[position]
        if unit not in _UNITS or not number or number.count(".") > 1 or number == "." or len(number) > 30:
            return None
        total += int(float(number) * _UNITS[unit])
        number = ""
        position += len(unit)
    return total if text and not number else None
