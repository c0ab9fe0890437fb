"""healthcheck run: have a container's supervisor check its health now."""

from __future__ import annotations

from daemonless.containers.store import ContainerStore
from daemonless.errors import Conflict, NotFound
from daemonless.supervisor import attach

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args
    from daemonless.containers.store import Container


def main(args: Args) -> int:
    """Return 0 if the check succeeded and 1, after a word about it, if it failed.

    Raises Conflict if the container does not run or has no check.
    """
    container = ContainerStore(args.paths).find(args.container)
    status = container.status
    if status != "running":
        raise Conflict(f"container {container.name} is {'not running' if status != 'paused' else status}")
    if not container.has_health_check:
        raise Conflict(
            f"container {container.name} has no defined healthcheck",
            "give one to run or create: --health-cmd",
        )
    if _probe(container) == 0:
        return 0
    print("unhealthy")
    return 1


def _probe(container: Container) -> int:
    """Return the exit status of the check's command, -1 if it took too long."""
    code = None
    try:
        socket = attach.connect(container.run_directory)
        try:
            code = attach.probe(socket)
        finally:
            socket.close()
    except (OSError, NotFound):
        pass
    if code is None:
        raise Conflict(f"container {container.name} could not be checked: it was paused, or has ended")
    return code
