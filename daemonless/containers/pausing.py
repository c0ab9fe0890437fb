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
from daemonless.containers.processes import members
from daemonless.containers.store import PAUSE_MARK, Container
from daemonless.errors import Conflict, DaemonlessError, NotFound
from daemonless.files import Lock, process_start_time, unlink_if_there, write_atomic
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
                _until(lambda: not _signal_all(container, _SIGSTOP), container)
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
            _signal_all(container, _SIGCONT)
    unlink_if_there(f"{container.run_directory}/{PAUSE_MARK}")
    container.refresh()


def _until(done: Callable[[], bool], container: Container) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise DaemonlessError(f"a process of container {container.name} cannot be stopped")
        time.sleep(0.001)


def _signal_all(container: Container, number: int) -> int:
    """Send SIGSTOP or SIGCONT to the processes that need it; return how many did."""
    try:
        found = members(container)
    except (NotFound, FileNotFoundError, ProcessLookupError):  # it has ended
        return 0
    first = container.state["pid"] if container.state else 0
    needed = 0
    for process in sorted(found, key=lambda each: each.host_pid != first, reverse=number == _SIGCONT):
        if process.state in _AT_REST or (process.state == "T") == (number == _SIGSTOP):
            continue
        try:
            pidfd = os.pidfd_open(process.host_pid)
        except OSError:
            continue
        try:
            if process_start_time(process.host_pid) == process.start_ticks:  # still the one looked at
                _signal.pidfd_send_signal(pidfd, number)
                needed += 1
        except OSError:
            pass
        finally:
            os.close(pidfd)
    return needed
