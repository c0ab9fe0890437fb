"""Tables, sizes and ages the way podman prints them, without rich (40 ms)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_GAP = 2
_NARROWEST = 12  # podman's tables have no narrower column, the gap included
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return the rows as lines of aligned columns; the last cell of a row is not padded."""
    widths: list[int] = []
    for row in rows:
        for index, cell in enumerate(row[:-1]):
            if index == len(widths):
                widths.append(_NARROWEST)
            widths[index] = max(widths[index], len(cell) + _GAP)
    lines = []
    for row in rows:
        padded = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        lines.append("".join([*padded, *row[-1:]]) + "\n")
    return "".join(lines)


def size(count: int, separator: str = " ") -> str:
    """Return a number of bytes in three digits, decimal units: `7.8 MB`."""
    value = float(count)
    unit = 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value /= 1000
        unit += 1
    digits = f"{value:.3g}" if value < 999.5 else f"{value:.0f}"
    return f"{digits}{separator}{_UNITS[unit]}"


def duration(seconds: float) -> str:
    """Return a length of time the way people say it: `2 minutes`, `About an hour`."""
    whole = int(seconds)
    hours = int(seconds / _HOUR + 0.5)
    if whole < 1:
        return "Less than a second"
    if whole < _MINUTE:
        return "1 second" if whole == 1 else f"{whole} seconds"
    if whole < _HOUR:
        minutes = whole // _MINUTE
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    for unit, length, limit in (("days", 24, 14), ("weeks", 24 * 7, 60), ("months", 24 * 30, 730)):
        if hours < limit * 24:
            return f"{hours // length} {unit}"
    return f"{whole // _DAY // 365} years"


def ago(seconds: float) -> str:
    """Return how long ago something was; a future time, of a skewed clock, counts as now."""
    return f"{duration(seconds)} ago"


def go_time(text: str) -> str:
    """Return an RFC 3339 time in UTC as Go prints a time: `2026-11-24 10:00:00.5 +0000 UTC`."""
    date, _, clock = text.partition("T")
    return f"{date} {clock.removesuffix('Z')} +0000 UTC"


def shorten(text: str, width: int) -> str:
    """Return `text` in at most `width` characters and three dots."""
    return text if len(text) <= width else f"{text[:width]}..."
