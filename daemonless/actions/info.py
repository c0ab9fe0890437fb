"""info: the machine, the store and the settings, as podman arranges them.

Scripts written for docker probe a dozen flat keys (`{{.SecurityOptions}}`, `{{.CgroupVersion}}`);
these stand beside podman's sections.
"""

from __future__ import annotations

import os
import sys
import time

from daemonless.actions import columns, version
from daemonless.actions.format import pretty, render_object
from daemonless.actions.values import Struct
from daemonless.config import Paths
from daemonless.containers.store import ContainerStore
from daemonless.errors import DaemonlessError
from daemonless.files import read_file
from daemonless.images.store import ImageStore
from daemonless.isolation.slirp4netns import find_program
from daemonless.isolation.userns import load_id_map
from daemonless.oci.image import host_platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from daemonless.actions.args import Args
    from daemonless.isolation.userns import Range

# podman's Go names of keys, where they are not the key with a capital letter
_GO_NAMES = {"cgroupVersion": "CgroupsVersion", "cpus": "CPUs", "idMappings": "IDMappings", "os": "OS"}
_GO_NAMES |= {"uidmap": "UIDMap", "gidmap": "GIDMap", "seccompEnabled": "SECCOMPEnabled"}
_GO_NAMES |= {"apparmorEnabled": "AppArmorEnabled", "selinuxEnabled": "SELinuxEnabled"}
_GO_NAMES |= {"ociRuntime": "OCIRuntime"}


def main(args: Args) -> int:
    """Print what is known."""
    sections = _sections(args.paths)
    flat = _flat(sections)
    if not args.format:
        print("".join(_yaml(sections)), end="")
    elif args.format.strip() == "json":
        print(pretty({**sections, **flat}))
    else:
        print(render_object(args.format, _Info({**_go(sections), **flat}, {**sections, **flat})), end="")
    return 0


class _Info(Struct):
    """The fields under Go's names; as JSON, under the names JSON has for them."""

    def __init__(self, fields: dict[str, Any], document: dict[str, Any]) -> None:
        super().__init__(fields)
        self._document = document

    def complete(self) -> dict[str, Any]:
        """Return the document."""
        return self._document


def _sections(paths: Paths) -> dict[str, Any]:
    return {"host": _host(), "store": _store(paths), "version": dict(version.describe())}


def _host() -> dict[str, Any]:
    system = os.uname()
    memory = _memory()
    id_map = load_id_map(os.getuid(), os.getgid())
    unified = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    return {
        "arch": host_platform().architecture,
        "cgroupControllers": _text("/sys/fs/cgroup/cgroup.controllers").split(),
        "cgroupManager": "none",
        "cgroupVersion": "v2" if unified else "v1",
        "cpus": len(os.sched_getaffinity(0)),
        "distribution": _distribution(),
        "hostname": system.nodename,
        "idMappings": {"uidmap": _ranges(id_map.uids), "gidmap": _ranges(id_map.gids)},
        "kernel": system.release,
        "logDriver": "k8s-file",
        "memFree": memory.get("MemFree", 0),
        "memTotal": memory.get("MemTotal", 0),
        "ociRuntime": {"name": "daemonless", "path": os.path.abspath(sys.argv[0])},
        "os": "linux",
        "rootlessNetworkCmd": "slirp4netns",
        "security": {
            "apparmorEnabled": _text("/sys/module/apparmor/parameters/enabled").startswith("Y"),
            "rootless": os.getuid() != 0,
            "seccompEnabled": os.path.exists("/proc/sys/kernel/seccomp/actions_avail"),
            "selinuxEnabled": os.path.exists("/sys/fs/selinux/enforce"),
        },
        "slirp4netns": {"executable": _network_program()},
        "swapFree": memory.get("SwapFree", 0),
        "swapTotal": memory.get("SwapTotal", 0),
        "uptime": columns.duration(time.clock_gettime(time.CLOCK_BOOTTIME)),
    }


def _store(paths: Paths) -> dict[str, Any]:
    statuses = [container.status for container in ContainerStore(paths).containers()]
    disk = os.statvfs(paths.data)
    running = statuses.count("running")
    return {
        "containerStore": {
            "number": len(statuses),
            "paused": 0,
            "running": running,
            "stopped": len(statuses) - running,
        },
        "graphDriverName": "overlay",
        "graphRoot": paths.data,
        "graphRootAllocated": disk.f_blocks * disk.f_frsize,
        "graphRootUsed": (disk.f_blocks - disk.f_bfree) * disk.f_frsize,
        "imageStore": {"number": len(ImageStore(paths.data).images())},
        "runRoot": paths.run,
    }


def _flat(sections: dict[str, Any]) -> dict[str, Any]:
    """Return docker's keys."""
    host, store = sections["host"], sections["store"]
    containers = store["containerStore"]
    security = host["security"]
    options = ["name=seccomp,profile=builtin"] if security["seccompEnabled"] else []
    return {
        "Architecture": os.uname().machine,
        "CgroupDriver": "none",
        "CgroupVersion": host["cgroupVersion"][1:],
        "Containers": containers["number"],
        "ContainersPaused": containers["paused"],
        "ContainersRunning": containers["running"],
        "ContainersStopped": containers["stopped"],
        "DockerRootDir": store["graphRoot"],
        "Driver": store["graphDriverName"],
        "Images": store["imageStore"]["number"],
        "KernelVersion": host["kernel"],
        "LoggingDriver": host["logDriver"],
        "MemTotal": host["memTotal"],
        "NCPU": host["cpus"],
        "Name": host["hostname"],
        "OSType": host["os"],
        "OperatingSystem": host["distribution"]["name"],
        "SecurityOptions": [*options, "name=rootless"] if security["rootless"] else options,
        "ServerVersion": sections["version"]["Version"],
    }


def _ranges(ranges: Sequence[Range]) -> list[dict[str, int]]:
    return [
        {"container_id": inside, "host_id": outside, "size": length} for inside, outside, length in ranges
    ]


def _network_program() -> str:
    try:
        return find_program()
    except DaemonlessError:
        return ""


def _text(path: str) -> str:
    """Return a small file of the kernel, or nothing if this kernel has no such file."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _memory() -> dict[str, int]:
    """Return /proc/meminfo in bytes."""
    lines = (line.split() for line in _text("/proc/meminfo").splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) == 3}


def _distribution() -> dict[str, str]:
    """Return what os-release(5) says."""
    try:
        text = read_file("/etc/os-release").decode("utf-8", "replace")
    except (OSError, DaemonlessError):
        text = ""
    values = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        values[name] = value.strip("\"'")
    return {
        "codename": values.get("VERSION_CODENAME", ""),
        "distribution": values.get("ID", "unknown"),
        "name": values.get("PRETTY_NAME", "Linux"),
        "version": values.get("VERSION_ID", ""),
    }


def _go(value: Any) -> Any:
    """Return the sections under the names their fields have in Go, which templates use."""
    if isinstance(value, dict):
        return Struct(
            {_GO_NAMES.get(key, key[:1].upper() + key[1:]): _go(entry) for key, entry in value.items()}
        )
    if isinstance(value, list):
        return [_go(entry) for entry in value]
    return value


def _yaml(value: dict[str, Any], indent: str = "") -> list[str]:
    """Return the lines of a YAML mapping of mappings, lists and scalars."""
    lines = []
    for key, entry in value.items():
        if isinstance(entry, dict):
            lines += [f"{indent}{key}:\n", *_yaml(entry, f"{indent}  ")]
        elif isinstance(entry, list) and entry:
            lines.append(f"{indent}{key}:\n")
            for item in entry:
                inner = _yaml(item, f"{indent}  ") if isinstance(item, dict) else [f"{indent}  {item}\n"]
                lines += [f"{indent}- {inner[0].strip()}\n", *inner[1:]]
        else:
            lines.append(f"{indent}{key}: {_scalar(entry)}\n")
    return lines


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value in ("", []):
        return '""' if value == "" else "[]"
    text = str(value)
    return f'"{text}"' if isinstance(value, str) and text.replace(".", "", 1).isdecimal() else text
