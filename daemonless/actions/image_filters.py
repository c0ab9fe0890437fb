"""`images --filter`: which images are listed. Equal keys are alternatives, but labels all count."""

from __future__ import annotations

import time

from daemonless.clock import timestamp
from daemonless.containers.instant import parse_instant, rfc3339
from daemonless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from daemonless.images.store import Image, ImageStore

    Test = Callable[[Image], bool]


class Filters:
    """The parsed filters, and the reference a person may give beside them.

    Raises UsageError for a filter that is none, NotFound for `before` and `since` of an image
    that does not exist.
    """

    def __init__(self, filters: Iterable[str], store: ImageStore, reference: str | None) -> None:
        self._store = store
        self._tests: dict[str, list[Test]] = {}
        self._patterns: list[str] = [reference] if reference else []
        for text in filters:
            key, equals, value = text.partition("=")
            if not equals:
                raise UsageError(f'invalid filter "{text}"', "write it like label=KEY or dangling=true")
            if key == "reference":
                self._patterns.append(value)
            else:
                self._tests.setdefault(key, []).append(self._test(key, value))

    def let_through(self, image: Image) -> bool:
        """Return whether an image passes all filters that concern it as a whole."""
        return all(
            (all if key in ("label", "label!") else any)(test(image) for test in tests)
            for key, tests in self._tests.items()
        )

    def shows_name(self, name: str) -> bool:
        """Return whether a name (empty for a nameless image) matches the references asked for."""
        return not self._patterns or any(matches_reference(pattern, name) for pattern in self._patterns)

    def _test(self, key: str, value: str) -> Test:
        if key == "dangling":
            wanted = _boolean(key, value)
            return lambda image: (not image.names) == wanted
        if key in ("label", "label!"):
            name, equals, content = value.partition("=")
            wanted = key == "label"
            return lambda image: (
                wanted == (name in image.labels and (not equals or image.labels[name] == content))
            )
        if key == "id":
            prefix = value.removeprefix("sha256:")
            return lambda image: image.id.partition(":")[2].startswith(prefix)
        if key in ("before", "since"):
            limit = _moment(self._store.resolve(value))
            return lambda image: _moment(image) < limit if key == "before" else _moment(image) > limit
        if key == "until":
            end = parse_instant(value, time.time_ns())
            return lambda image: _moment(image) < end
        raise UsageError(
            f'unknown filter "{key}"',
            "the filters are before, dangling, id, label, reference, since and until",
        )


def _boolean(key: str, value: str) -> bool:
    if value.lower() in ("true", "1", "t"):
        return True
    if value.lower() in ("false", "0", "f"):
        return False
    raise UsageError(f"the filter {key}={value} is neither true nor false")


def _moment(image: Image) -> str:
    """Return when the image was created, in a form whose order is that of time."""
    return timestamp(rfc3339(image.created) or 0)


def matches_reference(pattern: str, name: str) -> bool:
    """Return whether a shell pattern matches a full name, or its end from some slash on.

    The pattern may leave the tag out; `*` and `?` do not match a slash, as in Go's path.Match.
    """
    repository = name.partition("@")[0]
    if "@" not in name and name:
        repository = name.rpartition(":")[0]
    parts = name.split("/")
    short = repository.split("/")
    ends = ["/".join(parts[start:]) for start in range(len(parts))]
    ends += ["/".join(short[start:]) for start in range(len(short))]
    return any(glob(pattern, end) for end in ends if end)


def glob(pattern: str, text: str) -> bool:
    """Match `*` and `?`; fnmatch would import re."""
    star, resume = -1, 0
    at = position = 0
    while position < len(text):
        char = pattern[at : at + 1]
        if char == "*":
            star, resume = at, position
            at += 1
        elif char and (char == text[position] or (char == "?" and text[position] != "/")):
            at += 1
            position += 1
        elif star >= 0 and text[resume] != "/":
            resume += 1
            at, position = star + 1, resume
        else:
            return False
    return not pattern[at:].strip("*")
