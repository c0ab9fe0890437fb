"""stop: end containers, first kindly."""

from __future__ import annotations

from daemonless.actions.each import for_each
from daemonless.containers import ending
from daemonless.containers.grammar import signal
from daemonless.containers.store import ContainerStore
from daemonless.errors import NotFound, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Stop each container and print its name as it was given."""
    store = ContainerStore(args.paths)
    if args.all:
        running = [container for container in store.containers() if container.is_running]
        return for_each([container.id for container in running], lambda name: _stop(args, store, name))
    names = args.containers or ((store.latest().id,) if args.latest else ())
    if not names:
        raise UsageError("no container was named", "name one, or use --all or --latest")
    return for_each(names, lambda name: _stop(args, store, name))


def _stop(args: Args, store: ContainerStore, name: str) -> str | None:
    try:
        container = store.find(name)
    except NotFound:
        if args.ignore:
            return None
        raise
    request = container.record["request"]
    number = signal(args.signal) if args.signal else ending.stop_signal(container)
    timeout = request["stop_timeout"] if args.timeout is None else args.timeout
    ending.stop(container, number, float(timeout))
    return name
