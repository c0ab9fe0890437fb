"""manifest push: copy a list of images to a registry, an archive or a directory."""

from __future__ import annotations

from daemonless.actions.push import push_one
from daemonless.errors import UsageError
from daemonless.images.store import ImageStore
from daemonless.layers import trash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Push the list, with its images unless `--all=false`, and print its digest; `--rm` removes it then."""
    store = ImageStore(args.paths.data)
    found = store.find_list(args.list)
    if not args.destination and not store.name_of(found, args.list):
        raise UsageError(f"{args.list} is no name to push to", "give a destination")
    push_one(args, args.list, args.destination or "", members=args.all)
    if args.rm:
        from daemonless.actions.rmi import remove_list  # noqa: PLC0415 - seldom asked for

        remove_list(args, store, found, "", force=True)
        trash.empty_in_background(args.paths.data)
    return 0
