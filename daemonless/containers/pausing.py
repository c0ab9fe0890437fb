"""pause and unpause: freeze the processes of a container, and let them go on.

The kernel freezes a cgroup of the container's own (cgroups v2, cgroup.freeze) as a whole and
unseen. Where there is none, every process gets SIGSTOP: the first one before its children, so
that it does not see them stop, and again those that were forked meanwhile; SIGCONT goes the other
way round. What a container stops itself is then continued as well.
"""

from __future__ import annotations

import _signal
import os
import time

from daemonless import jsonio
from daemonless.clock import timestamp
from daemonless.containers.store import PAUSE_MARK, Container
from daemonless.errors import Conflict, DaemonlessError, InvalidData
from daemonless.files import Lock, read_file, unlink_if_there, write_atomic
from daemonless.isolation import cgroups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_SIGCONT, _SIGSTOP = 18, 19
_PATIENCE = 10  # seconds
_AT_REST = ("Z", "X")


def pause(container: Container) -> bool:
    """Freeze the container; return whether its cgroup did it, and not signals.

    Raises Conflict if it does not run or is paused already.
    """
    with _lock(container):
        status = container.status
        if status == "paused":
            raise Conflict(f"container {container.name} is already paused")
        state = container.state
        if status != "running" or state is None:
            raise Conflict(f"container {container.name} is {status}, so it cannot be paused")
        cgroup = state.get("cgroup") or ""
        by_cgroup = cgroups.is_populated(cgroup) and os.access(f"{cgroup}/cgroup.freeze", os.W_OK)
        mark = {
            "schema": 1,
            "startTime": state["startTime"],
            "method": "cgroup" if by_cgroup else "signals",
            "since": timestamp(),
        }
        # The mark comes first: who is killed half-way leaves a container that can be unpaused.
        path = f"{container.run_directory}/{PAUSE_MARK}"
        write_atomic(path, jsonio.dumps(mark).encode(), durable=False)
        try:
            if by_cgroup:
                cgroups.freeze(cgroup, frozen=True)
                _until(lambda: cgroups.is_frozen(cgroup), container)
            else:
                _until(lambda: not _signal_all(state["pid"], _SIGSTOP), container)
        except DaemonlessError:
            _thaw(container)
            raise
        return by_cgroup


class Paused:
    """A context in which a container is paused."""

    def __init__(self, container: Container) -> None:
        self._container = container

    def __enter__(self) -> Paused:
        pause(self._container)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        release(self._container)


def unpause(container: Container) -> None:
    """Let the container go on. Raises Conflict if it is not paused."""
    with _lock(container):
        status = container.status
        if status != "paused":
            raise Conflict(f"container {container.name} is {status}, not paused, so it cannot be unpaused")
        _thaw(container)


def release(container: Container) -> None:
    """Let the container go on if it is paused, so that it can act on a signal it was sent."""
    container.refresh()
    if container.is_paused:
        with _lock(container):
            _thaw(container)


def _lock(container: Container) -> Lock:
    """Return the lock of the container's pausing; what is read of the container is read anew."""
    container.refresh()
    if not os.path.isdir(container.run_directory):
        raise Conflict(f"container {container.name} is {container.status}, not running")
    return Lock(f"{container.run_directory}/pause.lock")


def _thaw(container: Container) -> None:
    container.refresh()
    state = container.state
    if state is not None and container.is_supervised:
        if state.get("cgroup"):
            cgroups.freeze(state["cgroup"], frozen=False)
        for _ in range(2):  # the second time for children of the ones that went on
            _signal_all(state["pid"], _SIGCONT)
    unlink_if_there(f"{container.run_directory}/{PAUSE_MARK}")
    container.refresh()


def _until(done: Callable[[], bool], container: Container) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise DaemonlessError(f"a process of container {container.name} cannot be stopped")
        time.sleep(0.001)


def _signal_all(first: int, number: int) -> int:
    """Send SIGSTOP or SIGCONT to the processes that need it; return how many did."""
    needed = 0
    members = _members(first)
    order = sorted(members, key=lambda pid: pid != first, reverse=number == _SIGCONT)
    for pid in order:
        state, started = members[pid]
        if state in _AT_REST or (state == "T") == (number == _SIGSTOP):
            continue
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            continue
        try:
            again = _stat(pid)
            if again and again[2] == started:  # still the process that was looked at
                _signal.pidfd_send_signal(pidfd, number)
                needed += 1
        except OSError:
            pass
        finally:
            os.close(pidfd)
    return needed


def _members(first: int) -> dict[int, tuple[str, int]]:
    """Return state and start time of each process of the container whose process is `first`.

    They share its user or pid namespace, which the container does not share with anything else,
    or descend from one that does: processes of `exec` are no descendants, and nested namespaces
    are others.
    """
    namespaces = {_namespace(first, kind) for kind in ("user", "pid")}
    namespaces -= {"", _namespace("self", "user"), _namespace("self", "pid")}
    found: dict[int, tuple[str, int]] = {}
    children: dict[int, list[int]] = {}
    stats: dict[int, tuple[str, int]] = {}
    for name in os.listdir("/proc"):
        if not name.isdecimal() or (stat := _stat(int(name))) is None:
            continue
        pid = int(name)
        state, parent, started = stat
        stats[pid] = (state, started)
        children.setdefault(parent, []).append(pid)
        if pid == first or namespaces & {_namespace(pid, "user"), _namespace(pid, "pid")}:
            found[pid] = stats[pid]
    todo = [*found]
    while todo:
        for child in children.get(todo.pop(), ()):
            if child not in found:
                found[child] = stats[child]
                todo.append(child)
    return found


def _namespace(pid: int | str, kind: str) -> str:
    """Return what names a namespace of a process; empty if it is gone or not ours to look at."""
    try:
        return os.readlink(f"/proc/{pid}/ns/{kind}")
    except OSError:
        return ""


def _stat(pid: int) -> tuple[str, int, int] | None:
    """Return state, parent and start time of a process (proc_pid_stat(5)), or None if it is gone."""
    try:
        text = read_file(f"/proc/{pid}/stat", 4096).rpartition(b")")[2].split()
    except (OSError, InvalidData):
        return None
    return text[0].decode(), int(text[1]), int(text[19])
