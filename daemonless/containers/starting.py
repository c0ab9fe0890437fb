"""start: from a bundle to a supervised process.

Nothing but the bundle is consulted; the supervisor gets plain data and what to do at the end.
"""

from __future__ import annotations

import _socket
import os
import time

from daemonless import events, failpoints, jsonio
from daemonless.config import Paths
from daemonless.containers import exits, netfiles
from daemonless.containers.ending import forget, stop
from daemonless.containers.request import RunRequest, needs_storage
from daemonless.containers.store import Container, ContainerStore, event_details, sync_bundle
from daemonless.errors import (
    CommandNotExecutable,
    Conflict,
    DaemonlessError,
    NotFound,
    Unsupported,
    UsageError,
)
from daemonless.files import Lock, sync, unlink_if_there, write_atomic
from daemonless.isolation import cgroups, seccomp
from daemonless.isolation.launch import Start
from daemonless.isolation.slirp4netns import Slirp4netns
from daemonless.isolation.userns import mapped_ids
from daemonless.layers import trash
from daemonless.record import Record
from daemonless.supervisor import attach, logs, monitor, protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from daemonless.containers.storage import Ready
    from daemonless.isolation.launch import Source
    from daemonless.supervisor.probes import Checks
    from daemonless.supervisor.restart import Policy


_SIGKILL, _SIGTERM = 9, 15
_PATIENCE = 10  # seconds for who starts or removes the container meanwhile


class Started(Record):
    """A container that runs, and this command's connection to its supervisor."""

    container: Container
    pid: int
    pidfd: int  # of the container's process; -1 if it has ended already
    socket: _socket.socket


def start(
    paths: Paths, container: Container, *, attached: bool = False, preserve_fds: tuple[int, ...] = ()
) -> Started:
    """Start a created or exited container; returns once its command is executing.

    `attached` ties the container's stdin to this command, `preserve_fds` are descriptors of
    this process that it inherits, in order. Raises Conflict if it runs already,
    or what its start reported (exit status 125, 126 or 127).
    """
    return _start(paths, container, attached=attached, preserve_fds=preserve_fds, hold=False)


def initialize(paths: Paths, container: Container) -> None:
    """Set a container up, but leave the execution of its command to the next `start`.

    Raises Conflict if it lives already, or what the set-up reported.
    """
    _start(paths, container, attached=False, preserve_fds=(), hold=True).socket.close()


def _start(
    paths: Paths, container: Container, *, attached: bool, preserve_fds: tuple[int, ...], hold: bool
) -> Started:
    record = container.record
    check_streams(record["request"]["log_driver"])
    lock = _lock_to_start(container)
    if lock is None:
        status = container.status
        if status == "initialized" and not hold:
            return _release(container, attached=attached)
        raise Conflict(
            f"container {record['name']} is {status}, so it cannot be initialized"
            if hold
            else f"container {record['name']} is already running"
        )
    try:
        return _start_locked(paths, container, lock, attached=attached, preserve_fds=preserve_fds, hold=hold)
    except KeyboardInterrupt:
        lock.release()
        stop(container, _SIGKILL, 0)  # its supervisor would go on with the start
        raise


def _start_locked(
    paths: Paths,
    container: Container,
    lock: Lock,
    *,
    attached: bool,
    preserve_fds: tuple[int, ...],
    hold: bool,
) -> Started:
    record = container.record
    ready = joined = None
    streams: tuple[int, ...] = ()
    try:
        if container.exit and container.is_newer:
            raise Unsupported(
                f"container {record['name']} was last run by a newer daemonless",
                "start it with that one, or remove it: daemonless rm",
            )
        request = RunRequest.from_dict(record["request"])
        if request.shares or request.requires:
            _start_needed(paths, container)
        ready = _ready(paths, container, request)
        job = _job(paths, container, request, lock, ready, attached=attached, preserve_fds=preserve_fds)
        if request.log_driver == "passthrough":
            stdin = os.dup(0) if request.interactive else os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
            streams = stdin, os.dup(1), os.dup(2)
            job = job.replace(streams=streams)
        job = job.replace(hold=hold)
        joined = job.start.joined
        failpoints.reach("start.supervisor")
        keep = (*preserve_fds, *(ready.lock_fds if ready else ()), *streams, *(joined.fds if joined else ()))
        supervisor, socket = monitor.spawn(job, keep=keep)
    finally:
        lock.release()  # the supervisor has it now
        if ready:
            ready.release()  # as are these
        if joined:
            joined.close()
        for fd in streams:
            os.close(fd)
    try:
        return _started(container, socket)
    except Exception as error:
        socket.close()
        os.waitpid(supervisor, 0)
        if isinstance(error, CommandNotExecutable):
            _name_platform(error, paths, record["imageId"])
        raise


def _start_needed(paths: Paths, container: Container) -> None:
    """Start the containers that this one needs, as far as they do not run. Raises NotFound, or as `start`."""
    for other in map(ContainerStore(paths).find, container.needs):
        if not other.is_running:
            try:
                started = start(paths, other)
            except Conflict:
                other.refresh()
                if not other.is_running:
                    raise
                continue  # it was started meanwhile
            started.socket.close()
            if started.pidfd >= 0:
                os.close(started.pidfd)


def _name_platform(error: CommandNotExecutable, paths: Paths, image_id: str) -> None:
    """Say that an image is for other machines, if that is why its command cannot be executed."""
    from daemonless.images.store import ImageStore  # noqa: PLC0415 - for start, which needs no image
    from daemonless.oci.image import host_platform, is_suitable, platform_of_config  # noqa: PLC0415 - too

    try:
        stated = platform_of_config(ImageStore(paths.data).resolve(image_id).config)
    except DaemonlessError:  # it was removed
        return
    if stated and not is_suitable(host_platform(), stated):
        error.message += f"; the image is for {stated}, and this machine is {host_platform()}"
        error.hint = "sudo apt-get install qemu-user-static lets it run such programs"


def _lock_to_start(container: Container) -> Lock | None:
    """Take the container's lock; None if it lives already. Raises NotFound if it is removed meanwhile.

    Whoever holds the lock for a moment only - to start, to end or to remove it - is waited for; on a disk
    that stalls a moment can be long, and then it is an error that says so.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        lock = container.try_lock()
        if lock:
            return lock
        container.refresh()
        if container.lives:
            return None
        if time.monotonic() > deadline:
            raise DaemonlessError(
                f"another command has been busy with container {container.name} for {_PATIENCE} s",
                "try again",
            )
        time.sleep(0.002)


def _ready(paths: Paths, container: Container, request: RunRequest) -> Ready | None:
    if not needs_storage(request, paths.data):
        return None
    from daemonless.containers.storage import make_ready  # noqa: PLC0415 - for who has volumes only

    return make_ready(paths, container, request)


def _release(container: Container, *, attached: bool) -> Started:
    """Let a container that was set up execute its command."""
    socket = attach.connect(container.run_directory)
    try:
        socket.send(protocol.RELEASE + (b"a" if attached else b""))
        return _started(container, socket)
    except BaseException:
        socket.close()
        raise


def _started(container: Container, socket: _socket.socket) -> Started:
    """Wait for the outcome of the start; raises what it reported."""
    pid = attach.wait_ready(socket)
    container.refresh()
    try:
        pidfd = container.pidfd()
    except NotFound:
        pidfd = -1
    return Started(container=container, pid=pid, pidfd=pidfd, socket=socket)


def check_streams(log_driver: str) -> None:
    """Refuse a terminal to a container that would get it as it is (CVE-2017-5226). Raises UsageError."""
    if log_driver == "passthrough" and any(os.isatty(fd) for fd in (0, 1, 2)):
        raise UsageError(
            "--log-driver=passthrough cannot be used on a terminal",
            "what runs in the container could type into it: redirect all three streams",
        )


def _job(
    paths: Paths,
    container: Container,
    request: RunRequest,
    lock: Lock,
    ready: Ready | None,
    *,
    attached: bool,
    preserve_fds: tuple[int, ...],
    again: bool = False,
) -> monitor.Job:
    """Gather what the supervisor needs from the bundle; nothing else is consulted.

    `again` is for a further run under the same supervisor.
    """
    spec = container.spec()
    if ready and ready.variables:
        spec = with_variables(spec, ready.variables)
    failpoints.reach("start.prepare")
    unlink_if_there(f"{container.run_directory}/exit.json")
    network = None
    if request.network.mode == "slirp4netns":
        network = Slirp4netns(netfiles.slirp_options(request), container.run_directory)
    linux = spec["linux"]
    program = seccomp.load_program(linux["seccomp"], paths.cache) if linux.get("seccomp") else b""
    sources: tuple[tuple[str, Source], ...] = tuple(ready.sources) if ready else ()
    facts = netfiles.network_facts(request, spec, container.name)
    joined = None
    id_map = mapped_ids(spec)
    has_caller = id_map.has(os.getuid(), os.getgid())
    if sources and not has_caller:
        from daemonless.containers.unmapped import prepare  # noqa: PLC0415 - few containers are such

        sources = tuple(prepare(container, spec, ready.sources if ready else ()))
    if request.shares:
        from daemonless.containers.sharing import host_name, open_shared, shm_source  # noqa: PLC0415 - few do

        joined = open_shared(ContainerStore(paths), request)
        sources = (*shm_source(joined, request), *sources)
        try:
            facts = facts.replace(hostname=host_name(joined) or facts.hostname)
        except BaseException:
            joined.close()
            raise
    start = Start(
        spec=spec,
        id_map=id_map,
        has_caller=has_caller,
        seccomp=program,
        extra_groups=request.group_add,
        make_cwd=not request.workdir,
        reaper=request.init,
        upper=f"{container.directory}/upper" if has_caller else "",  # or it was given away when it was made
        # One of --rm has ended and is there if another one needs it.
        remount=has_caller and (again or bool(request.rm and container.exit)),
        preserve_fds=preserve_fds,
        sources=sources,
        cgroup=cgroups.create(container.id) or "",
        joined=joined,
    )

    netfiles.write_files(container.run_directory, facts)
    details = event_details(container.record)

    def event(action: str, **more: Any) -> None:
        if action == "init" and ready:
            ready.settle()  # the volumes are filled, and it may be long until the start
        told = details
        if action != "start":
            container.refresh()  # it may have been renamed
            try:
                told = event_details(container.record)
            except DaemonlessError:  # it is being removed
                pass
        events.record(paths, "container", action, container.id, **more, **told)

    def run_again() -> monitor.Job:
        cgroups.remove(start.cgroup)
        container.refresh()
        storage = _ready(paths, container, request)
        try:
            return _job(
                *(paths, container, request, lock, storage),
                attached=False,
                preserve_fds=preserve_fds,
                again=True,
            )
        except BaseException:
            if storage:
                storage.release()
            raise

    def settle() -> None:
        failpoints.reach("start.settle")
        if ready:
            ready.settle()
        event("start")
        if again:
            return
        ContainerStore(paths).sweep()
        cgroups.sweep()
        if not request.rm:  # a container that ends with its run need not survive a power loss
            sync_bundle(container.directory)
            ContainerStore(paths).sync()
        if request.restart.policy != "no":
            _forget_stop(container)

    def finish(exit_record: dict[str, Any], goes_on: bool) -> None:
        if ready:
            ready.release()  # of a start that failed; the volumes may go with the container
        removed = request.rm and not container.is_needed
        if removed or not container.is_there:
            if not goes_on:
                forget(paths, container)
        else:
            kept = f"{container.directory}/exit.json"
            text = jsonio.dumps(exits.with_earlier(exit_record, kept)).encode()
            try:
                write_atomic(kept, text, durable=False)
            except OSError:  # the disk is full; the run directory is on another
                write_atomic(f"{container.run_directory}/exit.json", text, durable=False)
            if goes_on:
                return
            failpoints.reach("end.state")
            unlink_if_there(f"{container.run_directory}/state.json")

    def afterwards() -> None:
        failpoints.reach("end.afterwards")
        cgroups.remove(start.cgroup)
        if request.rm:
            trash.empty_here(paths.data)
        else:
            for path in (f"{container.directory}/exit.json", container.directory):
                try:
                    sync(path)
                except OSError:  # it is not there, or the disk fails: nobody is left to be told
                    return

    return monitor.Job(
        run_directory=container.run_directory,
        bundle=container.directory,
        lock=lock,
        start=start,
        again=run_again,
        event=event,
        settle=settle,
        finish=finish,
        afterwards=afterwards,
        network=network,
        open_log=lambda: _open_log(container, request),
        interactive=request.interactive,
        close_stdin_with_client=attached,
        timeout=request.timeout,
        policy=_policy(request),
        checks=_checks(paths, container, request, event),
        stop_signal=request.stop_signal or _SIGTERM,
        stop_timeout=request.stop_timeout,
    )


def _policy(request: RunRequest) -> Policy | None:
    restart = request.restart
    if restart.policy == "no":
        return None
    from daemonless.supervisor.restart import Policy  # noqa: PLC0415 - a module less for the others

    return Policy(name=restart.policy, retries=restart.retries)


def _checks(
    paths: Paths, container: Container, request: RunRequest, event: Callable[..., None]
) -> Checks | None:
    if not request.health.is_checked:
        return None
    from daemonless.containers.probing import checks  # noqa: PLC0415 - for who has a health check only

    return checks(paths, container, request.health, event)


def _forget_stop(container: Container) -> None:
    """Correct, now that it runs again, what exit.json says about who ended it.

    Whoever brings containers back after a reboot asks that file, and a machine that crashes leaves
    no newer one.
    """
    last = container.exit
    if last and last.get("stoppedByUser"):
        text = jsonio.dumps({**last, "stoppedByUser": False}).encode()
        write_atomic(f"{container.directory}/exit.json", text)


def _open_log(container: Container, request: RunRequest) -> logs.Log:
    """Open the log that `--log-driver` and `--log-opt` chose, in the supervisor."""
    options = request.log_opts
    attributes: dict[str, str] = {}
    if request.log_driver == "journald" or options.tag or options.labels or options.env:
        from daemonless.containers import logattributes  # noqa: PLC0415 - for them alone

        attributes = logattributes.attributes_of(container, options)
        if request.log_driver == "journald":
            from daemonless.supervisor.journald import JournalLog  # noqa: PLC0415 - few log there

            return JournalLog(logattributes.journal_fields(container, attributes))
    if not container.log_path:
        return logs.Log()
    return logs.FileLog(
        request.log_driver,
        container.log_path,
        max_size=options.max_size,
        max_files=options.max_file,
        attributes=attributes,
    )


def with_variables(spec: dict[str, Any], variables: tuple[str, ...]) -> dict[str, Any]:
    """Return a runtime spec with more variables in the environment, for memory only: they are secret."""
    process = spec["process"]
    names = {variable.partition("=")[0] for variable in variables}
    kept = [entry for entry in process["env"] if entry.partition("=")[0] not in names]
    return {**spec, "process": {**process, "env": [*kept, *variables]}}
