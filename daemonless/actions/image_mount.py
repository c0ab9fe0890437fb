"""image mount: the files of images as a directory, in a session of `unshare`."""

from __future__ import annotations

from daemonless.actions import columns
from daemonless.actions.format import pretty
from daemonless.actions.image_mounts import Mounts
from daemonless.errors import DaemonlessError, UsageError
from daemonless.images.store import ImageStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Mount images and print where; without a name, print which are mounted."""
    mounts = Mounts(args.paths)
    store = ImageStore(args.paths.data)
    if args.all and args.images:
        raise UsageError("--all and names cannot be used together")
    images = store.images() if args.all else [store.resolve(name) for name in args.images or ()]
    found = {image.id: mounts.mount(image) for image in images} if images else mounts.mounted()
    if args.format:
        print(
            pretty(
                [
                    {"ID": image[7:], "Repositories": _names(store, image), "mountpoint": found[image]}
                    for image in found
                ]
            )
        )
    elif len(args.images or ()) == 1:
        print(*found.values())
    else:
        shown = {image: (_names(store, image) or [image[7:19]])[0] for image in found}
        print(columns.table([(shown[image], found[image]) for image in found]), end="")
    return 0


def _names(store: ImageStore, image_id: str) -> list[str]:
    try:
        return list(store.resolve(image_id).names)
    except DaemonlessError:
        return []  # removed; what is mounted stays
