"""volume exists: an exit status that says whether there is such a volume."""

from __future__ import annotations

from daemonless.errors import NotFound
from daemonless.volumes.store import VolumeStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Return 0 if the volume exists and 1 if it does not.

    Raises UsageError for the beginning of several names, which is neither.
    """
    try:
        VolumeStore(args.paths).find(args.volume)
    except NotFound:
        return 1
    return 0
