"""volume rm: remove volumes."""

from __future__ import annotations

from daemonless.actions.each import for_each
from daemonless.containers import ending, volumes
from daemonless.errors import NotFound, UsageError
from daemonless.layers import trash
from daemonless.volumes.store import VolumeStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args

_MISSING = 1


def main(args: Args) -> int:
    """Remove each volume and print its name; 1 for a missing one, 2 for one that is used."""
    store, users = VolumeStore(args.paths), volumes.Users(args.paths)
    if bool(args.volumes) == args.all:
        raise UsageError(
            "no volume was named" if not args.all else "--all goes with no name", "name some, or use --all"
        )

    def remove(name: str) -> str | None:
        try:
            volume = store.find(name)
            if args.force:
                for container in users.of(volume.name):
                    ending.remove(args.paths, container, force=True, grace=args.timeout or 0)
            volumes.remove(args.paths, volume, users)
        except NotFound as error:
            if args.force:
                return None
            raise NotFound(error.message, error.hint, exit_status=_MISSING) from None
        return volume.name

    status = for_each(store.names() if args.all else args.volumes, remove)
    store.sweep()
    trash.empty_in_background(args.paths.data)
    return status
