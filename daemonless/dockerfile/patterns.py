"""Patterns of paths: Go's filepath.Match, and what moby's patternmatcher adds to it.

`*` and `?` stop at a slash, `[a-z]` and `[^a-z]` are classes, a backslash takes what follows as it
is; `**`, which only patternmatcher knows, is any number of directories. A pattern without a
wildcard, which is compared as it is, may contain backslashes.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_WILD = frozenset("*?[\\")


def is_pattern(text: str) -> bool:
    """Return whether there is a wildcard that is not escaped."""
    return re.search(r"^(?:[^\\]|\\.)*?[*?[]", text, re.DOTALL) is not None


def compiled(pattern: str, *, deep: bool = True) -> Callable[[str], bool]:
    """Return what tells whether a path matches. Raises ValueError for a bad pattern.

    Without `deep`, `**` is what it is to filepath.Match: the same as `*`.
    """
    if not _WILD.intersection(pattern):
        return pattern.__eq__
    match = re.compile(_expression(pattern, deep=deep), re.DOTALL).fullmatch
    return lambda path: match(path) is not None


def _expression(pattern: str, *, deep: bool) -> str:
    """Return the regular expression of a pattern. Raises ValueError."""
    chunks = [""]  # what is between two "*"
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*" and deep and pattern.startswith("*", at):
            at += 1 + pattern.startswith("/", at + 1)
            chunks[-1] += ".*" if at >= len(pattern) else "(?:.*/)?"
        elif char == "*":
            chunks.append("")
        elif char == "?":
            chunks[-1] += "[^/]"
        elif char == "[":
            expression, at = _class(pattern, at)
            chunks[-1] += expression
        else:
            if char == "\\":
                char, at = _one(pattern, at - 1)
            chunks[-1] += re.escape(char)
    if deep and "**" in pattern:
        return "[^/]*".join(chunks)
    # Where the first place that fits is as good as any later one, as it is between two "*", a
    # group that is never tried again keeps the time linear; only the last has to reach the end.
    first, *middle, last = chunks if len(chunks) > 1 else (chunks[0], "")
    star = "[^/]*" if len(chunks) > 1 else ""
    return first + "".join(f"(?>[^/]*?{chunk})" for chunk in middle if chunk) + star + last


def _class(pattern: str, at: int) -> tuple[str, int]:
    """Return the expression of the class whose `[` is before `at`, and where it ends."""
    negated = pattern.startswith("^", at)
    at += negated
    ranges: list[str] = []
    while not (ranges and pattern.startswith("]", at)):
        low, at = _one(pattern, at, refused="-]")
        high = low
        if pattern.startswith("-", at):
            high, at = _one(pattern, at + 1, refused="-]")
        ranges.append(f"{re.escape(low)}-{re.escape(high)}" if low <= high else "")
    inner = "".join(ranges)
    if not inner:  # only ranges that hold nothing
        return ("." if negated else "(?!)"), at + 1
    return f"[{'^' * negated}{inner}]", at + 1


def _one(pattern: str, at: int, refused: str = "") -> tuple[str, int]:
    """Return a character that may be escaped, and where it ends."""
    if at < len(pattern) and pattern[at] in refused:
        raise ValueError("a range lacks an end")
    if pattern.startswith("\\", at):
        at += 1
    if at >= len(pattern):
        raise ValueError("it ends too early")
    return pattern[at], at + 1
