"""wait: block until containers have ended, and print their exit statuses."""

from __future__ import annotations

from daemonless.actions.selection import for_each_container
from daemonless.containers import ending

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Wait for each container, in the order given."""
    return for_each_container(args, lambda container: str(ending.wait(container)))
