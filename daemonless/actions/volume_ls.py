"""volume ls: list the volumes."""

from __future__ import annotations

from daemonless.actions.format import Listing
from daemonless.actions.volume_filters import parse_filters
from daemonless.actions.volume_row import VolumeRow
from daemonless.containers.volumes import Users
from daemonless.volumes.store import VolumeStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args

_DEFAULT = "table {{.Driver}}\t{{.Name}}"
_HEADINGS = {"Name": "VOLUME NAME"}


def main(args: Args) -> int:
    """Print the volumes that the filters let through, by name; a broken one is named on stderr."""
    store, users = VolumeStore(args.paths), Users(args.paths)
    passes = parse_filters(args.filter, store, users)
    rows = [VolumeRow(volume, users) for volume in store.volumes() if passes(volume)]
    for volume in store.broken():
        args.warn(f"volume {volume.name} is broken; its data is in {volume.mountpoint}")
    if args.quiet:
        print("".join(f"{row['Name']}\n" for row in rows), end="")
        return 0
    template = args.format or _DEFAULT
    as_json = [row.complete() for row in rows] if template.strip() == "json" else None
    print(Listing(rows, _HEADINGS).render(template, noheading=args.noheading, as_json=as_json), end="")
    return 0
