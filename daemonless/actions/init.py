"""init: set containers up without starting them."""

from __future__ import annotations

from daemonless.actions.selection import for_each_container
from daemonless.containers import starting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args
    from daemonless.containers.store import Container


def main(args: Args) -> int:
    """Set each container up and print its name as it was given."""

    def initialize(container: Container) -> None:
        starting.initialize(args.paths, container)

    return for_each_container(args, initialize, concerns=lambda container: container.status == "created")
