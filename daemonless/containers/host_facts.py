"""What a runtime spec needs to know of the machine, gathered so that `build_spec` stays pure."""

from __future__ import annotations

import os
import resource

from daemonless.containers import environment
from daemonless.containers.grammar import UNLIMITED
from daemonless.containers.request import RunRequest
from daemonless.files import read_file
from daemonless.oci.runtime import CAPABILITIES, RLIMITS
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_THERMAL = "/sys/devices/system/cpu"
# /dev entries that every container has of its own
_OWN_DEVICES = (
    "null",
    "zero",
    "full",
    "random",
    "urandom",
    "tty",
    "console",
    "ptmx",
    "pts",
    "shm",
    "mqueue",
    "fd",
)


class HostFacts(Record):
    """The machine, as far as a spec depends on it."""

    hostname: str
    rlimits: tuple[tuple[str, int, int], ...]  # name, soft, hard of this process
    last_capability: int = len(CAPABILITIES) - 1
    inherited: tuple[str, ...] = ()  # variables of the caller, NAME=VALUE
    devices: tuple[str, ...] = ()  # readable device nodes, for --privileged only
    thermal_throttle: tuple[str, ...] = ()  # paths below /sys that tell of the CPUs' heat
    has_mqueue: bool = False  # /dev/mqueue is there to be shared, for --ipc=host
    oom_score_adj: int = 0  # of this process, the least an unprivileged user can set


def gather_facts(request: RunRequest, caller: Mapping[str, str] | None = None) -> HostFacts:
    """Return the facts that `request` needs; the rest keeps its defaults, unread."""
    caller = os.environ if caller is None else caller
    return HostFacts(
        hostname=os.uname().nodename,
        rlimits=_rlimits(),
        last_capability=_read_number("/proc/sys/kernel/cap_last_cap", len(CAPABILITIES) - 1),
        inherited=_inherited(request, caller),
        devices=_devices("/dev") if request.privileged else (),
        thermal_throttle=_thermal_throttle(),
        has_mqueue=request.ipc == "host" and os.path.isdir("/dev/mqueue"),
        oom_score_adj=0 if request.oom_score_adj is None else _read_number("/proc/self/oom_score_adj", 0),
    )


def _inherited(request: RunRequest, caller: Mapping[str, str]) -> tuple[str, ...]:
    if request.env_host:
        return tuple(f"{name}={value}" for name, value in caller.items())
    return environment.proxies_of(caller) if request.http_proxy else ()


def _rlimits() -> tuple[tuple[str, int, int], ...]:
    result = []
    for name, number in RLIMITS.items():
        soft, hard = resource.getrlimit(number)
        result.append((name, soft & UNLIMITED, hard & UNLIMITED))
    return tuple(result)


def _read_number(path: str, default: int) -> int:
    try:
        return int(read_file(path, 64))
    except (OSError, ValueError):
        return default


def _devices(directory: str) -> tuple[str, ...]:
    """Return the device nodes below `directory` that the caller may read, as podman does rootless."""
    found: list[str] = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if directory == "/dev" and entry.name in _OWN_DEVICES:
                continue
            if entry.is_dir(follow_symlinks=False):
                if os.access(entry.path, os.R_OK | os.X_OK):
                    found += _devices(entry.path)
                continue
            kind = entry.stat(follow_symlinks=False).st_mode & 0o170000
            if kind in (0o020000, 0o060000) and os.access(entry.path, os.R_OK):
                found.append(entry.path)
    return tuple(sorted(found))


def _thermal_throttle() -> tuple[str, ...]:
    """Return the directories that count how often a CPU ran hot; virtual machines have none."""
    if not os.path.exists(f"{_THERMAL}/cpu0/thermal_throttle"):
        return ()
    names = [name for name in os.listdir(_THERMAL) if name.startswith("cpu") and name[3:].isdigit()]
    return tuple(f"{_THERMAL}/{name}/thermal_throttle" for name in sorted(names))
