"""wait: block until containers have ended, and print their exit statuses."""

from __future__ import annotations

from daemonless.actions.each import for_each
from daemonless.containers import ending
from daemonless.containers.store import ContainerStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Wait for each container, in the order given."""
    store = ContainerStore(args.paths)
    return for_each(args.containers, lambda name: str(ending.wait(store.find(name))))
