"""The supervisor: one process per running container, forked from the command that starts it.

It owns what outlives the command: the container's streams, the log, the network helper, the
state file and the exit record. It sleeps in poll(2) unless something happens, and needs nothing
but its own bundle directory to do its work. It starts the container again where a policy or a
person wants that; when, is decided in a module of its own.
"""

from __future__ import annotations

import _signal
import _socket
import gc
import os
import select
import time

from daemonless import failpoints, jsonio, syscalls
from daemonless.clock import timestamp
from daemonless.errors import DaemonlessError, SetupFailed
from daemonless.files import Lock, boot_id, process_start_time, unlink_if_there, write_atomic
from daemonless.isolation import cgroups
from daemonless.isolation.launch import Launched, Start, launch
from daemonless.isolation.slirp4netns import Slirp4netns
from daemonless.isolation.sync import pack_error
from daemonless.record import Record
from daemonless.supervisor import protocol
from daemonless.supervisor.clients import Client
from daemonless.supervisor.logs import STDOUT, Log
from daemonless.supervisor.rundir import Watch
from daemonless.supervisor.streams import READABLE, Streams
from daemonless.supervisor.survivors import end_all, mount_namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from daemonless.supervisor.probes import Checks
    from daemonless.supervisor.restart import BackOff, Policy

_SIGHUP, _SIGINT, _SIGQUIT, _SIGKILL, _SIGALRM, _SIGTERM = 1, 2, 3, 9, 14, 15
_NEVER = float("inf")  # as a time of the monotonic clock
_LONGEST_POLL = 1 << 30  # ms; poll(2) takes an int
_NO_PROCESS = Launched(pid=-1, pidfd=-1, console=-1)


def _nothing() -> None:
    pass


class Job(Record):
    """What to supervise in one run; plain data from the bundle, and what the model wants done."""

    run_directory: str  # holds state.json, the lock and the attach socket
    bundle: str  # what is gone when the container has been removed
    lock: Lock  # taken by who asked for the start, held by the supervisor as long as it lives
    start: Start
    open_log: Callable[[], Log]
    again: Callable[[], Job]  # returns the job of the next run; raises what is wrong with it
    event: Callable[..., None]  # takes a container event's action and details
    # takes the exit record, and whether another run follows; writes it or removes the container
    finish: Callable[[dict[str, Any], bool], None]
    settle: Callable[[], None] = _nothing  # what may happen once the container runs
    afterwards: Callable[[], None] = _nothing  # what may happen once everybody knows of its end
    network: Slirp4netns | None = None
    streams: tuple[int, int, int] | None = None  # the container's own; none: pipes to and from us
    interactive: bool = False
    close_stdin_with_client: bool = False  # stdin ends with the first client, as in a pipeline
    timeout: int = 0  # seconds until the container is killed; 0: never
    policy: Policy | None = None
    checks: Checks | None = None  # of the container's health
    stop_signal: int = _SIGTERM  # that of `stop`, for one that is unhealthy, or when we are to end
    stop_timeout: int = 0  # seconds from that signal to SIGKILL
    hold: bool = False  # execute the command only when a client releases it


def supervise(job: Job, client_socket: _socket.socket) -> None:
    """Run the container from its start to its exit record.

    The outcome of the start goes to the client as READY or FAILED.
    """
    for number in (_SIGHUP, _SIGINT, _SIGQUIT):
        _signal.signal(number, _signal.SIG_IGN)
    client = Client(client_socket, may_hold_up=job.close_stdin_with_client)
    monitor = _Monitor(job, client)
    try:
        os.chdir(job.run_directory)
        for name in (protocol.STOP_MARK, protocol.RESTART_MARK, protocol.PAUSE_MARK):
            unlink_if_there(name)  # of an earlier supervisor
        _forget_sessions()
        monitor.open()
        monitor.start()
        monitor.announce()
    except (DaemonlessError, OSError) as error:
        if job.network:
            job.network.stop()
        status = error.exit_status if isinstance(error, DaemonlessError) else 125
        job.finish(exit_record("", status, error=str(error)), False)
        monitor.starter.send(protocol.FAILED + pack_error(error, "start the container"))
    else:
        job = monitor.live()
    failpoints.reach("end.unlock")
    job.lock.release()
    job.afterwards()


def exit_record(
    started: str,
    code: int,
    *,
    signal: int = 0,
    error: str = "",
    restarts: int = 0,
    oom_killed: bool = False,
) -> dict[str, Any]:
    """Return the content of exit.json; whether a person ended the container is told once it is known."""
    return {
        "schema": 1,
        "exitCode": code,
        "signal": signal,
        "oomKilled": oom_killed,
        "started": started,
        "finished": timestamp(),
        "error": error,
        "restarts": restarts,
        "stoppedByUser": False,
    }


def _forget_sessions() -> None:
    """Remove what sessions of `exec`, which end with the run, left in the current directory."""
    for name in os.listdir("."):
        if name.startswith(protocol.SESSION_PREFIX):
            unlink_if_there(name)


def _listen() -> _socket.socket:
    """Return a socket that listens in the current directory."""
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    unlink_if_there(protocol.SOCKET_NAME)
    listener.bind(protocol.SOCKET_NAME)
    listener.listen(16)
    return listener


class _Monitor:
    """The life of one container: `open`, `start`, then `live` until it stays ended."""

    def __init__(self, job: Job, client: Client) -> None:
        self.job = job
        self.clients = {client.socket.fileno(): client}
        self.first_client = client.socket.fileno()
        self.starter = client  # who waits for the outcome of the start
        self.released = False
        self.ending = False  # this supervisor was told to end
        self.stopped = False  # for good, by the container's health check
        self.restarted = False  # by that
        self.restarts = 0  # not asked for by a person, since somebody started it
        self.next_restarts = 0
        self.back_off: BackOff | None = None
        self.started = ""
        self.started_at = 0.0  # monotonic
        self.kill_at = _NEVER  # monotonic
        self.killed = False  # by us
        self.oom_kills = 0  # what the cgroup counted before
        self.watch: Watch | None = None
        self.state = b""
        self.awaited: dict[int, int] = {}  # what the poll object awaits
        self.process = _NO_PROCESS
        self.mounts = 0  # the container's mount namespace, where others may survive its process
        self.streams = Streams(self._take_output)

    def open(self) -> None:
        """Make what lasts for all runs: the log and the socket for clients."""
        failpoints.reach("start.log")
        self.log = self.job.open_log()
        self.poll = select.poll()
        failpoints.reach("start.socket")
        self.listener = _listen()
        _signal.signal(_SIGTERM, self._stop)
        _signal.signal(_SIGALRM, self._kill)

    def start(self) -> None:
        """Start the container's process; raises what the start reported."""
        self.process = self._launch()
        self.mounts = 0 if self.job.start.own_pids else mount_namespace(self.process.pid)
        self.streams.begin(self.process.console)
        if self.ending:  # told so while it started
            self._stop(_SIGTERM, None)

    def announce(self) -> None:
        """Tell who asked for the start that the container runs."""
        failpoints.reach("start.ready")
        self._tell(self.starter, protocol.READY + jsonio.dumps({"pid": self.process.pid}).encode())

    def _launch(self) -> Launched:
        job = self.job
        theirs: tuple[int, ...] = ()
        start = job.start
        if not start.spec["process"].get("terminal"):
            theirs = self._make_streams()
            start = start.replace(streams=theirs, streams_are_callers=bool(job.streams))
        try:
            return launch(start, job.network, self._ready)
        except BaseException:
            self.streams.close()
            raise
        finally:
            for fd in theirs:
                os.close(fd)
            if start.joined:
                start.joined.close()

    def _make_streams(self) -> tuple[int, int, int]:
        if self.job.streams:
            stdin, stdout, stderr = map(os.dup, self.job.streams)
            return stdin, stdout, stderr
        is_foreign = not self.job.start.has_caller  # to the container: nobody in it can own them
        return self.streams.make(interactive=self.job.interactive, open_to_all=is_foreign)

    def _ready(self, pid: int) -> None:
        """Record the process, whose execve is all that is left to do."""
        if self.job.hold:
            self._hold(pid)
        self.started = timestamp()
        self._record_state("running", pid)
        self.killed, self.oom_kills = False, cgroups.oom_kills(self.job.start.cgroup)[0]
        failpoints.reach("start.exec")

    def _hold(self, pid: int) -> None:
        """Serve clients until one releases the process; raises SetupFailed if it is killed before."""
        self._record_state("initialized", pid)
        self._tell(self.starter, protocol.READY + jsonio.dumps({"pid": pid}).encode())
        self.job.event("init")
        pidfd = os.pidfd_open(pid)
        self.process = _NO_PROCESS.replace(pidfd=pidfd)
        try:
            while not self.released:
                if pidfd in self._turn(_NEVER):
                    raise SetupFailed("the container was ended before it was started", exit_status=137)
        finally:
            self.process = _NO_PROCESS
            os.close(pidfd)

    def _record_state(self, status: str, pid: int) -> None:
        ports = self.job.network.ports if self.job.network else ()
        state = {
            "schema": 1,
            "status": status,
            "pid": pid,
            "startTime": process_start_time(pid) if pid else 0,
            "bootId": boot_id(),
            "started": self.started,
            "supervisor": os.getpid(),
            "cgroup": self.job.start.cgroup,
            "ports": [port.as_dict() for port in ports],
            "restarts": self.restarts,
        }
        self.state = jsonio.dumps(state).encode()
        failpoints.reach("start.state")
        write_atomic(f"{self.job.run_directory}/state.json", self.state, durable=False)

    def _regain(self, watch: Watch) -> None:
        """Make the runtime directory anew, which has been deleted; or end with the container."""
        try:
            if watch.regain(self.job.bundle):
                write_atomic(f"{self.job.run_directory}/state.json", self.state, durable=False)
                if self.job.checks:
                    self.job.checks.write()
                self.listener.close()
                self.listener = _listen()
            else:
                self._kill(_SIGKILL, None)
        except OSError:
            pass  # its place is gone, or full: the container runs on, and nobody can tell

    def _stop(self, _number: int, _frame: object) -> None:
        """Stop the container, as whoever ends us (systemd, a shutdown) wants; its end is then ours."""
        self.ending = True
        self._signal(self.job.stop_signal)
        if self.job.stop_timeout:  # a timer, as a signal does not end a poll
            _signal.setitimer(_signal.ITIMER_REAL, self.job.stop_timeout)
        else:
            self._signal(_SIGKILL)

    def _kill(self, _number: int, _frame: object) -> None:
        self.ending = True
        self._signal(_SIGKILL)

    def _signal(self, number: int) -> None:
        if self.process.pidfd >= 0:
            self.killed |= number == _SIGKILL
            try:
                _signal.pidfd_send_signal(self.process.pidfd, number)
            except ProcessLookupError:
                pass

    # --- the loop ---------------------------------------------------------------------------

    def live(self) -> Job:
        """Serve until the container's process has ended and stays so; return the job of its last run."""
        self.watch = Watch(self.job.lock, (protocol.SOCKET_NAME, "state.json"))
        record = self._run()
        while True:
            if record["started"]:
                self.job.event("died", exitCode=record["exitCode"])
            delay = self._delay(record)
            if delay is None:
                break
            self._end_run(record)
            if not self._back_off(delay):
                record["stoppedByUser"] = self._is_marked(protocol.STOP_MARK)
                break
            record = self._run_again()
        self._finish(record)
        return self.job

    def _delay(self, record: dict[str, Any]) -> float | None:
        """Return how many seconds to wait before the next run, or None if there is none."""
        record["stoppedByUser"] = self.stopped or self._is_marked(protocol.STOP_MARK)
        restarted, self.restarted = self.restarted, False
        if record["stoppedByUser"] or self.ending:
            return None
        if self._is_marked(protocol.RESTART_MARK):
            unlink_if_there(protocol.RESTART_MARK)
            self.next_restarts, self.back_off = 0, None  # a person's restart begins anew
            return 0.0
        if restarted:
            self.next_restarts = self.restarts + 1
            return 0.0
        policy = self.job.policy
        if policy is None or not policy.applies(record["exitCode"], self.restarts):
            return None
        self.next_restarts = self.restarts + 1
        if self.back_off is None:
            self.back_off = policy.back_off()
        return self.back_off.delay(time.monotonic() - self.started_at)

    def _is_marked(self, mark: str) -> bool:
        return os.access(mark, os.F_OK)

    def _back_off(self, delay: float) -> bool:
        """Serve clients for `delay` seconds; False as soon as the container is to stay ended.

        Who marks it as stopped connects afterwards, which ends the sleep.
        """
        until = time.monotonic() + delay
        while not (self.ending or self._is_marked(protocol.STOP_MARK)):
            now = time.monotonic()
            if now >= until:
                return True
            self._turn(min(until, now + 1))  # SIGTERM does not end a poll
        return False

    def _run_again(self) -> dict[str, Any]:
        """Start the container once more and serve it; the exit record tells of a failed start too."""
        self.restarts = self.next_restarts
        self.started, self.started_at = timestamp(), time.monotonic()
        try:
            self.job = self.job.again().replace(streams=self.job.streams)
            self.start()
        except (DaemonlessError, OSError) as error:
            if self.job.network:
                self.job.network.stop()
            status = error.exit_status if isinstance(error, DaemonlessError) else 125
            return exit_record(self.started, status, error=str(error), restarts=self.restarts)
        self.job.event("restart")
        return self._run()

    def _run(self) -> dict[str, Any]:
        """Serve until the container's process ends; return the exit record."""
        self.started_at = time.monotonic()
        self.kill_at = self.started_at + self.job.timeout if self.job.timeout else _NEVER
        try:
            self.job.settle()
        except (DaemonlessError, OSError):  # on a full disk, say: the container is none the worse
            pass
        if self.job.checks:
            self.job.checks.begin(self.process)
        while self.process.pidfd not in self._turn(self.kill_at):
            if time.monotonic() >= self.kill_at:
                self._signal(_SIGKILL)
                self.kill_at = _NEVER
        if not self.job.start.own_pids:
            end_all(self.mounts, self.job.start.cgroup, self.process.pid)
        self.streams.drain()
        return self._reap()

    def _turn(self, until: float) -> dict[int, int]:
        """Sleep until something happens, at most until that time (monotonic), and serve it."""
        self._register()
        until = min([until, *(client.deadline for client in self.clients.values() if client.deadline)])
        if self.job.checks:
            until = min(until, self.job.checks.deadline)
        wait = None
        if until != _NEVER:
            wait = min(max(0, int((until - time.monotonic()) * 1000) + 1), _LONGEST_POLL)
        events = dict(self.poll.poll(wait))
        self._serve(events)
        return events

    def _register(self) -> None:
        """Say what is awaited: output only while every client keeps up, input only when wanted."""
        behind = any(client.is_behind for client in self.clients.values())
        interest = self.streams.interest(paused=behind)
        watch_fd = self.watch.fd if self.watch else -1
        checks_fd = self.job.checks.fd if self.job.checks else -1
        for fd in (self.process.pidfd, self.listener.fileno(), watch_fd, checks_fd):
            if fd >= 0:
                interest[fd] = select.POLLIN
        wanted = 0 if self.streams.are_full else select.POLLIN
        for fd, client in self.clients.items():
            interest[fd] = wanted | (select.POLLOUT if client.pending else 0)
        awaited = {fd: mask for fd, mask in interest.items() if mask}
        if awaited == self.awaited:
            return
        for fd in self.awaited.keys() - awaited.keys():
            self.poll.unregister(fd)
        for fd, mask in awaited.items():
            self.poll.register(fd, mask)
        self.awaited = awaited

    def _serve(self, events: dict[int, int]) -> None:
        self.streams.serve(events)
        for fd, client in list(self.clients.items()):
            mask = events.get(fd, 0)
            gone = bool(mask & select.POLLOUT) and not client.flush()
            gone = gone or 0 < client.deadline <= time.monotonic()
            if gone or (mask & READABLE and not self._receive(client)):
                self._drop(client)
        if self.listener.fileno() in events:
            # _socket's own accept: socket.socket would add no more than a wrapper
            socket = _socket.socket(fileno=self.listener._accept()[0])  # type: ignore[attr-defined]
            self.clients[socket.fileno()] = Client(socket)
        if self.watch and self.watch.fd in events and self.watch.is_lost():
            self._regain(self.watch)
        checks = self.job.checks
        if checks and checks.serve(readable=checks.fd in events):
            self._remedy(checks)

    def _remedy(self, checks: Checks) -> None:
        """Do what is to be done with a container that has become unhealthy."""
        if checks.on_failure == "kill":
            self._signal(_SIGKILL)
            self.job.event("kill")
        elif checks.on_failure != "none":
            checks.end()
            self.restarted = checks.on_failure == "restart"
            self.stopped = not self.restarted
            self._signal(self.job.stop_signal)
            self.kill_at = min(self.kill_at, time.monotonic() + self.job.stop_timeout)
            self.job.event("stop")

    def _take_output(self, stream: int, data: bytes) -> None:
        """Log what the container wrote, and tell those who take part."""
        self.log.write(stream, data)
        for client in list(self.clients.values()):
            if not client.watches_only:
                self._tell_output(client, protocol.STDOUT if stream == STDOUT else protocol.STDERR, data)

    def _tell_output(self, client: Client, kind: bytes, data: bytes) -> None:
        for start in range(0, len(data), protocol.CHUNK):
            self._tell(client, kind + data[start : start + protocol.CHUNK])

    def _receive(self, client: Client) -> bool:
        try:
            packet = client.socket.recv(protocol.CHUNK + 1)
        except BlockingIOError:
            return True
        except OSError:
            return False
        kind, payload = packet[:1], packet[1:]
        if kind == protocol.INPUT:
            self.streams.write(payload)
        elif kind == protocol.CLOSE:
            self.streams.end_input()
        elif kind == protocol.RESIZE:
            self.streams.resize(payload)
        elif kind == protocol.BROKEN:
            self.streams.stop_reading(payload)
        elif kind == protocol.WATCH:
            client.watches_only = True
        elif kind == protocol.PROBE and self.job.checks:
            self.job.checks.ask(client)
        elif kind == protocol.RELEASE and not self.released:
            self.released = True
            self.starter = client
            if payload:
                self.first_client = client.socket.fileno()
                client.may_hold_up = True
        return bool(packet)

    def _tell(self, client: Client, packet: bytes) -> None:
        if not client.send(packet):
            self._drop(client)

    def _drop(self, client: Client) -> None:
        number = client.socket.fileno()
        if self.clients.pop(number, None) is None:
            return
        client.socket.close()
        if number == self.first_client:
            self.first_client = -1
            if self.job.close_stdin_with_client:
                self.streams.end_input()

    # --- the end ----------------------------------------------------------------------------

    def _reap(self) -> dict[str, Any]:
        """Collect the ended process and what belonged to its run alone; return the exit record."""
        if self.job.checks:
            self.job.checks.end()
        _, status = os.waitpid(self.process.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        os.close(self.process.pidfd)
        self.process = _NO_PROCESS
        self.streams.close()
        _forget_sessions()
        oom_killed = self._ran_out_of_memory(code)
        if oom_killed:
            self.job.event("oom")
        return exit_record(
            self.started,
            code if code >= 0 else 128 - code,
            signal=max(0, -code),
            restarts=self.restarts,
            oom_killed=oom_killed,
        )

    def _ran_out_of_memory(self, code: int) -> bool:
        """Whether the kernel killed a process of the container for want of memory.

        A cgroup above counts its other processes too: then the container's must have been killed,
        and by nobody that we know of.
        """
        kills, own = cgroups.oom_kills(self.job.start.cgroup)
        if kills <= self.oom_kills:
            return False
        was_killed = code in (-_SIGKILL, 128 + _SIGKILL) and not self.killed
        was_asked_to = self._is_marked(protocol.STOP_MARK) or self._is_marked(protocol.RESTART_MARK)
        return own or (was_killed and not was_asked_to)

    def _end_run(self, record: dict[str, Any]) -> None:
        """Leave the exit record of a run that another one follows; who took part in it is let go."""
        if self.job.network:
            self.job.network.stop()
        try:
            self.job.finish(record, True)
            self._record_state("restarting", 0)
        except OSError:  # the disk is full; the container goes on all the same
            pass
        taking_part = [client for client in self.clients.values() if not client.watches_only]
        self._dismiss(record, taking_part, restarting=True)
        self.first_client = -1

    def _finish(self, record: dict[str, Any]) -> None:
        """Leave the exit record that stays, and tell everybody."""
        network = self.job.network
        if network and network.ports:
            network.stop()  # who hears of the end may publish the same ports again
        self.log.close()
        self.listener.close()
        unlink_if_there(protocol.SOCKET_NAME)
        try:
            failpoints.reach("end.record")
            self.job.finish(record, False)
        except OSError:  # nowhere to write it: those who wait are told all the same
            pass
        failpoints.reach("end.tell")
        self._dismiss(record, [*self.clients.values()], restarting=False)
        if network:
            network.stop()  # takes 20 ms: the kernel waits for a grace period to remove the tap device

    def _dismiss(self, record: dict[str, Any], clients: list[Client], *, restarting: bool) -> None:
        """Send clients the exit record, after all else, and close their connections."""
        packet = protocol.EXIT + jsonio.dumps({**record, "restarting": restarting}).encode()
        for client in clients:
            del self.clients[client.socket.fileno()]
            client.pending.append(packet)
            if client.flush() and client.pending:
                if client.may_hold_up:
                    _deliver(client)
                else:
                    client.send_rest(5)
            client.socket.close()


def _deliver(client: Client) -> None:
    """Leave what a pipeline's reader has not taken to a process of its own; the container has ended."""
    if pid := os.fork():
        os.waitpid(pid, 0)
        return
    try:
        if os.fork():  # nobody has to wait for the grandchild
            os._exit(0)
        _signal.signal(_SIGTERM, _signal.SIG_DFL)
        number = client.socket.fileno()
        if number > 3:
            syscalls.close_range(3, number - 1)
        syscalls.close_range(number + 1)  # the container's lock among them
        client.send_rest(None)
    finally:
        os._exit(0)


def spawn(job: Job, keep: tuple[int, ...] = ()) -> tuple[int, _socket.socket]:
    """Fork the supervisor of `job`; return its pid and the first client's end of the connection.

    A fork, not a fresh interpreter: the hot path has little loaded, and starting Python again
    would cost more than all of the container's kernel work. The caller must have one thread.
    """
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid:
        theirs.close()
        return pid, ours
    status = 125
    try:
        ours.close()
        gc.enable()  # the launcher turned it off for the commands, which do not live long
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())  # the command may hold some (attach.hold_signals)
        os.setsid()
        null = os.open("/dev/null", os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number, inheritable=True)
        first = 3
        for fd in sorted({theirs.fileno(), job.lock.fd, *keep}):
            if fd > first:
                syscalls.close_range(first, fd - 1)
            first = fd + 1
        syscalls.close_range(first)
        supervise(job, theirs)
        status = 0
    finally:
        os._exit(status)
