"""A cgroup of the container's own, where this process was delegated the right to make one.

Follows cgroups(7), "Cgroups v2 delegation". systemd delegates below user@UID.service; a login
session's own scope is not delegated, and then the container stays in the cgroup of its supervisor.
Either way it sees its own cgroup as the root (cgroup_namespaces(7)).
"""

from __future__ import annotations

import os

from daemonless.errors import DaemonlessError, Unsupported
from daemonless.files import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_MOUNTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")  # the second beside cgroup v1 (hybrid)
_PREFIX = "daemonless-"
_SWAP = "memory.swap.max"
_LIMITED = "daemonless."  # the pid of its maker follows


def own_directory() -> str | None:
    """Return the directory of this process's cgroup (v2), or None where there is none."""
    try:
        lines = read_file("/proc/self/cgroup", 1 << 16).decode("utf-8", "surrogateescape").splitlines()
    except (OSError, DaemonlessError):
        return None
    for line in lines:
        if line.startswith("0::"):
            for mount in _MOUNTS:
                if os.access(f"{mount}/cgroup.procs", os.F_OK):
                    return f"{mount}{line[3:].rstrip('/')}"
    return None


def create(container_id: str) -> str | None:
    """Make the container's cgroup and return its directory; None if that is not ours to do."""
    parent = own_directory()
    if parent is None:
        return None
    path = f"{parent}/{_PREFIX}{container_id[:12]}"
    try:
        os.mkdir(path)
    except FileExistsError:  # of an earlier run whose supervisor was killed
        freeze(path, frozen=False)
    except OSError:
        return None
    return path


def create_limited(limits: Mapping[str, str]) -> str:
    """Make a cgroup with limits (file: value, as in cgroups v2) and return its directory.

    A controller is at hand below a cgroup that has no processes of its own, so it is tried below
    this process's cgroup and beside it. What earlier processes left there is removed. Raises Unsupported.
    """
    own = own_directory() or ""
    controllers = {file.partition(".")[0] for file in limits}
    for parent in (own, own.rpartition("/")[0]):
        if not parent.startswith(_MOUNTS):
            continue
        _sweep_limited(parent)
        path = f"{parent}/{_LIMITED}{os.getpid()}"
        try:
            _enable(parent, controllers)
            os.mkdir(path)
        except OSError:
            continue
        try:
            for file, value in limits.items():
                if file != _SWAP or os.path.exists(f"{path}/{file}"):  # a kernel may not account it
                    _write(f"{path}/{file}", value)
        except OSError:
            remove(path)
            continue
        return path
    raise Unsupported(
        f"cannot limit {' and '.join(sorted(controllers))}: no cgroup that can is delegated to you",
        "limit all of it from outside: systemd-run --user --scope -p MemoryMax=1G -p CPUQuota=50% COMMAND",
    )


def holds(path: str, pid: int) -> bool:
    """Whether a process is in the cgroup."""
    try:
        return str(pid).encode() in read_file(f"{path}/cgroup.procs", 1 << 20).split()
    except (OSError, DaemonlessError):
        return False


def _enable(parent: str, controllers: set[str]) -> None:
    """Have cgroups below `parent` get these controllers. Raises OSError."""
    control = f"{parent}/cgroup.subtree_control"
    enabled = read_file(control, 1 << 16).decode("ascii").split()
    missing = sorted(controllers - set(enabled))
    if missing:
        _write(control, " ".join(f"+{name}" for name in missing))


def _write(path: str, value: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def _sweep_limited(parent: str) -> None:
    try:
        names = os.listdir(parent)
    except OSError:
        return
    for name in names:
        maker = name.removeprefix(_LIMITED)
        if name != maker and not os.path.exists(f"/proc/{maker}"):
            remove(f"{parent}/{name}")


def freeze(path: str, *, frozen: bool) -> bool:
    """Stop or resume all processes of a cgroup; False if it has no freezer that is ours to use.

    Returns before they have stopped: cgroup.events tells when (`is_frozen`).
    """
    try:
        fd = os.open(f"{path}/cgroup.freeze", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.write(fd, b"1" if frozen else b"0")
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def kill(path: str) -> None:
    """Kill all processes of a cgroup, where the kernel does (5.14) and the cgroup is ours."""
    try:
        _write(f"{path}/cgroup.kill", "1")
    except OSError:
        pass


def is_frozen(path: str) -> bool:
    """Whether every process of the cgroup has stopped (cgroup.events of cgroups(7))."""
    return _counter(f"{path}/cgroup.events", b"frozen") > 0


def is_populated(path: str) -> bool:
    """Whether there is such a cgroup and a process lives in it or below."""
    return bool(path) and _counter(f"{path}/cgroup.events", b"populated") > 0


def oom_kills(path: str) -> tuple[int, bool]:
    """Return how many processes the kernel has killed for want of memory, and whether of `path` alone.

    Only a cgroup with the memory controller counts them, which is often not the container's own: systemd
    enables it for units, and the kernel for no cgroup beside processes. Then it is the nearest one
    above, or above this process for an empty `path`. Nowhere: 0.
    """
    directory = path or own_directory() or ""
    while len(directory) > len(_MOUNTS[0]):
        try:
            events = read_file(f"{directory}/memory.events", 1 << 16)
        except (OSError, DaemonlessError):
            directory = directory.rpartition("/")[0]
        else:
            return _counter_of(events, b"oom_kill"), directory == path
    return 0, False


def _counter(path: str, name: bytes) -> int:
    """Return a value of a flat keyed file (cgroups v2, "Interface Files"); 0 if it is not there."""
    try:
        return _counter_of(read_file(path, 1 << 16), name)
    except (OSError, DaemonlessError):
        return 0


def _counter_of(content: bytes, name: bytes) -> int:
    for line in content.splitlines():
        key, _, value = line.partition(b" ")
        if key == name and value.isdigit():
            return int(value)
    return 0


def remove(path: str) -> None:
    """Remove a container's cgroup; one that still has processes stays."""
    try:
        os.rmdir(path)
    except OSError:
        pass


def sweep() -> None:
    """Remove the empty cgroups of containers whose supervisors were killed."""
    parent = own_directory()
    try:
        names = os.listdir(parent) if parent else []
    except OSError:
        return
    for name in names:
        if name.startswith(_PREFIX):
            remove(f"{parent}/{name}")
