"""One row of `ps`: the fields a template may name, each worked out when it is asked for."""

from __future__ import annotations

from daemonless.actions import columns
from daemonless.actions.values import Struct
from daemonless.containers.instant import rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from daemonless.containers.store import Container

_COMMAND_WIDTH = 17
_NEVER = -62135596800  # Go's zero time in seconds since 1970; podman shows it as such

HEADINGS = {
    "ID": "CONTAINER ID",
    "ImageID": "IMAGE ID",
    "CreatedAt": "CREATED AT",
    "CreatedHuman": "CREATED",
    "ExitCode": "EXIT CODE",
    "ExitedAt": "EXITED AT",
    "RunningFor": "CREATED",
    "StartedAt": "STARTED AT",
}


class Row(Struct):
    """The fields of one container, under the names podman and docker give them."""

    def __init__(self, container: Container, now: float, *, no_trunc: bool) -> None:
        super().__init__()
        self.container = container
        self.no_trunc = no_trunc
        self.now = now

    def __missing__(self, field: str) -> Any:
        if field == "Label":
            return self.label
        value = self[field] = _FIELDS[field](self)
        return value

    def complete(self) -> Mapping[str, Any]:
        """Return every field."""
        return {field: self[field] for field in _FIELDS}

    def label(self, key: str) -> str:
        """Return the value of a label, empty if it is not set: docker's `{{.Label "key"}}`."""
        value: str = self.record["labels"].get(key, "")
        return value

    def age(self, text: str) -> float:
        """Return the seconds since a time of a state file; 0 if that is broken."""
        moment = rfc3339(text)
        return 0.0 if moment is None else self.now - moment / 1e9

    @property
    def status(self) -> str:
        """The container's status, asked once: it may change meanwhile, but not within a row."""
        status: str = self["State"]
        return status

    @property
    def record(self) -> dict[str, Any]:
        """container.json."""
        return self.container.record

    @property
    def request(self) -> dict[str, Any]:
        """The parsed command line."""
        request: dict[str, Any] = self.record["request"]
        return request

    @property
    def started(self) -> str:
        """When the current or last run began, or an empty string."""
        source = self.container.state or self.container.exit or {}
        return source.get("started") or ""

    @property
    def finished(self) -> str:
        """When the last run ended, or an empty string; a run in progress has not."""
        if self.status == "running" or self.container.exit is None:
            return ""
        return self.container.exit.get("finished") or ""

    @property
    def ports(self) -> list[dict[str, Any]]:
        """The published ports: the ones in use while it runs, the ones asked for otherwise."""
        state = self.container.state
        if self.status == "running" and state is not None:
            return state.get("ports") or []
        return self.request["publish"] or []


def _identifier(row: Row, text: str) -> str:
    text = text.removeprefix("sha256:")
    return text if row.no_trunc else text[:12]


def _command(row: Row) -> str:
    text = " ".join(row.record["args"])
    return text if row.no_trunc else columns.shorten(text, _COMMAND_WIDTH)


def _created_ago(row: Row) -> str:
    return columns.ago(row.age(row.record["created"]))


def _created_at(row: Row) -> str:
    date, _, clock = row.record["created"].partition("T")
    return f"{date} {clock.removesuffix('Z')} +0000 UTC"


def _status(row: Row) -> str:
    if row.status == "created":
        return "Created"
    if row.status == "running":
        return f"Up {columns.duration(row.age(row.started))}"
    when = f" {columns.ago(row.age(row.finished))}" if row.finished else ""  # unknown if it was killed unseen
    return f"Exited ({row.container.exit_code}){when}"


def _ports(row: Row) -> str:
    """Return the ports, neighbouring ones as a range: `0.0.0.0:8000-8002->80-82/tcp`."""
    ranges: list[list[Any]] = []  # address, protocol, host port, container port, length
    for port in sorted(
        row.ports, key=lambda p: (p["host_ip"], p["protocol"], p["container_port"], p["host_port"])
    ):
        here = [port["host_ip"] or "0.0.0.0", port["protocol"], port["host_port"], port["container_port"]]
        if ranges:
            *where, host, inside, length = ranges[-1]
            if here == [*where, host + length, inside + length]:
                ranges[-1][-1] += 1
                continue
        ranges.append([*here, 1])
    return ", ".join(_range(*entry) for entry in ranges)


def _range(address: str, protocol: str, host: int, inside: int, length: int) -> str:
    address = f"[{address}]" if ":" in address else address
    outer = str(host) if length == 1 else f"{host}-{host + length - 1}"
    inner = str(inside) if length == 1 else f"{inside}-{inside + length - 1}"
    return f"{address}:{outer}->{inner}/{protocol}"


def _seconds(text: str) -> int:
    moment = rfc3339(text)
    return _NEVER if moment is None else moment // 10**9


_FIELDS: dict[str, Callable[[Row], Any]] = {
    "ID": lambda row: _identifier(row, row.container.id),
    "Image": lambda row: row.record["image"],
    "ImageID": lambda row: _identifier(row, row.record["imageId"]),
    "Command": _command,
    "Created": _created_at,
    "CreatedAt": _created_at,
    "CreatedHuman": _created_ago,
    "RunningFor": _created_ago,
    "Status": _status,
    "State": lambda row: row.container.status,
    "Ports": _ports,
    "Names": lambda row: row.record["name"],
    "Labels": lambda row: row.record["labels"],
    "Mounts": lambda row: ",".join(mount["destination"] for mount in row.request["mounts"]),
    "Networks": lambda row: row.request["network"]["mode"],
    "Pid": lambda row: row.container.state["pid"] if row.status == "running" and row.container.state else 0,
    "ExitCode": lambda row: row.container.exit_code,
    "Exited": lambda row: row.status == "exited",
    "ExitedAt": lambda row: _seconds(row.finished),
    "StartedAt": lambda row: _seconds(row.started),
    "AutoRemove": lambda row: row.request["rm"],
}


def as_podman(row: Row) -> dict[str, Any]:
    """Return the row as `podman ps --format json` has it: full values, lists and maps."""
    return {
        "AutoRemove": row["AutoRemove"],
        "Command": row.record["args"],
        "CreatedAt": row["CreatedHuman"],
        "Exited": row["Exited"],
        "ExitedAt": row["ExitedAt"],
        "ExitCode": row["ExitCode"],
        "Id": row.container.id,
        "Image": row["Image"],
        "ImageID": row.record["imageId"].removeprefix("sha256:"),
        "IsInfra": False,
        "Labels": row["Labels"] or None,
        "Mounts": [mount["destination"] for mount in row.request["mounts"]],
        "Names": [row["Names"]],
        "Namespaces": {},
        "Networks": [row["Networks"]],
        "Pid": row["Pid"],
        "Pod": "",
        "PodName": "",
        "Ports": [{**port, "range": 1} for port in row.ports] or None,
        "Size": None,
        "StartedAt": row["StartedAt"],
        "State": row["State"],
        "Status": row["Status"],
        "Created": _seconds(row.record["created"]),
    }
