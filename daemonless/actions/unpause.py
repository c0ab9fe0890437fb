"""unpause: let paused containers go on."""

from __future__ import annotations

from daemonless import events
from daemonless.actions.selection import for_each_container
from daemonless.containers import pausing
from daemonless.containers.store import event_details

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args
    from daemonless.containers.store import Container


def main(args: Args) -> int:
    """Unpause each container and print its name as it was given."""

    def unpause(container: Container) -> None:
        pausing.unpause(container)
        events.record(args.paths, "container", "unpause", container.id, **event_details(container.record))

    return for_each_container(args, unpause, concerns=lambda container: container.status == "paused")
