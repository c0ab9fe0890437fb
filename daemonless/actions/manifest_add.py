"""manifest add: put images on a list."""

from __future__ import annotations

from daemonless.actions.list_members import apply_options, choice, gather, warn_of
from daemonless.images.leases import Lease
from daemonless.images.listing import add_members
from daemonless.images.store import ImageStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Put the images on the list and print its id."""
    store = ImageStore(args.paths.data)
    found = store.find_list(args.list)
    chosen = choice(args)
    with Lease(args.paths.data) as lease:
        members = [member for name in args.images for member in gather(args, store, lease, name, chosen)]
        for member in members:
            apply_options(args, member.descriptor)
        found, gone = add_members(store, found, members)
    warn_of(args, gone)
    print(found.id.partition(":")[2])
    return 0
