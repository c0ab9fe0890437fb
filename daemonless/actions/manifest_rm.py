"""manifest rm: remove lists of images."""

from __future__ import annotations

from daemonless.actions.each import for_each
from daemonless.actions.rmi import remove_list
from daemonless.errors import NotFound
from daemonless.images.store import ImageStore
from daemonless.layers import trash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Remove each list and print what became of it; images that have names stay."""
    store = ImageStore(args.paths.data)

    def remove(name: str) -> None:
        try:
            found = store.find_list(name)
        except NotFound:
            if args.ignore:
                return
            raise
        remove_list(args, store, found, store.name_of(found, name), force=False)

    status = for_each(args.lists, remove)
    trash.empty_in_background(args.paths.data)
    return status
