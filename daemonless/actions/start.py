"""start: run created or exited containers."""

from __future__ import annotations

from daemonless.actions.each import for_each
from daemonless.actions.run import attend
from daemonless.containers import starting
from daemonless.containers.grammar import detach_keys
from daemonless.containers.request import RunRequest
from daemonless.containers.store import ContainerStore
from daemonless.errors import Conflict, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Start each container; with --attach or --interactive, take part in the one named."""
    store = ContainerStore(args.paths)
    if not (args.attach or args.interactive):
        return for_each(args.containers, lambda name: _start(args, store, name))
    if len(args.containers) != 1:
        raise UsageError("only one container can be attached to at once")
    container = store.find(args.containers[0])
    request = RunRequest.from_dict(container.record["request"])
    started = starting.start(args.paths, container, attached=True)
    request = request.replace(interactive=request.interactive and args.interactive)
    return attend(started, request, detach_keys=detach_keys(args.detach_keys), proxy=args.sig_proxy)


def _start(args: Args, store: ContainerStore, name: str) -> str:
    container = store.find(name)
    try:
        starting.start(args.paths, container)
    except Conflict:  # it runs already, which is what was asked for
        pass
    return name
