"""rm: remove containers."""

from __future__ import annotations

from daemonless.actions.selection import for_each_container
from daemonless.containers import ending
from daemonless.containers.store import ContainerStore
from daemonless.layers import trash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args
    from daemonless.containers.store import Container

_MISSING = 1


def main(args: Args) -> int:
    """Remove each container and print its name as it was given; a missing one gives status 1."""

    def remove(container: Container) -> None:
        ending.remove(args.paths, container, force=args.force, grace=args.timeout or 0, volumes=args.volumes)

    status = for_each_container(
        args, remove, broken=args.force, ignore=args.force or args.ignore, missing=_MISSING
    )
    ContainerStore(args.paths).sweep()
    trash.empty_in_background(args.paths.data)
    return status
