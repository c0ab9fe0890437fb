"""restart: end containers and start them again."""

from __future__ import annotations

from daemonless.actions.selection import for_each_container
from daemonless.containers import ending, restarting
from daemonless.containers.grammar import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args
    from daemonless.containers.store import Container


def main(args: Args) -> int:
    """Restart each container and print its name as it was given."""
    number = signal(args.signal) if args.signal else 0

    def restart(container: Container) -> str | None:
        if args.running and not container.is_running:
            return None
        timeout = container.record["request"]["stop_timeout"] if args.timeout is None else args.timeout
        restarting.restart(args.paths, container, number or ending.stop_signal(container), float(timeout))
        return None

    return for_each_container(
        args, restart, concerns=lambda container: container.is_running or not args.running
    )
