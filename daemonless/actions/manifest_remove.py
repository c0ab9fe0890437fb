"""manifest remove: take images off a list."""

from __future__ import annotations

from daemonless.actions.list_members import find_digest
from daemonless.images.listing import change_list
from daemonless.images.lists import remove_member
from daemonless.images.store import ImageStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Take all of the images off the list, or none, and print the list's id."""
    store = ImageStore(args.paths.data)
    found = store.find_list(args.list)
    digests = {find_digest(store, found, name) for name in args.images}

    def change(document: dict[str, Any]) -> None:
        for digest in digests:
            remove_member(document, digest)

    print(change_list(store, found, change).id.partition(":")[2])
    return 0
