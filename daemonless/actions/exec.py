"""exec: run one more process in a running container."""

from __future__ import annotations

import os

from daemonless import events
from daemonless.actions.descriptors import preserved
from daemonless.containers import sessions
from daemonless.containers.exec import exec_in, exec_request
from daemonless.containers.grammar import detach_keys
from daemonless.containers.names import new_id
from daemonless.containers.store import ContainerStore, event_details
from daemonless.errors import SetupFailed, UsageError
from daemonless.isolation.sync import FAILED, READY, channel_pair, pack_error, unpack_error
from daemonless.supervisor.attach import hold_signals
from daemonless.supervisor.session import Pipes, attend
from daemonless.syscalls import close_range

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from daemonless.actions.args import Args
    from daemonless.config import Paths
    from daemonless.containers.exec import ExecRequest
    from daemonless.containers.store import Container
    from daemonless.isolation.sync import Channel


def main(args: Args) -> int:
    """Run the command; the result is its exit status, or 0 once it runs with --detach."""
    preserve = preserved(args)
    store = ContainerStore(args.paths)
    container, command = _container_and_command(args, store)
    request = exec_request(args).replace(command=command, preserve_fds=preserve)
    session = _Session(args.paths, container, request)
    if args.detach:
        return _detach(session)
    hold_signals()  # one that ended us now would leave the process to itself
    session.start(quiet=False)
    status = session.attend(bytes(detach_keys(args.detach_keys)))
    return status or 0


class _Session:
    """One process, from its start to what is told of its end."""

    def __init__(self, paths: Paths, container: Container, request: ExecRequest) -> None:
        self.id = new_id()
        self._paths = paths
        self._container = container
        self._request = request

    def start(self, *, quiet: bool) -> None:
        """Start the process, a child of this one; its output is thrown away if `quiet`."""
        self._pipes = Pipes(interactive=self._request.interactive, quiet=quiet)
        try:
            self._entered = exec_in(self._paths, self._container, self._request, self._pipes.theirs)
        finally:
            self._pipes.close_theirs()
        sessions.remember(self._container, self.id, self._entered.pid)
        self._record("exec")

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What must stay open for the process."""
        return self._entered.console, self._pipes.stdin

    def attend(self, keys: bytes, *, interactive: bool | None = None) -> int | None:
        """Take part until it ends; return its exit status, or None if it was left by the detach keys."""
        status = attend(
            self._entered,
            self._pipes,
            interactive=self._request.interactive if interactive is None else interactive,
            detach_keys=keys,
            left=self._ended,
        )
        if status is not None:
            self._ended(exitCode=status)
        return status

    def _ended(self, **details: int) -> None:
        sessions.forget(self._container, self.id)
        self._record("exec_died", **details)

    def _record(self, action: str, **more: int) -> None:
        details = event_details(self._container.record)
        details["attributes"] = {**details["attributes"], "execID": self.id}
        events.record(self._paths, "container", action, self._container.id, **more, **details)


def _detach(session: _Session) -> int:
    """Start the process as the child of one of its own, which waits for it, and print the session's id."""
    ours, theirs = channel_pair()
    if os.fork() == 0:
        ours.close()
        _watch(session, theirs)
    theirs.close()
    kind, payload, _ = ours.receive()
    if kind == FAILED:
        raise unpack_error(payload)
    if kind != READY:
        raise SetupFailed("the process that waits for the command was killed")
    print(session.id)
    return 0


def _watch(session: _Session, channel: Channel) -> NoReturn:
    """Be the process in the background: nothing of the caller's stays open in it."""
    try:
        os.setsid()
        try:
            session.start(quiet=True)
        except BaseException as error:
            channel.send(FAILED, pack_error(error, "start the process"))
            os._exit(0)
        channel.send(READY)
        os.chdir("/")
        null = os.open("/dev/null", os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        first = 3
        for fd in sorted(session.descriptors):
            if fd > first:
                close_range(first, fd - 1)
            first = max(first, fd + 1)
        close_range(first)
        session.attend(b"", interactive=False)
    finally:
        os._exit(0)


def _container_and_command(args: Args, store: ContainerStore) -> tuple[Container, tuple[str, ...]]:
    """Tell the container's name from the command, which come as one list of words."""
    if args.latest and args.cidfile:
        raise UsageError("--latest and --cidfile cannot be used together")
    if args.latest:
        return store.latest(), (args.container, *args.command)
    if args.cidfile:
        from daemonless.actions.selection import id_in_file  # noqa: PLC0415 - a module less for all others

        return store.find(id_in_file(args.cidfile)), (args.container, *args.command)
    if not args.command:
        raise UsageError("missing argument 'COMMAND...'", "see 'daemonless exec --help'")
    return store.find(args.container), args.command
