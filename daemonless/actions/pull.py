"""pull: fetch images from registries, archives and directories."""

from __future__ import annotations

import os

from daemonless import events
from daemonless.actions.cold import in_child
from daemonless.actions.each import for_each
from daemonless.errors import DaemonlessError, NotFound, UsageError
from daemonless.images.blobs import store_failed
from daemonless.images.store import STARTER, ImageStore
from daemonless.images.transports.location import DOCKER, parse_location
from daemonless.isolation.userns import load_id_map
from daemonless.layers.worker import UnpackPool
from daemonless.oci.reference import has_transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args
    from daemonless.images.store import Image


def main(args: Args) -> int:
    """Pull each image and print its id."""
    names = args.images
    if not names:
        raise UsageError("no image was named", "for example: daemonless pull debian:12")
    if args.all_tags:
        from daemonless.actions.pulling import all_tags  # noqa: PLC0415 - see fetch

        names = [name for repository in names for name in all_tags(args, repository)]
    if len(names) == 1:
        print(_obtain(args, names[0]))
        return 0
    # A failed pull may leave threads behind that wait for their peer; the next must start with one.
    return for_each(names, lambda name: in_child(lambda: _obtain(args, name)))


def _obtain(args: Args, name: str) -> str:
    """Pull an image, or find it here, as --policy says; return the ids of what there is then."""
    here = None
    if args.policy != "always" and not has_transport(name):
        try:
            here = ImageStore(args.paths.data).resolve(name)
        except NotFound:
            if args.policy == "never":
                raise
    if here and args.policy in ("missing", "never"):
        return _ids([here])
    try:
        return _ids(fetch(args, name))
    except DaemonlessError as error:
        if here is None:
            raise
        args.warn(f"{name} may not be the newest: {error.message}")
        return _ids([here])


def _ids(images: list[Image]) -> str:
    return "\n".join(image.id.partition(":")[2] for image in images)


def fetch(args: Args, name: str) -> list[Image]:
    """Pull what `name` stands for, as the options of `pull`, `run` and `create` say.

    That is one image, but for an archive of several. The starter image comes from this machine
    itself. The caller must have a single thread. Raises as `images.pull` does.
    """
    location = parse_location(name)
    if location.transport == DOCKER and str(location.reference) == STARTER:
        return [_starter(args)]
    try:
        with UnpackPool(args.paths.data, load_id_map(os.getuid(), os.getgid())) as pool:
            # What speaks HTTP takes 40 ms to import, and the unpacker as long to get ready.
            from daemonless.actions.pulling import fetch_from  # noqa: PLC0415

            return fetch_from(location, args, name, pool)
    except OSError as error:
        raise store_failed(f"store image {name}", error) from error


def _starter(args: Args) -> Image:
    from daemonless.images.starter import ensure_starter  # noqa: PLC0415 - for this one name

    image = ensure_starter(args.paths)
    events.record(args.paths, "image", "pull", image.id.partition(":")[2], name=STARTER)
    return image
