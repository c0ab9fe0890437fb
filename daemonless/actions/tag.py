"""tag: give an image further names."""

from __future__ import annotations

from daemonless import events
from daemonless.errors import UsageError
from daemonless.images.store import ImageStore
from daemonless.oci.reference import parse_reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Give the image each of the names, taking them from the images that have them."""
    references = [parse_reference(name) for name in args.names]
    for reference in references:
        if reference.digest:
            raise UsageError(f'"{reference}" holds a digest: a tag is a name without one')
    store = ImageStore(args.paths.data)
    image = store.find(args.image)
    for reference in references:
        store.tag(image, reference)
        events.record(args.paths, "image", "tag", image.id.partition(":")[2], name=str(reference))
    return 0
