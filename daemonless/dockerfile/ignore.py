"""`.dockerignore`: which paths of a context are left out, as moby's patternmatcher says.

A pattern matches a path component by component (`*`, `?`, `[a-z]`; `**` is any number of
directories); one that matches a directory covers all below it; the last that matches decides, and
`!` re-includes. e2b_dockerfile_utils has the same rules and the tests compare the two; it asks
every pattern about every parent of every path, which for 20,000 files takes half a second, so here
the answers of a directory are kept.
"""

from __future__ import annotations

import posixpath
import re

from daemonless.errors import UsageError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class IgnoreMatcher:
    """Patterns in the order of their lines. Paths are relative, without a leading slash or `.`."""

    def __init__(self, patterns: list[_Pattern]) -> None:
        self.patterns = tuple(pattern.text for pattern in patterns)
        self._patterns = patterns
        self._exceptions = [pattern for pattern in patterns if pattern.includes]
        self._known: dict[str, list[bool]] = {"": [False] * len(patterns)}

    def excludes(self, path: str) -> bool:
        """Return whether the file or directory is left out."""
        return self._verdict(path, self._answers_of(path.rpartition("/")[0]))[0]

    def may_reinclude_below(self, directory: str) -> bool:
        """Return whether something below a directory that is left out may be taken nevertheless."""
        return any(pattern.reaches_below(directory) for pattern in self._exceptions)

    def _answers_of(self, directory: str) -> list[bool]:
        """Return which patterns have matched the directory or one above it."""
        known = self._known.get(directory)
        if known is None:
            above = self._answers_of(directory.rpartition("/")[0])
            known = self._known[directory] = self._verdict(directory, above)[1]
        return known

    def _verdict(self, path: str, above: list[bool]) -> tuple[bool, list[bool]]:
        """Return whether a path is left out, and which patterns have matched it.

        A pattern that would change nothing is not asked, and counts as one that has not matched
        for what is below: moby's order, which shows in `a`, `!a/b`, `a`: a/b is taken.
        """
        excluded = False
        answers = []
        for pattern, inherited in zip(self._patterns, above, strict=True):
            matched = inherited or (pattern.includes == excluded and pattern.matches(path))
            answers.append(matched)
            if matched:
                excluded = not pattern.includes
        return excluded, answers


def parse_ignore(text: bytes, name: str = ".dockerignore") -> IgnoreMatcher:
    """Return the matcher of a file's content. Raises UsageError, which names the line."""
    lines = text.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").split("\n")
    found = []
    for number, line in enumerate(lines, 1):
        if line.startswith("#") or not line.strip():
            continue
        try:
            found.append(_Pattern(line.strip()))
        except (ValueError, re.error):
            raise UsageError(
                f"{printable(name)}:{number}: {printable(line.strip())!r} is not a pattern",
                "see the rules for .dockerignore; write [ as \\[",
            ) from None
    return IgnoreMatcher(found)


class _Pattern:
    """One line. Raises ValueError or re.error if it is none."""

    def __init__(self, text: str) -> None:
        self.includes = text.startswith("!")
        text = text[1:].strip() if self.includes else text
        if not text:
            raise ValueError("nothing follows the !")
        cleaned = posixpath.normpath(text)
        if len(cleaned) > 1:
            cleaned = cleaned.lstrip("/")
        self.text = "!" * self.includes + cleaned
        self._components = [None if "**" in part else _compiled(part) for part in cleaned.split("/")]
        self.matches = _compiled(cleaned)

    def reaches_below(self, directory: str) -> bool:
        """Return whether it can match something below a directory."""
        parts = directory.split("/")
        for component, part in zip(self._components, parts, strict=False):
            if component is None:
                return True
            if not component(part):
                return False
        return len(self._components) > len(parts)


_WILD = frozenset("*?[\\")


def _compiled(pattern: str) -> Callable[[str], bool]:
    if not _WILD.intersection(pattern):
        return pattern.__eq__
    match = re.compile(_expression(pattern), re.DOTALL).fullmatch
    return lambda path: match(path) is not None


def _expression(pattern: str) -> str:
    """Return the regular expression of a pattern. Raises ValueError."""
    out = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*" and pattern.startswith("*", at):
            at += 1 + pattern.startswith("/", at + 1)
            out.append(".*" if at >= len(pattern) else "(?:.*/)?")
        elif char == "*":
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "[":
            expression, at = _class(pattern, at)
            out.append(expression)
        else:
            if char == "\\":
                char, at = _one(pattern, at - 1)
            out.append(re.escape(char))
    return "".join(out)


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
