"""manifest create: make a list of images."""

from __future__ import annotations

from daemonless.actions.list_members import annotate, gather, pairs, warn_of
from daemonless.errors import NotFound, UsageError
from daemonless.images.leases import Lease
from daemonless.images.listing import add_members, change_list, create_list
from daemonless.images.lists import new_document
from daemonless.images.members import Choice
from daemonless.images.store import ImageStore
from daemonless.oci.reference import parse_reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args
    from daemonless.images.lists import ImageList


def main(args: Args) -> int:
    """Make the list, with the images named, and print its id."""
    reference = parse_reference(args.list)
    if reference.digest:
        raise UsageError(f'"{reference}" holds a digest: a list is called by a tag')
    annotations = pairs(args.annotation)
    store = ImageStore(args.paths.data)
    store.blobs.prepare()
    with Lease(args.paths.data) as lease:
        # all that can fail comes before there is a list
        members = [
            member
            for name in args.images or ()
            for member in gather(args, store, lease, name, Choice(every=args.all))
        ]
        found = _amended(args, store, annotations) if args.amend else None
        if found is None:
            found = create_list(store, reference, new_document(annotations), members)
        else:
            found, gone = add_members(store, found, members)
            warn_of(args, gone)
    print(found.id.partition(":")[2])
    return 0


def _amended(args: Args, store: ImageStore, annotations: dict[str, str]) -> ImageList | None:
    """Return the list that is there already, with annotations more; None if there is none."""
    try:
        found = store.find_list(args.list)
    except NotFound:
        return None
    if not annotations:
        return found
    return change_list(store, found, lambda document: annotate(document, annotations))
