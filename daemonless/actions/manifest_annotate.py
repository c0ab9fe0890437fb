"""manifest annotate: change what a list says of one of its images, or of itself."""

from __future__ import annotations

from daemonless.actions.list_members import annotate, apply_options, find_digest, pairs
from daemonless.errors import UsageError
from daemonless.images.listing import change_list
from daemonless.images.lists import find_member
from daemonless.images.store import ImageStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Change the list and print its id."""
    store = ImageStore(args.paths.data)
    found = store.find_list(args.list)
    if args.index:
        if args.image or any(
            (args.os, args.arch, args.variant, args.os_version, args.os_features, args.features)
        ):
            raise UsageError("--index annotates the list itself: it goes with --annotation alone")
        annotations = pairs(args.annotation)

        def change(document: dict[str, Any]) -> None:
            annotate(document, annotations)
    else:
        if not args.image:
            raise UsageError("no image of the list was named", "--index annotates the list itself")
        digest = find_digest(store, found, args.image)

        def change(document: dict[str, Any]) -> None:
            apply_options(args, find_member(document, digest))

    print(change_list(store, found, change).id.partition(":")[2])
    return 0
