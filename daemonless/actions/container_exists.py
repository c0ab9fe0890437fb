"""container exists: an exit status that says whether there is such a container."""

from __future__ import annotations

from daemonless.containers.store import ContainerStore
from daemonless.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Return 0 if the container exists, broken or not, and 1 if it does not.

    Raises UsageError for the beginning of several ids, which is neither.
    """
    try:
        ContainerStore(args.paths).find(args.container)
    except NotFound:
        return 1
    return 0
