"""kill: send a signal to running containers."""

from __future__ import annotations

from daemonless import events
from daemonless.actions.selection import for_each_container
from daemonless.containers import ending
from daemonless.containers.grammar import signal
from daemonless.containers.store import event_details
from daemonless.errors import Conflict, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args
    from daemonless.containers.store import Container

_SIGKILL = 9


def main(args: Args) -> int:
    """Send the signal to each container and print its name as it was given."""
    number = signal(args.signal)

    def kill(container: Container) -> None:
        name = container.name
        try:
            ending.kill(container, number)
        except NotFound:
            raise Conflict(
                f"container {name} is {container.status}, so it cannot be sent a signal",
                f"start it: daemonless start {name}",
            ) from None
        details = event_details(container.record)
        events.record(args.paths, "container", "kill", container.id, signal=number, **details)
        if number == _SIGKILL:
            ending.wait_for_supervisor(container)

    return for_each_container(args, kill, concerns=lambda container: container.is_running)
