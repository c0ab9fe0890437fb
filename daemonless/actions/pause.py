"""pause: stop the processes of containers for a while."""

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
    """Pause each container and print its name as it was given."""

    def pause(container: Container) -> None:
        if not pausing.pause(container):
            args.warn(
                f"container {container.name} has no cgroup of its own: its processes were stopped by signals"
            )
        events.record(args.paths, "container", "pause", container.id, **event_details(container.record))

    return for_each_container(args, pause, concerns=lambda container: container.status == "running")
