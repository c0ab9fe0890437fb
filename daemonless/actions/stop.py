"""stop: end containers, first kindly."""

from __future__ import annotations

from daemonless.actions.selection import for_each_container
from daemonless.containers import ending
from daemonless.containers.grammar import signal

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
        ending.stop(container, number or ending.stop_signal(container), float(timeout))

    return for_each_container(
        args, stop, concerns=lambda container: container.is_supervised, ignore=args.ignore
    )
