"""untag: take names away from an image."""

from __future__ import annotations

from daemonless import events
from daemonless.errors import NotFound, UsageError
from daemonless.images.store import ImageStore
from daemonless.oci.reference import parse_reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Take the names given, or all of them, from the image; it stays, nameless if need be."""
    store = ImageStore(args.paths.data)
    image = store.find(args.image)
    names = []
    for text in args.names or ():
        name = str(parse_reference(text))
        if name not in image.names:
            known = ", ".join(image.names) or "none"
            raise NotFound(f"{name} is no name of image {image.id[7:19]}", f"its names: {known}")
        names.append(name)
    if not names and not image.names:
        raise UsageError(f"image {image.id[7:19]} has no name")
    for name in dict.fromkeys(names or image.names):
        store.untag(name)
        events.record(args.paths, "image", "untag", image.id.partition(":")[2], name=name)
    return 0
