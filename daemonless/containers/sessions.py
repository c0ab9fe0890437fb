"""Exec sessions: the processes of a container that `exec` has started and that still live.

Each is a file of the container's runtime directory, made and removed by whoever waits for the process.
A file that was left behind is not believed, because the process it tells of is gone, and goes with the
run of the container at the latest.
"""

from __future__ import annotations

import os

from daemonless import jsonio
from daemonless.containers.store import Container
from daemonless.errors import DaemonlessError
from daemonless.files import boot_id, process_start_time, read_file, unlink_if_there, write_atomic
from daemonless.supervisor.protocol import SESSION_PREFIX


def remember(container: Container, session: str, pid: int) -> None:
    """Record that a session lives; one that cannot be recorded runs all the same."""
    try:
        data = {"schema": 1, "pid": pid, "startTime": process_start_time(pid), "bootId": boot_id()}
        write_atomic(_path(container, session), jsonio.dumps(data).encode(), durable=False)
    except OSError:  # a full disk, or the container is gone already
        pass


def forget(container: Container, session: str) -> None:
    """Remove the record of a session that has ended."""
    try:
        unlink_if_there(_path(container, session))
    except OSError:
        pass


def living(container: Container) -> list[str]:
    """Return the ids of a container's sessions."""
    try:
        names = os.listdir(container.run_directory)
    except OSError:
        return []
    sessions = [name[len(SESSION_PREFIX) :] for name in names if name.startswith(SESSION_PREFIX)]
    return sorted(session for session in sessions if _lives(_path(container, session)))


def _path(container: Container, session: str) -> str:
    return f"{container.run_directory}/{SESSION_PREFIX}{session}"


def _lives(path: str) -> bool:
    try:
        data = jsonio.loads(read_file(path, 4096), what=path)
        recorded = data["pid"], data["startTime"], data["bootId"]
        return recorded == (data["pid"], process_start_time(data["pid"]), boot_id())
    except (OSError, DaemonlessError, KeyError, TypeError):
        return False
