"""The supervisor's half of a start: create the namespaces, feed init, wait until it has executed.

`launch` returns once execve succeeded or raises what init reported. See `isolation.sync` for the
conversation and `isolation.init` for the other half.
"""

from __future__ import annotations

import os

from daemonless import syscalls as sc
from daemonless.errors import SetupFailed
from daemonless.isolation.init import init
from daemonless.isolation.namespaces import clone_into_cgroup, namespace_flags
from daemonless.isolation.sync import CONSOLE, FAILED, MAPPED, READY, START, channel_pair, unpack_error
from daemonless.isolation.userns import IdMap, clone_failed, write_maps
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn, Protocol

    from daemonless.isolation.joining import Joined, Joiner
    from daemonless.isolation.mountpoints import Made
    from daemonless.isolation.sync import Channel
    from daemonless.isolation.volumes import Owed

    class Network(Protocol):
        """What connects a network namespace to the world; started while the container mounts."""

        def start(self, pid: int) -> None:
            """Begin to connect the namespace of `pid`."""

        def wait_ready(self) -> None:
            """Return once connected. Raises SetupFailed."""

    class Source(Protocol):
        """Where a mount comes from, if the spec does not say all of it."""

        def attach(self, root_fd: int, mount: dict[str, Any]) -> list[Owed]:
            """Make the mount; return what the container's user is to own."""


class Start(Record):
    """All that one start needs; everything but descriptors comes from the bundle."""

    spec: dict[str, Any]
    id_map: IdMap
    streams: tuple[int, int, int] = (0, 1, 2)  # stdin, stdout, stderr of the process without a terminal
    streams_are_callers: bool = False  # not pipes of ours
    seccomp: bytes = b""  # compiled BPF program; empty: unconfined
    extra_groups: tuple[str, ...] = ()  # --group-add
    make_cwd: bool = False  # the image's WORKDIR may be missing and is made; one asked for must exist
    reaper: bool = False  # --init
    upper: str = ""  # writable directory of the overlay
    remount: bool = False  # this supervisor has mounted the overlay before
    tell_made: bool = False  # report what mounting has made in `upper`, which is new
    preserve_fds: tuple[int, ...] = ()  # the caller's descriptors that the process inherits, in order
    sources: tuple[tuple[str, Source], ...] = ()  # by destination: what mounts need beside the spec
    cgroup: str = ""  # directory of the container's own cgroup, if it could have one
    has_caller: bool = True  # whether the caller is mapped; what init needs of it was given away before
    joined: Joined | None = None  # what it shares with others, its user namespace always among it

    @property
    def own_network(self) -> bool:
        """Whether the container gets a network namespace of its own."""
        return self._lists("network")

    @property
    def own_pids(self) -> bool:
        """Whether the container's process is process 1 of a pid namespace of its own."""
        return self._lists("pid") and not (self.joined and self.joined.flags & sc.CLONE_NEWPID)

    def _lists(self, kind: str) -> bool:
        return any(namespace["type"] == kind for namespace in self.spec["linux"]["namespaces"])


class Launched(Record):
    """A started container process."""

    pid: int
    pidfd: int
    console: int  # master of the terminal, or -1
    made: tuple[Made, ...] = ()  # what mounting has made in the new writable layer, if asked for


def launch(start: Start, network: Network | None, ready: Callable[[int], None]) -> Launched:
    """Start the container's process and return once its execve succeeded.

    `ready(pid)` is called when all is set up and nothing but the execve is left. Raises the
    DaemonlessError that init reported; then no process is left behind.
    """
    ours, theirs = channel_pair()
    pid, joiner = _make_init(start, ours, theirs, shown=bool(network))
    theirs.close()
    pidfd = os.pidfd_open(pid)
    console, made = -1, b""
    try:
        if not start.joined:
            write_maps(pid, start.id_map)
        if network:
            network.start(joiner.pid if joiner else pid)
            if start.id_map.to_outside(0) != os.getuid():
                # As another id than ours, init would hide its /proc/PID/ns from the helper.
                network.wait_ready()
        ours.send(MAPPED)
        while True:
            kind, payload, fd = ours.receive()
            if kind == CONSOLE:
                console = fd
            elif kind == READY:
                made = payload
                break
            else:
                raise _reported(kind, payload)
        if network:
            network.wait_ready()
        if joiner:
            joiner.release()
        ready(pid)
        ours.send(START)
        kind, payload, _ = ours.receive()
        if kind:
            raise _reported(kind, payload)
    except BaseException:
        _end(pid)
        os.close(pidfd)
        if console >= 0:
            os.close(console)
        raise
    finally:
        ours.close()
        if joiner:
            joiner.release()
    if not made:
        return Launched(pid=pid, pidfd=pidfd, console=console)
    from daemonless.isolation.mountpoints import unpack  # noqa: PLC0415 - nothing but a build asks

    return Launched(pid=pid, pidfd=pidfd, console=console, made=unpack(made))


def _make_init(start: Start, ours: Channel, theirs: Channel, *, shown: bool) -> tuple[int, Joiner | None]:
    """Return the pid of a new init, and the process that has made it if that was not us.

    That one is `shown` to a network helper.
    """
    flags = namespace_flags(start.spec) & ~sc.CLONE_NEWCGROUP  # see `init`

    def run() -> NoReturn:
        ours.close()
        init(start, theirs)

    if start.joined:
        from daemonless.isolation.joining import clone_joined  # noqa: PLC0415 - few share anything

        return clone_joined(start, flags, run, shown=shown)
    try:
        pid = clone_into_cgroup(flags, start.cgroup)
    except OSError as error:
        raise clone_failed(error) from error
    if pid == 0:
        run()
    return pid, None


def _reported(kind: bytes, payload: bytes) -> Exception:
    if kind == FAILED:
        return unpack_error(payload)
    return SetupFailed("the container's init ended before it was ready", "see --log-level debug")


def _end(pid: int) -> None:
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        pass
    os.waitpid(pid, 0)
