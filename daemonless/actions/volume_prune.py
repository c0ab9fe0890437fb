"""volume prune: remove the volumes that no container uses."""

from __future__ import annotations

from daemonless.actions.confirm import confirm
from daemonless.actions.volume_filters import parse_filters
from daemonless.containers import volumes
from daemonless.layers import trash
from daemonless.volumes.store import VolumeStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Remove the volumes that no container uses and the filters let through; print their names."""
    store, users = VolumeStore(args.paths), volumes.Users(args.paths)
    passes = parse_filters(args.filter, store, users)
    if not args.force:
        doomed = [volume.name for volume in store.volumes() if passes(volume) and not users.of(volume.name)]
        if not doomed or not confirm("This removes all volumes that no container uses:", doomed):
            return 0
    removed = volumes.prune(args.paths, lambda volume: not passes(volume))
    print("".join(f"{name}\n" for name in removed), end="")
    trash.empty_in_background(args.paths.data)
    return 0
