"""volume inspect: everything about volumes."""

from __future__ import annotations

from daemonless.actions.each import report
from daemonless.actions.format import Template, pretty
from daemonless.actions.volume_row import VolumeRow
from daemonless.containers.volumes import Users
from daemonless.errors import DaemonlessError, UsageError
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
    found: list[VolumeRow] = []
    errors: list[DaemonlessError] = []
    for name in store.names() if args.all else args.volumes:
        try:
            found.append(VolumeRow(store.find(name), users))
        except DaemonlessError as error:
            errors.append(error)
    if args.format is None or args.format.strip() == "json":
        print(pretty([row.complete() for row in found]))
    else:
        template = Template(args.format)
        for row in found:
            print(template.render(row))
    for missing in errors:
        report(missing)
    return errors[-1].exit_status if errors else 0
