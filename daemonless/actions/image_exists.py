"""image exists: an exit status that says whether there is such an image."""

from __future__ import annotations

from daemonless.errors import NotFound
from daemonless.images.store import ImageStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Return 0 if the image is stored here, 1 if it is not; raises UsageError for what is no name."""
    try:
        ImageStore(args.paths.data).find(args.image)
    except NotFound:
        return 1
    return 0
