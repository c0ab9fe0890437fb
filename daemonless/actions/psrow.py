"""One row of `ps`: the fields a template may name, each worked out when it is asked for."""

from __future__ import annotations

import os

from daemonless.actions import columns
from daemonless.actions.values import Struct
from daemonless.containers.instant import rfc3339
from daemonless.errors import DaemonlessError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from daemonless.config import Paths
    from daemonless.containers.store import Container

_COMMAND_WIDTH = 17
ALIVE = ("running", "paused", "restarting", "stopping")  # statuses of a container with a supervisor
_NEVER = -62135596800  # Go's zero time in seconds since 1970; podman shows it as such

# the names of podman's columns, and of the files of proc_pid_ns(5)
NAMESPACES = {
    "CGROUPNS": "cgroup",
    "IPC": "ipc",
    "MNT": "mnt",
    "NET": "net",
    "PIDNS": "pid",
    "USERNS": "user",
    "UTS": "uts",
}
HEADINGS = {
    "CIDFile": "CID FILE",
    "ID": "CONTAINER ID",
    "ImageID": "IMAGE ID",
    "CreatedAt": "CREATED AT",
    "CreatedHuman": "CREATED",
    "ExitCode": "EXIT CODE",
    "ExitedAt": "EXITED AT",
    "ExposedPorts": "EXPOSED PORTS",
    "HealthStatus": "HEALTH STATUS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Pod": "POD ID",
    "RunningFor": "CREATED",
    "StartedAt": "STARTED AT",
}


class Shared:
    """What the rows of one listing find out together: the first to ask pays for all."""

    def __init__(self, paths: Paths, containers: list[Container]) -> None:
        self.paths = paths
        self.containers = containers
        self._sizes: dict[str, tuple[int, int]] | None = None
        self._exposed: dict[str, frozenset[str]] = {}

    def sizes(self, container: Container) -> tuple[int, int]:
        """Return the bytes written by the container, and those with its image; 0 if it has gone."""
        if self._sizes is None:
            from daemonless.containers.filesystem import sizes  # noqa: PLC0415 - user namespaces: 4 ms

            self._sizes = sizes(self.containers)
        return self._sizes.get(container.id, (0, 0))

    def exposed(self, image_id: str) -> frozenset[str]:
        """Return the ports of an image's config; none if the image has gone or is damaged."""
        if image_id not in self._exposed:
            from daemonless.images.store import ImageStore  # noqa: PLC0415 - for the rarest of the fields

            try:
                config = ImageStore(self.paths.data).resolve(image_id).config["config"]
                self._exposed[image_id] = frozenset(config.get("ExposedPorts") or ())
            except (DaemonlessError, OSError):
                self._exposed[image_id] = frozenset()
        return self._exposed[image_id]


class Row(Struct):
    """The fields of one container, under the names podman and docker give them."""

    def __init__(self, container: Container, shared: Shared, now: float, *, no_trunc: bool) -> None:
        super().__init__()
        self.container = container
        self.shared = shared
        self.no_trunc = no_trunc
        self.now = now

    def __missing__(self, field: str) -> Any:
        if field == "Label":
            return self.label
        value = self[field] = _FIELDS[field](self)
        return value

    def complete(self) -> Mapping[str, Any]:
        """Return every field but the size, which takes reading all files of the container."""
        return {field: self[field] for field in _FIELDS if field != "Size"}

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
    def is_alive(self) -> bool:
        """Whether it has a process, or will soon have one again: what plain `ps` lists."""
        return self.status in ALIVE

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
    def state(self) -> dict[str, Any]:
        """What the supervisor says of the current run; empty without one."""
        return (self.container.state or {}) if self.is_alive else {}

    @property
    def started(self) -> str:
        """When the current or last run began, or an empty string."""
        source = self.container.state or self.container.exit or {}
        return source.get("started") or ""

    @property
    def finished(self) -> str:
        """When the last run ended, or an empty string; a run in progress has not."""
        if self.state.get("pid") or self.container.exit is None:
            return ""
        return self.container.exit.get("finished") or ""

    @property
    def ports(self) -> list[dict[str, Any]]:
        """The published ports: the ones in use while it runs, the ones asked for otherwise."""
        ports = self.state.get("ports") if self.state else self.request["publish"]
        return ports or []

    @property
    def restart_policy(self) -> str:
        """What --restart said: no, on-failure, always or unless-stopped."""
        restart = self.request.get("restart") or {"policy": "no"}  # a record may be older than the option
        policy: str = restart["policy"]
        return policy

    @property
    def mounts(self) -> list[dict[str, Any]]:
        """The mounts that were asked for."""
        mounts: list[dict[str, Any]] = self.request["mounts"]
        return mounts


def _identifier(row: Row, text: str) -> str:
    text = text.removeprefix("sha256:")
    return text if row.no_trunc else text[:12]


def _image(row: Row) -> str:
    name: str = row.record["image"]
    return _identifier(row, name) if name.startswith("sha256:") else name


def _command(row: Row) -> str:
    text = " ".join(row.record["args"])
    if not text.isprintable():  # an image's words: neither a line break nor an escape sequence gets out
        text = printable(text, limit=len(text) * 10)
    return text if row.no_trunc else columns.shorten(text, _COMMAND_WIDTH)


def _created_ago(row: Row) -> str:
    return columns.ago(row.age(row.record["created"]))


def _created_at(row: Row) -> str:
    return columns.go_time(row.record["created"])


def _status(row: Row) -> str:
    when = f" {columns.ago(row.age(row.finished))}" if row.finished else ""  # unknown if it was killed unseen
    if row.status == "running":
        health = f" ({row['HealthStatus']})" if row["HealthStatus"] else ""
        return f"Up {columns.duration(row.age(row.started))}{health}"
    if row.status == "exited":
        return f"Exited ({row['ExitCode']}){when}"
    if row.status == "restarting":
        return f"Restarting ({row['ExitCode']}){when}"
    return row.status.capitalize()


def _health(row: Row) -> str:
    """Return starting, healthy or unhealthy; empty without a health check, and if it does not run."""
    found = row.container.health if row.state.get("pid") else None
    return found["status"] if found else ""


def _size(row: Row) -> str:
    written, whole = row.shared.sizes(row.container)
    return f"{columns.size(written, '')} (virtual {columns.size(whole, '')})"


def _exit_code(row: Row) -> int:
    return 0 if row.state.get("pid") else row.container.exit_code


def _restarts(row: Row) -> int:
    source = row.container.state or row.container.exit or {}
    return int(source.get("restarts", 0))


def _namespace(file: str) -> Callable[[Row], str]:
    """Return what gives the inode number of a namespace of the process, empty if there is none."""

    def number(row: Row) -> str:
        if not row["Pid"]:
            return ""
        try:
            return os.readlink(f"/proc/{row['Pid']}/ns/{file}").partition("[")[2].rstrip("]")
        except OSError:
            return ""

    return number


def _exposed_ports(row: Row) -> dict[str, list[str]] | None:
    """Return the ports of the image and of --expose, as podman has them: {"80": ["tcp"]}."""
    found = row.shared.exposed(row.record["imageId"]).union(row.request.get("expose") or ())
    result: dict[str, list[str]] = {}
    for text in sorted(found):
        port, _, protocol = text.partition("/")
        if port.isdecimal():  # it is the image's word
            result.setdefault(port, []).append(protocol or "tcp")
    return result or None


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
    "Image": _image,
    "ImageID": lambda row: _identifier(row, row.record["imageId"]),
    "Command": _command,
    "Created": _created_at,
    "CreatedAt": _created_at,
    "CreatedHuman": _created_ago,
    "RunningFor": _created_ago,
    "Status": _status,
    "State": lambda row: row.container.status,
    "HealthStatus": _health,
    "Ports": _ports,
    "ExposedPorts": _exposed_ports,
    "Names": lambda row: row.record["name"],
    "Labels": lambda row: row.record["labels"],
    "Mounts": lambda row: ",".join(mount["destination"] for mount in row.mounts),
    "LocalVolumes": lambda row: sum(mount["type"] == "volume" for mount in row.mounts),
    "Networks": lambda row: row.request["network"]["mode"],
    "Pid": lambda row: row.state.get("pid", 0),
    "ExitCode": _exit_code,
    "Exited": lambda row: row.status == "exited",
    "ExitedAt": lambda row: _seconds(row.finished),
    "StartedAt": lambda row: _seconds(row.started),
    "Restarts": _restarts,
    "Size": _size,
    "AutoRemove": lambda row: row.request["rm"],
    "CIDFile": lambda row: row.request.get("cidfile", ""),
    "IsInfra": lambda _row: False,  # no container of ours exists for others' sake
    "Pod": lambda _row: "",
    "PodName": lambda _row: "",
    "Namespaces": lambda row: {name: row[name] for name in NAMESPACES},
    **{name: _namespace(file) for name, file in NAMESPACES.items()},
}


def as_podman(row: Row, *, size: bool) -> dict[str, Any]:
    """Return the row as `podman ps --format json` has it: full values, lists and maps."""
    written, whole = row.shared.sizes(row.container) if size else (0, 0)
    return {
        "AutoRemove": row["AutoRemove"],
        "CIDFile": row["CIDFile"],
        "Command": row.record["args"],
        "CreatedAt": row["CreatedHuman"],
        "Exited": row["Exited"],
        "ExitedAt": row["ExitedAt"],
        "ExitCode": row["ExitCode"],
        "ExposedPorts": row["ExposedPorts"],
        "Id": row.container.id,
        "Image": row["Image"],
        "ImageID": row.record["imageId"].removeprefix("sha256:"),
        "IsInfra": row["IsInfra"],
        "Labels": row["Labels"] or None,
        "Mounts": [mount["destination"] for mount in row.mounts],
        "Names": [row["Names"]],
        "Namespaces": {},
        "Networks": [row["Networks"]],
        "Pid": row["Pid"],
        "Pod": row["Pod"],
        "PodName": row["PodName"],
        "Ports": [{**port, "range": 1} for port in row.ports] or None,
        "Restarts": row["Restarts"],
        "Size": {"rootFsSize": whole, "rwSize": written} if size else None,
        "StartedAt": row["StartedAt"],
        "State": row["State"],
        "Status": row["Status"],
        "Created": _seconds(row.record["created"]),
    }
