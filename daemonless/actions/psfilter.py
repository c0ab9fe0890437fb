"""`ps --filter`: which containers to list.

The same key given several times lists what matches any of its values; `label` and `label!` must
match all of theirs; different keys must all match.
"""

from __future__ import annotations

from daemonless.containers.instant import parse_instant
from daemonless.containers.store import ContainerStore
from daemonless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemonless.actions.psrow import Row
    from daemonless.config import Paths

    Test = Callable[[Row], bool]

# podman's words for a status; the ones no container of ours can have are accepted and match none
_STATUSES = {
    "stopped": "exited",
    **{
        word: word
        for word in (
            "created",
            "dead",
            "exited",
            "initialized",
            "paused",
            "removing",
            "restarting",
            "running",
            "stopping",
            "unknown",
        )
    },
}
_PLAIN = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_ALL_OF = {"label", "label!"}


def parse_filters(filters: Sequence[str], paths: Paths, now: float) -> tuple[Test, set[str]]:
    """Return a test for all the filters, and their keys. Raises UsageError or NotFound."""
    tests: dict[str, list[Test]] = {}
    for text in filters:
        key, equals, value = text.partition("=")
        make = _TESTS.get(key)
        if make is None or not equals:
            known = ", ".join(sorted(_TESTS))
            raise UsageError(f"{text!r} is not a filter", f"write KEY=VALUE; the keys are {known}")
        tests.setdefault(key, []).append(make(value, paths, now))

    def keep(row: Row) -> bool:
        return all(
            (all if key in _ALL_OF else any)(test(row) for test in group) for key, group in tests.items()
        )

    return keep, set(tests)


def _ancestor(value: str, paths: Paths, now: float) -> Test:
    """Match the containers of an image or of one built on it, whose lowest layers are its own."""
    from daemonless.images.store import ImageStore  # noqa: PLC0415 - the other filters need no images

    store = ImageStore(paths.data)
    wanted = store.resolve(value)
    depth = len(wanted.diff_ids)
    related = {
        image.id for image in store.images() if depth and image.diff_ids[:depth] == wanted.diff_ids
    } | {wanted.id}
    return lambda row: row.record["imageId"] in related


def _created_before(value: str, paths: Paths, now: float) -> Test:
    moment = ContainerStore(paths).find(value).record["created"]
    return lambda row: row.record["created"] < moment


def _created_since(value: str, paths: Paths, now: float) -> Test:
    moment = ContainerStore(paths).find(value).record["created"]
    return lambda row: row.record["created"] > moment


def _until(value: str, paths: Paths, now: float) -> Test:
    moment = parse_instant(value, int(now * 1e9))
    return lambda row: row.record["created"] < moment


def _exited(value: str, paths: Paths, now: float) -> Test:
    try:
        code = int(value)
    except ValueError:
        raise UsageError(f"exited={value} is not a filter: the value is an exit status") from None
    return lambda row: row.status == "exited" and row.container.exit_code == code


def _status(value: str, paths: Paths, now: float) -> Test:
    status = _STATUSES.get(value)
    if status is None:
        raise UsageError(f"status={value} is not a filter", f"the words are {', '.join(sorted(_STATUSES))}")
    return lambda row: row.status == status


def _name(value: str, paths: Paths, now: float) -> Test:
    """Match part of a name; as with docker and podman, the value is a regular expression."""
    if _PLAIN.issuperset(value):
        return lambda row: value in row.record["name"]
    import re  # noqa: PLC0415 - 7 ms, spared for plain values

    try:
        pattern = re.compile(value)
    except re.error as error:
        raise UsageError(f"name={value} is not a filter: {error}") from None
    return lambda row: pattern.search(row.record["name"]) is not None


def _label(value: str, paths: Paths, now: float) -> Test:
    key, equals, wanted = value.partition("=")
    return lambda row: key in row.record["labels"] and (not equals or row.record["labels"][key] == wanted)


def _no_label(value: str, paths: Paths, now: float) -> Test:
    has = _label(value, paths, now)
    return lambda row: not has(row)


def _publish(value: str, paths: Paths, now: float) -> Test:
    port, _, protocol = value.partition("/")
    first, _, last = port.partition("-")
    if not first.isdecimal() or (last and not last.isdecimal()):
        raise UsageError(f"publish={value} is not a filter", "write PORT, FIRST-LAST or PORT/PROTOCOL")
    low, high = int(first), int(last or first)
    return lambda row: any(
        low <= entry["host_port"] <= high and entry["protocol"] in (protocol or entry["protocol"],)
        for entry in row.ports
    )


def _volume(value: str, paths: Paths, now: float) -> Test:
    return lambda row: any(
        value in (mount["source"], mount["destination"]) for mount in row.request["mounts"]
    )


_TESTS: dict[str, Callable[[str, Paths, float], Test]] = {
    "ancestor": _ancestor,
    "before": _created_before,
    "command": lambda value, _paths, _now: lambda row: value in row.record["args"][:1],
    "exited": _exited,
    "id": lambda value, _paths, _now: lambda row: row.container.id.startswith(value),
    "label": _label,
    "label!": _no_label,
    "name": _name,
    "network": lambda value, _paths, _now: lambda row: row.request["network"]["mode"] == value,
    "publish": _publish,
    "since": _created_since,
    "status": _status,
    "until": _until,
    "volume": _volume,
}
