"""attach: take part in a container that runs already."""

from __future__ import annotations

import os

from daemonless import events
from daemonless.containers.grammar import detach_keys
from daemonless.containers.store import ContainerStore, event_details
from daemonless.errors import Conflict, UsageError
from daemonless.supervisor.attach import DETACHED, Streams, connect, take_part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args
    from daemonless.containers.store import Container


def main(args: Args) -> int:
    """Show the output and pass on the input until the container ends; the result is its exit status."""
    keys = bytes(detach_keys(args.detach_keys))
    container = _container(args)
    if container.status != "running":
        raise Conflict(
            f"you can only attach to running containers: {container.name} is {container.status}",
            f"start it: daemonless start --attach {container.name}",
        )
    request = container.record["request"]
    pidfd = container.pidfd()
    socket = connect(container.run_directory)
    details = event_details(container.record)
    events.record(args.paths, "container", "attach", container.id, **details)
    streams = Streams(
        terminal=request["tty"],
        stdin=request["interactive"] and not args.no_stdin,
        detach_keys=keys,
        proxy_signals=args.sig_proxy and not request["tty"],
    )
    try:
        status = take_part(socket, pidfd, streams)
    finally:
        socket.close()
        os.close(pidfd)
    return 0 if status == DETACHED else status


def _container(args: Args) -> Container:
    store = ContainerStore(args.paths)
    if args.latest:
        if args.container:
            raise UsageError("--latest and a container cannot be used together")
        return store.latest()
    if not args.container:
        raise UsageError("you must provide a name or id", "or choose the newest with --latest")
    return store.find(args.container)
