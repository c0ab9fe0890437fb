"""volume create: make a volume."""

from __future__ import annotations

from daemonless import events
from daemonless.containers import grammar, grammar_volumes
from daemonless.errors import NameInUse, Unsupported, printable
from daemonless.volumes.store import VolumeStore, check_name, new_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Make a volume and print its name."""
    if args.driver != "local":
        raise Unsupported(f"there is no volume driver {printable(args.driver)}", "the only driver is local")
    name = check_name(args.name) if args.name is not None else new_name()
    owner = None
    if args.uid is not None or args.gid is not None:
        owner = grammar_volumes.identity(args.uid, "--uid"), grammar_volumes.identity(args.gid, "--gid")
    store = VolumeStore(args.paths)
    try:
        volume = store.create(
            name,
            labels=dict(grammar.key_value(value, "--label") for value in args.label),
            options=grammar_volumes.driver_options(args.opt),
            owner=owner,
        )
    except NameInUse:
        if not args.ignore:
            raise
    else:
        volume.release()
        events.record(args.paths, "volume", "create", name)
    print(name)
    return 0
