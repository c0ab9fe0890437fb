"""Signals by name and number, as containers, images and Dockerfiles write them (signal(7))."""

from __future__ import annotations

import _signal


def signal_number(value: str) -> int | None:
    """Return the number of `TERM`, `sigterm`, `15`, `RTMIN+3`; None if there is no such signal."""
    text = value.strip()
    if text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= 64:
        return int(text)
    name = text.upper().removeprefix("SIG")
    for base, sign, first in (("RTMIN", "+", _signal.SIGRTMIN), ("RTMAX", "-", _signal.SIGRTMAX)):
        if name == base:
            return int(first)
        offset = name.removeprefix(base + sign)
        if offset != name and offset.isascii() and offset.isdigit() and len(offset) < 3:
            result = int(first) + (int(offset) if sign == "+" else -int(offset))
            if _signal.SIGRTMIN <= result <= _signal.SIGRTMAX:
                return result
    found = (
        getattr(_signal, "SIG" + name, None) if name.isalnum() and name not in ("BLOCK", "UNBLOCK") else None
    )
    return int(found) if isinstance(found, int) and found >= 1 else None
