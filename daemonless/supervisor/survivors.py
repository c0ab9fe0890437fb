"""What a container leaves in a pid namespace that is not its own: its end ends nobody else there.

They are those in its mount namespace, which it shares with nobody; one that has made itself another one, or
that nobody may look at, is reached by the cgroup only, where the container has one.
"""

from __future__ import annotations

import _signal
import os

from daemonless.isolation import cgroups

_SIGKILL = 9
_ROUNDS = 10  # a process may fork while it is looked for


def mount_namespace(pid: int) -> int:
    """Return the number of a process's mount namespace; 0 if it may not be known."""
    try:
        return os.stat(f"/proc/{pid}/ns/mnt").st_ino
    except OSError:
        return 0


def end_all(namespace: int, cgroup: str, but: int) -> None:
    """Kill all processes of a mount namespace, which may be 0, and of a cgroup, but not process `but`."""
    if cgroup:
        cgroups.kill(cgroup)
    for _ in range(_ROUNDS if namespace else 0):
        found = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if pid != but]
        alive = [pid for pid in found if mount_namespace(pid) == namespace]
        if not alive:
            return
        for pid in alive:
            _kill(pid, namespace)


def _kill(pid: int, namespace: int) -> None:
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if mount_namespace(pid) == namespace:  # the pid is still its own
            _signal.pidfd_send_signal(pidfd, _SIGKILL)
    except OSError:
        pass
    finally:
        os.close(pidfd)
