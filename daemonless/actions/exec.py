"""exec: run one more process in a running container."""

from __future__ import annotations

import os
import select

from daemonless import events
from daemonless.actions.descriptors import check_descriptors
from daemonless.containers.exec import exec_in, exec_request
from daemonless.containers.grammar import detach_keys
from daemonless.containers.store import ContainerStore, event_details
from daemonless.errors import UsageError
from daemonless.supervisor.session import Pipes, attend

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args
    from daemonless.containers.store import Container


def main(args: Args) -> int:
    """Run the command; the result is its exit status, or 0 once it runs with --detach."""
    store = ContainerStore(args.paths)
    container, command = _container_and_command(args, store)
    request = exec_request(args).replace(command=command)
    if args.detach:  # nobody would hold the other end of a terminal
        request = request.replace(tty=False, interactive=False)
    check_descriptors(request.preserve_fds)
    pipes = Pipes(interactive=request.interactive, quiet=args.detach)
    try:
        entered = exec_in(args.paths, container, request, pipes.theirs, detached=args.detach)
    finally:
        pipes.close_theirs()
    details = event_details(container.record)
    events.record(args.paths, "container", "exec", container.id, **details)
    if args.detach:
        return 0
    keys = bytes(detach_keys(args.detach_keys))
    pidfd = os.pidfd_open(entered.pid)
    status = attend(entered, pipes, interactive=request.interactive, detach_keys=keys)
    if select.select([pidfd], (), (), 0)[0]:  # it has ended: the detach keys leave it running
        events.record(args.paths, "container", "exec_died", container.id, exitCode=status, **details)
    return status


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
