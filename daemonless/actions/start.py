"""start: run created or exited containers."""

from __future__ import annotations

from daemonless.actions.run import attend
from daemonless.actions.selection import for_each_container
from daemonless.containers import starting
from daemonless.containers.grammar import detach_keys
from daemonless.containers.request import RunRequest
from daemonless.containers.store import ContainerStore
from daemonless.errors import Conflict, UsageError
from daemonless.supervisor.attach import hold_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args
    from daemonless.containers.store import Container


def main(args: Args) -> int:
    """Start each container; with --attach or --interactive, take part in the one named."""
    if args.attach or args.interactive:
        return _start_attached(args)

    def start(container: Container) -> None:
        try:
            starting.start(args.paths, container)
        except Conflict:  # it runs already, which is what was asked for
            pass

    return for_each_container(args, start, concerns=lambda container: not container.is_supervised)


def _start_attached(args: Args) -> int:
    store = ContainerStore(args.paths)
    if args.all or args.filter or len(args.containers) != (not args.latest):
        raise UsageError("only one container can be attached to at once", "name one, or use --latest")
    container = store.latest() if args.latest else store.find(args.containers[0])
    request = RunRequest.from_dict(container.record["request"])
    if args.sig_proxy and not request.tty:
        hold_signals(but_interrupt=True)
    started = starting.start(args.paths, container, attached=True)
    if args.sig_proxy and not request.tty:
        hold_signals()
    request = request.replace(interactive=request.interactive and args.interactive)
    return attend(started, request, detach_keys=detach_keys(args.detach_keys), proxy=args.sig_proxy)
