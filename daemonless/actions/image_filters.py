"""`images --filter`: which images are listed. Equal keys are alternatives, but labels all count."""

from __future__ import annotations

import time

from daemonless.clock import timestamp
from daemonless.containers.instant import parse_instant, rfc3339
from daemonless.errors import UsageError
from daemonless.images.lists import ImageList
from daemonless.images.store import ImageStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from daemonless.config import Paths
    from daemonless.images.family import Family
    from daemonless.images.store import Image

    Listed = Image | ImageList
    Test = Callable[[Listed], bool]

KEYS = (
    *("after", "before", "containers", "dangling", "digest", "id", "intermediate", "label", "label!"),
    *("manifest", "readonly", "reference", "since", "until"),
)


class Context:
    """What images are to each other and to containers, found out when first asked."""

    def __init__(self, paths: Paths, images: Sequence[Image]) -> None:
        self._paths = paths
        self._images = images
        self._family: Family | None = None
        self._counts: dict[str, int] | None = None

    @property
    def family(self) -> Family:
        """Which image was built on which."""
        if self._family is None:
            from daemonless.images.family import Family  # noqa: PLC0415 - few ask

            self._family = Family(self._images)
        return self._family

    def containers_of(self, image: Listed) -> int:
        """Return how many containers use the image, or one that is here for the sake of this list alone."""
        if self._counts is None:
            from daemonless.containers.store import ContainerStore  # noqa: PLC0415 - few ask

            self._counts = {}
            for container in ContainerStore(self._paths).containers():
                used = container.record["imageId"]
                self._counts[used] = self._counts.get(used, 0) + 1
        if not isinstance(image, ImageList):
            return self._counts.get(image.id, 0)
        ids = ImageStore(self._paths.data).ids_on(image) - {each.id for each in self._images}
        return sum(self._counts.get(identity, 0) for identity in ids)

    def is_intermediate(self, image: Listed) -> bool:
        """Return whether it has no name, but images built on it."""
        return not (image.names or isinstance(image, ImageList)) and bool(self.family.children(image))

    def intermediate(self) -> set[str]:
        """Return the keys of all intermediate images."""
        return {image.key for image in self._images if self.is_intermediate(image)}


class Filters:
    """The parsed filters, and the reference a person may give beside them.

    Raises UsageError for a filter that is none, NotFound for `before` and `since` of an image
    that does not exist.
    """

    def __init__(
        self, filters: Iterable[str], store: ImageStore, reference: str | None, context: Context
    ) -> None:
        self._store = store
        self._context = context
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

    def names(self, key: str) -> bool:
        """Return whether a filter of this key was given."""
        return key in self._tests

    def let_through(self, image: Listed) -> bool:
        """Return whether an image passes all filters that concern it as a whole."""
        return all(
            (all if key in ("label", "label!") else any)(test(image) for test in tests)
            for key, tests in self._tests.items()
        )

    def shows_name(self, name: str) -> bool:
        """Return whether a name (empty for a nameless image) matches the references asked for."""
        return not self._patterns or any(matches_reference(pattern, name) for pattern in self._patterns)

    _questions: dict[str, Callable[[Context, Listed], bool]] = {  # noqa: RUF012 - constant
        "containers": lambda context, image: context.containers_of(image) > 0,
        # what others were built on is not litter
        "dangling": lambda context, image: not image.names and not context.is_intermediate(image),
        "intermediate": Context.is_intermediate,
        "manifest": lambda context, image: isinstance(image, ImageList),
        "readonly": lambda context, image: False,  # there is one store, which can be written
    }

    def _test(self, key: str, value: str) -> Test:
        if key in ("containers", "dangling", "intermediate", "manifest", "readonly"):
            wanted = _boolean(key, value)
            answer = self._questions[key]
            return lambda image: answer(self._context, image) == wanted
        if key in ("label", "label!"):
            name, equals, content = value.partition("=")
            wanted = key == "label"
            return lambda image: (
                wanted == (name in image.labels and (not equals or image.labels[name] == content))
            )
        if key == "id":
            prefix = value.removeprefix("sha256:")
            return lambda image: image.id.partition(":")[2].startswith(prefix)
        if key == "digest":
            start = value if value.startswith("sha256:") else f"sha256:{value}"
            return lambda image: any(each.startswith(start) for each in (image.source_digest, image.digest))
        if key in ("after", "before", "since"):
            limit = _moment(self._store.find(value))
            return lambda image: _moment(image) < limit if key == "before" else _moment(image) > limit
        if key == "until":
            end = parse_instant(value, time.time_ns())
            return lambda image: _moment(image) < end
        raise UsageError(f'unknown filter "{key}"', f"the filters are {', '.join(sorted(KEYS))}")


def _boolean(key: str, value: str) -> bool:
    if value.lower() in ("true", "1", "t"):
        return True
    if value.lower() in ("false", "0", "f"):
        return False
    raise UsageError(f"the filter {key}={value} is neither true nor false")


def _moment(image: Listed) -> str:
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
