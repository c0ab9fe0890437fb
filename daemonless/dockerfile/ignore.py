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

from daemonless.dockerfile.patterns import compiled
from daemonless.errors import UsageError, printable


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
        unknown = []
        while directory not in self._known:
            unknown.append(directory)
            directory = directory.rpartition("/")[0]
        answers = self._known[directory]
        for below in reversed(unknown):
            answers = self._known[below] = self._verdict(below, answers)[1]
        return answers

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
        self._components = [None if "**" in part else compiled(part) for part in cleaned.split("/")]
        self.matches = compiled(cleaned)

    def reaches_below(self, directory: str) -> bool:
        """Return whether it can match something below a directory."""
        parts = directory.split("/")
        for component, part in zip(self._components, parts, strict=False):
            if component is None:
                return True
            if not component(part):
                return False
        return len(self._components) > len(parts)
