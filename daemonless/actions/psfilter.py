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

# the words for a status; those that no container of ours can have are accepted and match none
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
    return lambda row: row.status == "exited" and row["ExitCode"] == code


def _status(value: str, paths: Paths, now: float) -> Test:
    _one_of("status", value, sorted(_STATUSES))
    status = _STATUSES[value]
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
    wanted = _PortRange("publish", value)
    return lambda row: any((entry["host_port"], entry["protocol"]) in wanted for entry in row.ports)


def _expose(value: str, paths: Paths, now: float) -> Test:
    wanted = _PortRange("expose", value)

    def test(row: Row) -> bool:
        if any((entry["container_port"], entry["protocol"]) in wanted for entry in row.ports):
            return True
        exposed = row["ExposedPorts"] or {}
        return any((int(port), protocol) in wanted for port in exposed for protocol in exposed[port])

    return test


class _PortRange:
    """The ports of a filter: PORT, FIRST-LAST, with or without a protocol."""

    def __init__(self, key: str, value: str) -> None:
        port, _, self.protocol = value.partition("/")
        first, _, last = port.partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()):
            raise UsageError(f"{key}={value} is not a filter", "write PORT, FIRST-LAST or PORT/PROTOCOL")
        self.ports = range(int(first), int(last or first) + 1)

    def __contains__(self, port: tuple[int, str]) -> bool:
        return port[0] in self.ports and self.protocol in ("", port[1])


def _volume(value: str, paths: Paths, now: float) -> Test:
    return lambda row: any(value in (mount["source"], mount["destination"]) for mount in row.mounts)


def _health(value: str, paths: Paths, now: float) -> Test:
    _one_of("health", value, ("healthy", "none", "starting", "unhealthy"))
    return lambda row: (row["HealthStatus"] or "none") == value


def _restart_policy(value: str, paths: Paths, now: float) -> Test:
    _one_of("restart-policy", value, ("always", "never", "no", "on-failure", "unless-stopped"))
    wanted = "no" if value == "never" else value
    return lambda row: row.restart_policy == wanted


def _starts_on_boot(value: str, paths: Paths, now: float) -> Test:
    """Match what a start of the machine starts: `always`, and `unless-stopped` if nobody stopped it."""
    wanted = _boolean("should-start-on-boot", value)

    def test(row: Row) -> bool:
        stopped = bool((row.container.exit or {}).get("stoppedByUser"))
        policy = row.restart_policy
        return (policy == "always" or (policy == "unless-stopped" and not stopped)) is wanted

    return test


def _is_task(value: str, paths: Paths, now: float) -> Test:
    """Match docker's containers that a swarm runs, of which there are none here."""
    wanted = _boolean("is-task", value)
    return lambda _row: not wanted


def _one_of(key: str, value: str, words: Sequence[str]) -> None:
    if value not in words:
        raise UsageError(f"{key}={value} is not a filter", f"the words are {', '.join(words)}")


def _boolean(key: str, value: str) -> bool:
    _one_of(key, value.lower(), ("true", "1", "false", "0"))
    return value.lower() in ("true", "1")


_TESTS: dict[str, Callable[[str, Paths, float], Test]] = {
    "ancestor": _ancestor,
    "before": _created_before,
    "command": lambda value, _paths, _now: lambda row: value in row.record["args"][:1],
    "exited": _exited,
    "expose": _expose,
    "health": _health,
    "id": lambda value, _paths, _now: lambda row: row.container.id.startswith(value),
    "is-task": _is_task,
    "isolation": lambda _value, _paths, _now: lambda _row: False,  # of Windows
    "label": _label,
    "label!": _no_label,
    "name": _name,
    "network": lambda value, _paths, _now: lambda row: row.request["network"]["mode"] == value,
    "pod": lambda _value, _paths, _now: lambda _row: False,  # there are no pods here
    "publish": _publish,
    "restart-policy": _restart_policy,
    "should-start-on-boot": _starts_on_boot,
    "since": _created_since,
    "status": _status,
    "until": _until,
    "volume": _volume,
}
