"""`--filter` of volume ls and prune: the same key again is an alternative, but labels all count."""

from __future__ import annotations

import time

from daemonless.containers.grammar import boolean
from daemonless.containers.instant import parse_instant
from daemonless.errors import UsageError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemonless.containers.volumes import Users
    from daemonless.volumes.store import Volume, VolumeStore

    Test = Callable[[Volume], bool]

_ALL_OF = ("label", "label!")
_PLAIN = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
KEYS = ("all", "anonymous", "dangling", "driver", "label", "label!", "name", "opt", "scope", "since", "until")


def parse_filters(filters: Sequence[str], store: VolumeStore, users: Users) -> Test:
    """Return a test for all the filters. Raises UsageError, or NotFound for `since` of a missing volume."""
    tests: dict[str, list[Test]] = {}
    for text in filters:
        key, equals, value = text.partition("=")
        if key.endswith("!"):
            key = "label!" if key == "label!" else key
        if key not in KEYS or not equals:
            raise UsageError(
                f"{printable(text)!r} is not a filter", f"write KEY=VALUE; the keys are {', '.join(KEYS)}"
            )
        tests.setdefault(key, []).append(_test(key, value, store, users))

    def passes(volume: Volume) -> bool:
        return all(
            (all if key in _ALL_OF else any)(test(volume) for test in group) for key, group in tests.items()
        )

    return passes


def _test(key: str, value: str, store: VolumeStore, users: Users) -> Test:
    name, equals, content = value.partition("=")
    if key in ("label", "label!"):
        wanted = key == "label"

        def has_label(volume: Volume) -> bool:
            labels = volume.record["labels"]
            return (name in labels and (not equals or labels[name] == content)) == wanted

        return has_label
    if key == "opt":
        return lambda volume: name in volume.options and (not equals or volume.options[name] == content)
    if key == "all":  # docker's: named volumes too, as is the rule here
        boolean(value, f"filter {key}")
        return lambda volume: True
    if key == "anonymous":
        flag = boolean(value, f"filter {key}")
        return lambda volume: volume.is_anonymous == flag
    if key == "dangling":
        flag = boolean(value, f"filter {key}")
        return lambda volume: (not users.of(volume.name)) == flag
    if key in ("driver", "scope"):
        return lambda volume: value == "local"
    if key == "name":
        return _name(value)
    if key == "since":
        moment = store.find(value).record["created"]
        return lambda volume: volume.record["created"] > moment
    moment = parse_instant(value, time.time_ns())
    return lambda volume: volume.record["created"] < moment


def _name(value: str) -> Test:
    """Match part of a name; as with docker and podman, the value is a regular expression."""
    if _PLAIN.issuperset(value):
        return lambda volume: value in volume.name
    import re  # noqa: PLC0415 - 7 ms, spared for plain values

    try:
        pattern = re.compile(value)
    except re.error as error:
        raise UsageError(f"name={value} is not a filter: {error}") from None
    return lambda volume: pattern.search(volume.name) is not None
