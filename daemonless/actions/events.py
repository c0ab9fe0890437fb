"""events: what has happened to containers, images, volumes and secrets, and what happens next."""

from __future__ import annotations

import time

from daemonless.actions.columns import go_time
from daemonless.actions.eventlog import EventLog
from daemonless.actions.format import Template
from daemonless.actions.values import Struct, to_json
from daemonless.clock import duration, timestamp
from daemonless.containers.instant import parse_instant, rfc3339
from daemonless.errors import UsageError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from daemonless.actions.args import Args

    Test = Callable[[dict[str, Any]], bool]

_SHORT = 12
_LONGEST_WAIT = 3_600_000  # milliseconds; poll(2) takes an int
_DESCRIBED = ("image", "name", "exitCode", "signal")  # docker has them among the attributes
_COMMON = {"time", "type", "action", "id", "name", "image", "attributes"}
# docker's words for what podman, and the log, call otherwise
_DOCKER = {
    ("container", "died"): "die",
    ("container", "exec_died"): "exec_die",
    ("container", "remove"): "destroy",
    ("image", "remove"): "delete",
    ("volume", "remove"): "destroy",
}
_KINDS = ("container", "image", "network", "pod", "secret", "volume")
# the filters of docker for objects that there are only with a daemon or a swarm: they match nothing
_FOREIGN = ("config", "daemon", "node", "plugin", "scope", "service")


def main(args: Args) -> int:
    """Print the events that were asked for, and go on as they happen unless --until has passed."""
    now = time.time_ns()
    since = parse_instant(args.since, now) if args.since else ""
    until = _end(args.until, now) if args.until else ""
    deadline = (rfc3339(until) or 0) if until else None
    keep = _filters(args.filter)
    show = _format(args)
    log = EventLog(args.paths.run, from_start=bool(since or until or not args.stream))
    while True:
        left = None if deadline is None else max(0, deadline - time.time_ns()) // 1_000_000
        last = not args.stream or left == 0
        for event in log.read():
            if since <= event["time"] and (not until or event["time"] <= until) and keep(event):
                print(show(event), flush=True)
        if last:
            log.close()
            return 0
        log.wait(None if left is None else min(left + 1, _LONGEST_WAIT))


def _end(text: str, now: int) -> str:
    """Return when to end; a duration counts from now on, as podman has it."""
    ahead = duration(text)
    return parse_instant(text, now) if ahead is None else timestamp(now + ahead)


def _format(args: Args) -> Callable[[dict[str, Any]], str]:
    if args.format is None:
        return lambda event: in_words(event, no_trunc=args.no_trunc)
    if args.format.strip() in ("json", "{{json .}}"):
        return lambda event: to_json(Event(event).complete())
    template = Template(args.format)
    return lambda event: template.render(Event(event)).removesuffix("\n")


# --- one event ------------------------------------------------------------------------------


def in_words(event: dict[str, Any], *, no_trunc: bool) -> str:
    """Return the line podman prints; names and labels come from images too, so they are escaped."""
    kind, action = event["type"], event["action"]
    subject = event["id"] if no_trunc else event["id"][:_SHORT]
    start = f"{go_time(event['time'])} {kind} {action}"
    name = _text(event, "name")
    if kind != "container":
        words = [printable(word) for word in (subject, name) if word]
        return " ".join([start, *dict.fromkeys(words)])
    details = {"image": _text(event, "image"), "name": name}
    for key in event:
        if key not in _COMMON:
            details["health_status" if key == "health" else key] = _text(event, key)
    details.update(_attributes(event))
    shown = ", ".join(f"{printable(key)}={printable(value)}" for key, value in details.items())
    return f"{start} {printable(subject)} ({shown})"


class Event(Struct):
    """The fields of an event under the names podman and docker give them."""

    def __init__(self, event: dict[str, Any]) -> None:
        kind, action = event["type"], event["action"]
        moment = rfc3339(event["time"]) or 0
        attributes = _attributes(event)
        described = {key: _text(event, key) for key in event if key in _DESCRIBED}
        super().__init__(
            Type=kind,
            Status=action,
            ID=event["id"],
            Name=_text(event, "name"),
            Image=_text(event, "image"),
            Time=go_time(event["time"]),
            TimeNano=moment,
            Attributes=attributes,
            ContainerExitCode=event.get("exitCode", 0),
            HealthStatus=_text(event, "health"),
            OOMKilled=bool(event.get("oomKilled")),
            Action=_DOCKER.get((kind, action), action),
            Actor=Struct(ID=event["id"], Attributes={**described, **attributes}),
            Scope="local",
            PodID="",
        )

    def __missing__(self, field: str) -> Any:
        if field == "time":
            return self["TimeNano"] // 10**9
        if field == "timeNano":
            return self["TimeNano"]
        raise KeyError(field)

    def complete(self) -> Mapping[str, Any]:
        """Return what JSON shows of the event: no two of its keys differ in case only."""
        return {**self, "Time": f"{self['Time'].replace(' ', 'T', 1).partition(' ')[0]}Z"}


def _text(event: dict[str, Any], key: str) -> str:
    value = event.get(key, "")
    return value if isinstance(value, str) else to_json(value)


def _attributes(event: dict[str, Any]) -> dict[str, str]:
    found = event.get("attributes")
    return {key: str(found[key]) for key in found} if isinstance(found, dict) else {}


# --- filters --------------------------------------------------------------------------------


def _filters(filters: Sequence[str]) -> Test:
    """Return a test for all filters: values of one key are alternatives, but all labels must be there."""
    groups: dict[str, list[Test]] = {}
    for text in filters:
        key, equals, value = text.partition("=")
        key = {"status": "event"}.get(key.lower(), key.lower())
        make = _TESTS.get(key)
        if make is None or not equals:
            raise UsageError(
                f"{text!r} is not a filter", f"write KEY=VALUE; the keys are {', '.join(sorted(_TESTS))}"
            )
        groups.setdefault(key, []).append(make(value))
    return lambda event: all(
        (all if key == "label" else any)(test(event) for test in group) for key, group in groups.items()
    )


def _object(kind: str) -> Callable[[str], Test]:
    def make(value: str) -> Test:
        return lambda event: (
            event["type"] == kind
            and bool(value)
            and (value == _text(event, "name") or event["id"].startswith(value))
        )

    return make


def _image(value: str) -> Test:
    """Match the events of an image, and of the containers made from it, by name or id."""
    from daemonless.oci.reference import parse_reference  # noqa: PLC0415 - for this filter only

    try:
        full = str(parse_reference(value))
    except UsageError:
        full = value
    names = {value, full}
    identity = value.removeprefix("sha256:")

    def test(event: dict[str, Any]) -> bool:
        if event["type"] == "image":
            return _text(event, "name") in names or (bool(identity) and event["id"].startswith(identity))
        return event["type"] == "container" and _text(event, "image") in names

    return test


def _event(value: str) -> Test:
    return lambda event: value in (event["action"], _DOCKER.get((event["type"], event["action"])))


def _label(value: str) -> Test:
    key, equals, wanted = value.partition("=")

    def test(event: dict[str, Any]) -> bool:
        attributes = _attributes(event)
        return key in attributes and (not equals or attributes[key] == wanted)

    return test


_TESTS: dict[str, Callable[[str], Test]] = {
    **{kind: _object(kind) for kind in _KINDS},
    **{key: lambda _value: lambda _event: False for key in _FOREIGN},
    "event": _event,
    "image": _image,
    "label": _label,
    "type": lambda value: lambda event: event["type"] == value,
}
