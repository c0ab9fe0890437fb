"""image unmount: undo `image mount`."""

from __future__ import annotations

from daemonless.actions.each import for_each
from daemonless.actions.image_mounts import Mounts
from daemonless.errors import NotFound, UsageError
from daemonless.images.store import ImageStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Unmount images and print their ids."""
    mounts = Mounts(args.paths)
    store = ImageStore(args.paths.data)
    names: tuple[str, ...] = args.images or ()
    if bool(names) == args.all:
        raise UsageError("name images, or use --all")

    def unmount(name: str) -> str:
        image_id = name if args.all else _id_of(store, mounts, name)
        mounts.unmount(image_id, force=args.force)
        return image_id[7:]

    return for_each(mounts.mounted() if args.all else names, unmount)


def _id_of(store: ImageStore, mounts: Mounts, name: str) -> str:
    """Return the id of an image, which may have been removed since it was mounted."""
    try:
        return store.resolve(name).id
    except NotFound:
        found = [each for each in mounts.mounted() if each[7:].startswith(name.removeprefix("sha256:"))]
        if len(found) != 1:
            raise
        return found[0]
