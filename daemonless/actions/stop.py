"""stop: end containers, first kindly."""

from __future__ import annotations

from daemonless import events
from daemonless.actions.selection import for_each_container
from daemonless.containers import ending
from daemonless.containers.grammar import signal
from daemonless.containers.store import event_details

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args
    from daemonless.containers.store import Container


def main(args: Args) -> int:
    """Stop each container and print its name as it was given."""
    number = signal(args.signal) if args.signal else 0

    def stop(container: Container) -> None:
        request = container.record["request"]
        timeout = request["stop_timeout"] if args.timeout is None else args.timeout
        details = event_details(container.record) if container.is_supervised else None
        ending.stop(container, number or ending.stop_signal(container), float(timeout))
        if details:
            events.record(args.paths, "container", "stop", container.id, **details)

    return for_each_container(
        args, stop, concerns=lambda container: container.is_supervised, ignore=args.ignore
    )
