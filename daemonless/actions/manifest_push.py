"""manifest push: copy a list of images to a registry, an archive or a directory."""

from __future__ import annotations

from daemonless.actions.push import push_named, show
from daemonless.errors import UsageError, printable
from daemonless.images.store import ImageStore
from daemonless.layers import trash
from daemonless.layers.compress import LEVELS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Push the list, with its images unless `--all=false`, and print its digest; `--rm` removes it then."""
    store = ImageStore(args.paths.data)
    found = store.find_list(args.list)
    if not args.destination and not store.name_of(found, args.list):
        raise UsageError(f"{args.list} is no name to push to", "give a destination")
    added = tuple(dict.fromkeys(word for text in args.add_compression or () for word in text.split(",")))
    if added and not args.all:
        raise UsageError("--add-compression is about the images on the list: it goes without --all=false")
    for each in added:
        if each not in LEVELS:
            raise UsageError(
                f'"{printable(each)}" is no compression that can be added', f"one of {', '.join(LEVELS)}"
            )
    show(args, push_named(args, args.list, args.destination or "", members=args.all, added=added))
    if args.rm:
        from daemonless.actions.rmi import remove_list  # noqa: PLC0415 - seldom asked for

        remove_list(args, store, found, "", force=True)
        trash.empty_in_background(args.paths.data)
    return 0
