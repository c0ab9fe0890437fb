"""restart: end a container's process and start it again, under the same supervisor if there is one.

So a container of `run --rm` is not removed in between, and who waits for its end goes on waiting.
"""

from __future__ import annotations

import time

from daemonless.config import Paths
from daemonless.containers import ending, starting
from daemonless.containers.store import Container
from daemonless.errors import DaemonlessError, NotFound, SetupFailed
from daemonless.files import Lock
from daemonless.supervisor import protocol

_PATIENCE = 30  # seconds for a supervisor to start a container


def restart(paths: Paths, container: Container, signal: int, timeout: float) -> None:
    """Restart a container, or start one that does not run.

    It is asked to end first, by `signal`, and killed after `timeout` seconds. Raises what the start reported.
    """
    container.refresh()
    state = container.state
    if state is None or not container.is_running:
        ending.stop(container, signal, timeout)  # a back-off, or a set-up
        starting.start(paths, container).socket.close()
        return
    mark = Lock(f"{container.run_directory}/{protocol.RESTART_MARK}")
    mark.try_acquire()
    mark.release()
    ending.end_process(container, state, signal, timeout)
    _wait_for_successor(container, state["startTime"])


def _wait_for_successor(container: Container, ended: int) -> None:
    """Return once another process than the one that was started then runs."""
    deadline = time.monotonic() + _PATIENCE
    while container.is_supervised:
        container.refresh()
        state = container.state
        if state is not None and state["pid"] and state["startTime"] != ended:
            return
        if time.monotonic() > deadline:
            raise DaemonlessError(f"container {container.name} has ended, but is not started again")
        time.sleep(0.002)
    container.refresh()
    if not container.is_there:
        raise NotFound(f"container {container.id[:12]} was removed while it was restarted")
    record = container.exit
    if record is not None and record["error"]:
        raise SetupFailed(record["error"])
    raise DaemonlessError(f"container {container.name} was stopped while it was restarted")
