"""Patterns of COPY and ADD: Go's filepath.Match, one component of a path at a time."""

from __future__ import annotations

import re

from daemonless.errors import UsageError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def is_pattern(part: str) -> bool:
    """Return whether a component has a wildcard in it that is not escaped."""
    escaped = False
    for character in part:
        if not escaped and character in "*?[":
            return True
        escaped = not escaped and character == "\\"
    return False


def component(part: str) -> Callable[[str], bool]:
    """Return what tells whether a name matches the component. Raises UsageError for a bad pattern."""
    if not is_pattern(part):
        literal = re.sub(r"\\(.)", r"\1", part)
        return lambda name: name == literal
    matcher = re.compile(_translate(part), re.DOTALL)
    return lambda name: matcher.fullmatch(name) is not None


def _translate(part: str) -> str:
    """Return the regular expression of a component."""
    out: list[str] = []
    at = 0
    while at < len(part):
        character = part[at]
        at += 1
        if character == "*":
            if not (out and out[-1] == ".*"):  # two in a row would cost time and match the same
                out.append(".*")
        elif character == "?":
            out.append(".")
        elif character == "[":
            inner, at = _class(part, at)
            out.append(inner)
        else:
            if character == "\\":
                character, at = _character(part, at - 1)
            out.append(re.escape(character))
    return "".join(out)


def _class(part: str, at: int) -> tuple[str, int]:
    """Return the regular expression of a class whose "[" is passed, and where it ends."""
    negated = part.startswith("^", at)
    at += negated
    ranges: list[tuple[str, str]] = []
    while not (ranges and part.startswith("]", at)):
        if part[at : at + 1] in ("", "-", "]"):
            raise _bad(part)
        low, at = _character(part, at)
        high = low
        if part.startswith("-", at):
            if part[at + 1 : at + 2] in ("", "-", "]"):
                raise _bad(part)
            high, at = _character(part, at + 1)
        ranges.append((low, high))
    inner = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in ranges if low <= high)
    if negated:
        return f"[^{inner}]" if inner else ".", at + 1
    return f"[{inner}]" if inner else "(?!)", at + 1


def _character(part: str, at: int) -> tuple[str, int]:
    """Return one character, which may be escaped, and where the next is."""
    if part.startswith("\\", at):
        at += 1
    if at >= len(part):
        raise _bad(part)
    return part[at], at + 1


def _bad(part: str) -> UsageError:
    return UsageError(f"syntax error in the pattern {printable(part)!r}")
