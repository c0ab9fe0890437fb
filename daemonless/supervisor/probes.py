"""Health checks of a running container: when they are due, each is made by a process of its own.

    supervisor                  runner                        probe
      fork ───────────────────▶ holds nothing of ours
                                exec in the container ───────▶ the check's command
                                reads its output, ends it after its time
             ◀──────────────── the result, one JSON value; end of file

The runner ends with the supervisor, and takes the probe along: it is told of the end (PR_SET_PDEATHSIG
with SIGTERM) and not killed by it. It holds none of the supervisor's descriptors, so neither the lock
nor the container's streams outlive the supervisor through it.
"""

from __future__ import annotations

import _signal
import os
import select
import time

from daemonless import failpoints, jsonio, syscalls
from daemonless.clock import timestamp
from daemonless.errors import DaemonlessError, InvalidData
from daemonless.files import read_file, write_all, write_atomic
from daemonless.record import Record
from daemonless.supervisor import protocol
from daemonless.supervisor.health import NEVER, UNHEALTHY, Health, Plan, Probed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from daemonless.isolation.launch import Launched
    from daemonless.supervisor.clients import Client

_SIGKILL, _SIGTERM = 9, 15
_PF_EXITING = 4  # include/linux/sched.h
_MOST_OUTPUT = 4096  # bytes of a probe's output that are kept, as docker has it
_SLICE = 0.5  # seconds after which a running probe is looked at for a pause
_PATIENCE = 2.0  # seconds for a runner to end its probe


class Check(Record):
    """How to find out about a container's health, and what to do about it."""

    plan: Plan
    on_failure: str  # none, kill, restart or stop
    # starts the check's command with these streams as a child of the caller and returns its pid; None if
    # there is nothing to be checked now; raises what its start reported
    enter: Callable[[tuple[int, int, int]], int | None]
    is_paused: Callable[[], bool]


class Checks:
    """The health checks of one run: `begin`, then `serve` when `fd` is readable or `deadline` is there."""

    def __init__(self, check: Check, event: Callable[..., None]) -> None:
        self.on_failure = check.on_failure
        self.fd = -1  # of the runner
        self._check = check
        self._event = event
        self._health: Health | None = None  # while there is something to be checked
        self._container: Launched
        self._runner = -1
        self._began = 0.0  # monotonic
        self._answer = b""
        self._asking: list[Client] = []  # who waits for a probe that has not begun
        self._awaiting: list[Client] = []  # who waits for the one that has

    @property
    def deadline(self) -> float:
        """When to be served at the latest (monotonic); infinite while a probe is running."""
        if self._health is None or self.fd >= 0:
            return NEVER
        return 0.0 if self._asking else self._health.due

    def begin(self, container: Launched) -> None:
        """Start checking: the container's command runs."""
        self._container = container
        self._health = Health(self._check.plan, time.monotonic())
        self.write()

    def ask(self, client: Client) -> None:
        """Have the next probe made as soon as possible, and its result sent to a client."""
        if self._health is None:
            client.send(_packet(None))
        else:
            self._asking.append(client)

    def serve(self, *, readable: bool) -> bool:
        """Take a result, make a probe; return whether the container has just become unhealthy."""
        became_unhealthy = readable and self._read()
        if self._health is not None and time.monotonic() >= self.deadline:
            self._start(self._health)
        return became_unhealthy

    def end(self) -> None:
        """Stop checking; a probe that is running is ended with all its processes."""
        self._health = None
        if self.fd >= 0:
            os.kill(self._runner, _SIGTERM)
            gone = select.poll()
            gone.register(self.fd, select.POLLHUP)
            deadline = time.monotonic() + _PATIENCE
            while not any(mask & select.POLLHUP for _, mask in gone.poll(50)):
                if time.monotonic() >= deadline:
                    os.kill(self._runner, _SIGKILL)
                    break
            self._reap()
        for client in (*self._awaiting, *self._asking):
            client.send(_packet(None))
        self._awaiting, self._asking = [], []

    def write(self) -> None:
        """Leave the results for others to read; where there is no room for them, they are not missed."""
        if self._health is None:
            return
        text = jsonio.dumps(self._health.as_dict()).encode()
        try:
            failpoints.reach("health.write")
            write_atomic(f"./{protocol.HEALTH_NAME}", text, durable=False)
        except OSError:
            pass

    def _start(self, health: Health) -> None:
        self._awaiting, self._asking = self._asking, []
        self._began = time.monotonic()
        self._answer = b""
        try:
            failpoints.reach("health.probe")
            self.fd, write_end = os.pipe()
            supervisor = os.getpid()
            # until the runner has a handler of its own for it, it would take ours
            _signal.pthread_sigmask(_signal.SIG_BLOCK, (_SIGTERM,))
            try:
                self._runner = os.fork()
                if self._runner == 0:
                    _run(self._check, supervisor, write_end)
            finally:
                _signal.pthread_sigmask(_signal.SIG_UNBLOCK, (_SIGTERM,))
                os.close(write_end)
            os.set_blocking(self.fd, False)
        except OSError:  # no memory, no process left: the next time will do
            if self.fd >= 0:
                os.close(self.fd)
                self.fd = -1
            self._tell(None)
            health.wait(time.monotonic())

    def _read(self) -> bool:
        """Take what the runner says; return whether it was that the container has become unhealthy."""
        try:
            part = os.read(self.fd, 1 << 16)
        except BlockingIOError:
            return False
        self._answer += part
        if part:
            return False
        self._reap()
        health = self._health
        if health is None:
            return False
        now = time.monotonic()
        probed = self._probed()
        if probed and probed.exit_code and _is_ending(self._container):
            probed = None  # it was killed with all others
        self._tell(probed)
        if probed is None:
            health.wait(now)
            return False
        changed = health.take(probed, self._began, now)
        self.write()
        if changed:
            self._event("health_status", health=health.status)
        return changed and health.status == UNHEALTHY

    def _reap(self) -> None:
        os.close(self.fd)
        os.waitpid(self._runner, 0)
        self.fd = self._runner = -1

    def _probed(self) -> Probed | None:
        """Return the result; None if there was nothing to check."""
        try:
            answer = jsonio.loads(self._answer)
        except InvalidData:
            now = timestamp()
            return Probed(start=now, end=now, exit_code=-1, output="the health check was killed")
        return Probed(**answer) if answer else None

    def _tell(self, probed: Probed | None) -> None:
        for client in self._awaiting:
            client.send(_packet(probed))
        self._awaiting = []


def _is_ending(container: Launched) -> bool:
    """Whether the container's process has ended, or waits until all of its pid namespace have.

    It has PF_EXITING then, in the flags of proc_pid_stat(5), and is no zombie; the descriptor is not
    readable before everybody else is gone.
    """
    ended = select.poll()
    ended.register(container.pidfd, select.POLLIN)
    try:
        stat = read_file(f"/proc/{container.pid}/stat", 4096).rpartition(b")")[2].split()
    except OSError:
        return True
    return bool(ended.poll(0)) or (stat[0] != b"Z" and bool(int(stat[6]) & _PF_EXITING))


def _packet(probed: Probed | None) -> bytes:
    result = None if probed is None else {"exitCode": probed.exit_code}
    return protocol.HEALTH + jsonio.dumps(result).encode()


# --- the runner -----------------------------------------------------------------------------


def _run(check: Check, supervisor: int, write_end: int) -> NoReturn:
    """Make one probe and write its result, null if there is nothing to check."""
    try:
        _signal.signal(_SIGTERM, _end_children)
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, _SIGTERM)
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, (_SIGTERM,))
        if write_end > 3:
            syscalls.close_range(3, write_end - 1)
        syscalls.close_range(write_end + 1)
        if os.getppid() == supervisor:
            write_all(write_end, jsonio.dumps(_probe(check)).encode())
    finally:
        os._exit(0)


def _probe(check: Check) -> dict[str, Any] | None:
    start = timestamp()
    null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    output_fd, theirs = os.pipe()
    try:
        pid = check.enter((null, theirs, theirs))
    except DaemonlessError as error:
        code, output = error.exit_status, error.message
    else:
        if pid is None:
            return None
        os.close(theirs)
        code, output = _attend(check, pid, output_fd)
    return {"start": start, "end": timestamp(), "exit_code": code, "output": output}


def _attend(check: Check, pid: int, output_fd: int) -> tuple[int, str]:
    """Wait for a probe, at most as long as it may take; return its exit status and what it printed.

    Time stands still while the container is paused.
    """
    timeout = check.plan.timeout
    deadline = time.monotonic() + timeout
    os.set_blocking(output_fd, False)
    pidfd = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(output_fd, select.POLLIN)
    poll.register(pidfd, select.POLLIN)
    output = b""
    while True:
        now = time.monotonic()
        events = dict(poll.poll(max(0, int(min(deadline - now, _SLICE) * 1000) + 1)))
        if output_fd in events:
            part = os.read(output_fd, 1 << 16)
            output = (output + part)[: _MOST_OUTPUT + 1]
            if not part:
                poll.unregister(output_fd)
        if pidfd in events:
            break
        if not events and check.is_paused():
            deadline += time.monotonic() - now
        if time.monotonic() >= deadline:
            _kill(pid)
            os.waitpid(pid, 0)
            shown = _text(output)
            return -1, f"Health check exceeded timeout ({timeout:g}s){': ' if shown else ''}{shown}"
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code, _text(output + _rest(output_fd))


def _rest(fd: int) -> bytes:
    """Return what a probe wrote last; what it left running may hold the other end."""
    try:
        return os.read(fd, _MOST_OUTPUT + 1)
    except BlockingIOError:
        return b""


def _text(output: bytes) -> str:
    shown = output[:_MOST_OUTPUT].decode("utf-8", "replace")
    return f"{shown}..." if len(output) > _MOST_OUTPUT else shown


def _end_children(_number: int, _frame: object) -> NoReturn:
    """End the probe, or what is about to become one; SIGTERM brings us here from wherever we are."""
    try:
        own = os.getpid()
        while children := read_file(f"/proc/{own}/task/{own}/children", 1 << 16).split():
            for child in map(int, children):
                _kill(child)
                os.waitpid(child, 0)
    finally:
        os._exit(0)


def _kill(pid: int) -> None:
    """Kill a child of ours, its process group and its session."""
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, _SIGKILL)
        except OSError:  # it has no group of its own yet
            pass
    for other in os.listdir("/proc"):
        if other.isdigit() and _session(other) == pid:
            try:
                pidfd = os.pidfd_open(int(other))
            except OSError:
                continue
            if _session(other) == pid:  # still, so the descriptor is of that one
                _kill_process(pidfd)
            os.close(pidfd)


def _kill_process(pidfd: int) -> None:
    try:
        _signal.pidfd_send_signal(pidfd, _SIGKILL)
    except OSError:
        pass


def _session(pid: str) -> int:
    """Return the session of a process, as the host numbers it; 0 if it has gone."""
    try:
        return int(read_file(f"/proc/{pid}/stat", 4096).rpartition(b")")[2].split()[3])
    except OSError:
        return 0
