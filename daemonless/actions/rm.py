"""rm: remove containers."""

from __future__ import annotations

from daemonless.actions.each import for_each
from daemonless.containers import ending
from daemonless.containers.store import ContainerStore
from daemonless.errors import NotFound, UsageError
from daemonless.layers import trash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Remove each container and print its name as it was given; a missing one gives status 1."""
    store = ContainerStore(args.paths)
    if args.all:
        everything = store.containers() + (store.broken() if args.force else [])
        names = tuple(container.id for container in everything)
    else:
        names = args.containers or ((store.latest().id,) if args.latest else ())
        if not names:
            raise UsageError(
                "no container was named",
                "name one, or use --all; `rm $(daemonless ps -aq)` had nothing to remove",
            )
    status = for_each(names, lambda name: _remove(args, store, name))
    store.sweep()
    trash.empty_in_background(args.paths.data)
    return status


def _remove(args: Args, store: ContainerStore, name: str) -> str | None:
    try:
        container = store.find(name)
        ending.remove(args.paths, container, force=args.force, grace=args.timeout or 0)
    except NotFound as error:
        if args.force or args.ignore:
            return None
        raise NotFound(error.message, error.hint, exit_status=1) from None
    return name
