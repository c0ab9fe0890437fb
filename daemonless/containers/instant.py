"""Points in time as people write them, for --since and --until."""

from __future__ import annotations

import time

from daemonless.clock import duration, timestamp
from daemonless.errors import UsageError


def parse_instant(text: str, now: int) -> str:
    """Return a moment as the log's timestamps write it, so that strings compare as times do.

    Takes RFC 3339, a date or date and time without a zone (local), seconds since the epoch with
    or without a fraction, and Go durations such as `10m` or `1h30m` before `now` (ns since the
    epoch). Raises UsageError.
    """
    ago = duration(text)
    nanoseconds = now - ago if ago is not None else _seconds(text)
    if nanoseconds is None:
        nanoseconds = rfc3339(text)
    if nanoseconds is not None:
        return timestamp(nanoseconds)
    raise UsageError(
        f"invalid time {text!r}", "write it like 2026-11-23T20:42:00Z, 1795466520 or 10m (ten minutes ago)"
    )


def _seconds(text: str) -> int | None:
    whole, _, fraction = text.partition(".")
    if not (whole.isascii() and whole.isdigit() and (not fraction or fraction.isdigit())):
        return None
    return int(whole) * 10**9 + int(fraction[:9].ljust(9, "0"))


def rfc3339(text: str) -> int | None:
    """Return an RFC 3339 time in nanoseconds since the epoch, or None if it is not one."""
    date, separator, clock = text.replace(" ", "T", 1).partition("T")
    if separator and not clock:
        return None
    zone: int | None = None
    if clock.endswith(("Z", "z")):
        clock, zone = clock[:-1], 0
    elif len(clock) > 6 and clock[-6] in "+-" and clock[-3] == ":":
        hours, minutes = clock[-5:-3], clock[-2:]
        if not (hours.isdigit() and minutes.isdigit()):
            return None
        zone = (int(hours) * 3600 + int(minutes) * 60) * (1 if clock[-6] == "+" else -1)
        clock = clock[:-6]
    clock, _, fraction = clock.partition(".")
    numbers = date.split("-") + (clock.split(":") if clock else [])
    if not all(part.isascii() and part.isdigit() for part in numbers) or (
        fraction and not fraction.isdigit()
    ):
        return None
    if len(numbers) not in (3, 5, 6):
        return None
    year, month, day, hour, minute, second = [int(part) for part in numbers] + [0] * (6 - len(numbers))
    nanoseconds = int(fraction[:9].ljust(9, "0") if fraction else 0)
    if zone is not None:
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return None
        clock_seconds = hour * 3600 + minute * 60 + second
        return (_days(year, month, day) * 86400 + clock_seconds - zone) * 10**9 + nanoseconds
    try:
        local = time.mktime((year, month, day, hour, minute, second, 0, 0, -1))
    except (OverflowError, ValueError):
        return None
    return int(local) * 10**9 + nanoseconds


def _days(year: int, month: int, day: int) -> int:
    """Return the days from 1970-01-01 to a date; `calendar` and `datetime` cost 3 ms to import.

    Years begin on 1 March here, so that the leap day is the last one of its year.
    """
    year -= month < 3
    month = (month + 9) % 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - 719469
