"""rename: give a container another name."""

from __future__ import annotations

from daemonless import events
from daemonless.containers.grammar import container_name
from daemonless.containers.store import ContainerStore, event_details

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Rename the container and print nothing. Raises NotFound, NameInUse or UsageError."""
    store = ContainerStore(args.paths)
    container = store.find(args.container)
    store.rename(container, container_name(args.name, "the new name"))
    events.record(args.paths, "container", "rename", container.id, **event_details(container.record))
    return 0
