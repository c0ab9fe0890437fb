"""The ends of containers: kill, stop, wait, remove."""

from __future__ import annotations

import _signal
import os
import select
import time

from daemonless import events
from daemonless.config import Paths
from daemonless.containers.store import DEPENDENTS, Container, ContainerStore, event_details
from daemonless.errors import Conflict, DaemonlessError, InvalidData, NotFound
from daemonless.files import Lock, remove_flat_directory, unlink_if_there
from daemonless.isolation import cgroups
from daemonless.supervisor import attach, protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SIGKILL, _SIGTERM = 9, 15
_ENDING = (2, 3, 6, _SIGKILL, _SIGTERM)  # INT, QUIT, ABRT: sent to end a process, not to tell it something
_PATIENCE = 10  # seconds for the kernel and a supervisor to finish what takes them milliseconds


def stop_signal(container: Container) -> int:
    """Return the signal that asks the container to end: --stop-signal, the image's, or SIGTERM."""
    number: int = container.record["request"]["stop_signal"]
    return number or _SIGTERM


def kill(container: Container, number: int) -> None:
    """Send a signal to the container's process. Raises NotFound if it does not run.

    One that usually ends a process also keeps the container from being restarted, and wakes up a
    paused one to act on it; other signals do neither.
    """
    state = container.state
    ends = number in _ENDING or number == stop_signal(container)
    if state is not None and ends:
        if not container.is_supervised:
            raise NotFound(f"container {container.name} is not running")
        mark = _mark(Lock(_mark_path(container)))
        mark.release()
        if not state["pid"]:  # between two runs
            _wake(container)
            return
    pidfd = container.pidfd()
    try:
        _signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        raise NotFound(f"container {container.name} is not running") from None
    finally:
        os.close(pidfd)
    if ends and number != _SIGKILL:
        _release_if_paused(container)


def stop(container: Container, number: int, timeout: float) -> None:
    """Ask with signal `number`, then kill after `timeout` seconds; returns when it has ended.

    A negative timeout waits for ever. It will not be restarted: the mark that says so is made before
    each signal, and after the state it belongs to was read, because a supervisor that starts removes
    what an earlier one was told. A container that does not run is left as it is.
    """
    mark = Lock(_mark_path(container))
    deadline = time.monotonic() + _PATIENCE
    try:
        while container.is_supervised:
            container.refresh()
            state = container.state
            _mark(mark)
            if state is not None and state["pid"]:
                end_process(container, state, number, timeout)
                wait_for_supervisor(container)
                return
            _wake(container)
            if time.monotonic() > deadline:
                raise DaemonlessError(f"the supervisor of container {container.id[:12]} does not end")
            time.sleep(0.002)
        container.refresh()
    finally:
        mark.release()
        if not container.is_there:
            remove_flat_directory(container.run_directory)


def end_process(container: Container, state: dict[str, Any], number: int, timeout: float) -> None:
    """Send the process of `state` a signal, and SIGKILL after `timeout` seconds; return when it has ended."""
    try:
        pidfd = container.pidfd()
    except NotFound:  # it has ended; its supervisor is about to
        return
    try:
        # One that waits for its execve handles no signal yet.
        _signal.pidfd_send_signal(pidfd, _SIGKILL if state["status"] == "initialized" else number)
        if number != _SIGKILL:
            _release_if_paused(container)
        if not _ended(pidfd, timeout):
            _signal.pidfd_send_signal(pidfd, _SIGKILL)
            if not _ended(pidfd, _PATIENCE):
                raise DaemonlessError(f"container {container.name} did not die of SIGKILL")
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)


def _mark_path(container: Container) -> str:
    return f"{container.run_directory}/{protocol.STOP_MARK}"


def _mark(mark: Lock) -> Lock:
    """Tell the supervisor that the container is to stay ended, and others who does it."""
    if mark.fd < 0 or not mark.is_in_place():
        mark.release()
        try:
            mark.try_acquire()
        except OSError:  # the container is gone, or the disk is full: the signals have to do
            pass
    return mark


def _wake(container: Container) -> None:
    """Make a supervisor that waits before a restart look at the mark."""
    try:
        attach.connect(container.run_directory).close()
    except NotFound:
        pass


def _release_if_paused(container: Container) -> None:
    if container.is_paused:
        from daemonless.containers.pausing import release  # noqa: PLC0415 - for who is paused only

        release(container)


def _ended(pidfd: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(int(seconds * 1000)))


def wait_for_supervisor(container: Container) -> None:
    """Return when the supervisor has left: its lock is free, or gone with the container."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if not container.is_supervised:
            container.refresh()
            return
        time.sleep(0.002)
    raise DaemonlessError(f"the supervisor of container {container.id[:12]} does not end")


def wait(container: Container) -> int:
    """Wait until the container has ended, and is not restarted, and return its exit status."""
    while True:
        try:
            socket = attach.connect(container.run_directory)
        except NotFound:
            if not container.is_supervised:
                container.refresh()
                return container.exit_code
            time.sleep(0.01)  # it is starting, or about to end
            continue
        try:
            record = attach.wait_exit(socket)
        except OSError:
            record = None
        finally:
            socket.close()
        if record is not None and not record["restarting"]:
            code: int = record["exitCode"]
            return code


def remove(
    paths: Paths, container: Container, *, force: bool = False, grace: float = 0, volumes: bool = False
) -> None:
    """Remove a container, and its anonymous volumes if asked; files are deleted in the background.

    A running one is ended if `force` is given, at once or after it was asked and had `grace`
    seconds; otherwise Conflict is raised, with exit status 2. It is also raised, whatever is given, if
    another container needs this one. A container whose files are broken can still be
    removed with `force`.
    """
    _refuse_if_needed(paths, container)
    if grace and force and container.is_running:
        try:
            stop(container, stop_signal(container), grace)
        except InvalidData:  # it cannot be asked: its record is broken
            pass
    lock = _lock_to_remove(container, force=force)
    try:
        _refuse_if_needed(paths, container)  # who comes to need it now sees that it is gone
        forget(paths, container, volumes=volumes)
    finally:
        if lock:
            lock.release()


def _refuse_if_needed(paths: Paths, container: Container) -> None:
    if not container.is_needed:
        return
    from daemonless.containers.sharing import dependents  # noqa: PLC0415 - few containers are needed

    for other in dependents(ContainerStore(paths), container):
        raise Conflict(
            f"container {container.name} is needed by container {other.name}",
            f"remove that first, or both: daemonless rm --depend {container.name}",
        )


def remove_if_there(paths: Paths, container: Container) -> None:
    """Remove a container, ended at once if it runs; one that is gone already is fine."""
    try:
        remove(paths, container, force=True)
    except NotFound:
        pass


def _lock_to_remove(container: Container, *, force: bool) -> Lock | None:
    """Take the container's lock, with `force` from a supervisor that is killed with its container.

    Whoever holds the lock for a moment only - to start or to remove it - is waited for. None if
    the runtime directory is full or cannot be written, and nobody can be holding it.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            lock = container.try_lock()
        except OSError:
            if container.is_supervised:
                raise
            return None
        if lock:
            return lock
        container.refresh()
        if force:
            _kill_supervised(container)
        elif container.lives:
            raise Conflict(
                f"container {container.name} is {container.status}",
                "stop it first, or remove it with --force",
                exit_status=2,
            )
        if time.monotonic() > deadline:
            raise DaemonlessError(f"the supervisor of container {container.id[:12]} does not end")
        time.sleep(0.002)


def _kill_supervised(container: Container) -> None:
    """Kill the container's process; without a readable record of it, or before it is, its supervisor."""
    try:
        if container.state is not None:
            kill(container, _SIGKILL)
        else:
            attach.kill_supervisor(container.run_directory)
    except NotFound:
        pass  # it is about to start or to end


def forget(paths: Paths, container: Container, *, volumes: bool = False) -> None:
    """Take the container out of sight; whoever calls holds its lock.

    Its anonymous volumes go with it if `volumes` is given or it was run with --rm.
    """
    container.refresh()  # it may have been renamed since its supervisor read the record
    record: dict[str, Any] = {}
    details: dict[str, Any] = {}
    try:
        record = container.record
        details = event_details(record)
    except DaemonlessError:
        pass
    cgroup = (container.state or {}).get("cgroup")
    needed = container.needs if record else []
    ContainerStore(paths).forget(container)
    for other in needed:
        unlink_if_there(f"{paths.data}/containers/{other}/{DEPENDENTS}/{container.id}")
    if cgroup:
        cgroups.remove(cgroup)
    events.record(paths, "container", "remove", container.id, **details)
    request = record.get("request", {})
    has_volumes = any(mount["type"] == "volume" for mount in request.get("mounts", ()))
    if has_volumes and (volumes or request.get("rm")):
        from daemonless.containers.volumes import remove_anonymous  # noqa: PLC0415 - for who has some

        remove_anonymous(paths, record)
