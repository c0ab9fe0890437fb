"""kill: send a signal to running containers."""

from __future__ import annotations

from daemonless.actions.each import for_each
from daemonless.containers import ending
from daemonless.containers.grammar import signal
from daemonless.containers.store import ContainerStore
from daemonless.errors import Conflict, NotFound, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args

_SIGKILL = 9


def main(args: Args) -> int:
    """Send the signal to each container and print its name as it was given."""
    store = ContainerStore(args.paths)
    number = signal(args.signal)
    if args.all:
        names = tuple(container.id for container in store.containers() if container.is_running)
        return for_each(names, lambda name: _kill(store, name, number))
    names = args.containers or ((store.latest().id,) if args.latest else ())
    if not names:
        raise UsageError("no container was named", "name one, or use --all or --latest")
    return for_each(names, lambda name: _kill(store, name, number))


def _kill(store: ContainerStore, name: str, number: int) -> str:
    container = store.find(name)
    try:
        ending.kill(container, number)
    except NotFound:
        raise Conflict(
            f"container {name} is {container.status}, so it cannot be sent a signal",
            f"start it: daemonless start {name}",
        ) from None
    if number == _SIGKILL:
        ending.wait_for_supervisor(container)
    return name
