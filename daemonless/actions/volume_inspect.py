"""volume inspect: everything about volumes."""

from __future__ import annotations

from daemonless.actions.inspection import inspect_each, show_values
from daemonless.actions.volume_row import VolumeRow
from daemonless.containers.volumes import Users
from daemonless.errors import UsageError
from daemonless.volumes.store import VolumeStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Print the volumes that exist, report the others; 125 if there are any of these."""
    store, users = VolumeStore(args.paths), Users(args.paths)
    if bool(args.volumes) == args.all:
        raise UsageError(
            "no volume was named" if not args.all else "--all goes with no name", "name one, or use --all"
        )
    return inspect_each(
        store.names() if args.all else args.volumes,
        lambda name: VolumeRow(store.find(name), users),
        lambda found: show_values(found, args.format),
    )
