"""container prune: remove the containers that do not run."""

from __future__ import annotations

import time

from daemonless import events
from daemonless.actions.confirm import confirm
from daemonless.actions.each import for_each
from daemonless.actions.psfilter import parse_filters
from daemonless.actions.psrow import Row, Shared
from daemonless.containers import ending
from daemonless.containers.store import ContainerStore
from daemonless.errors import Conflict, NotFound, UsageError
from daemonless.layers import trash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemonless.actions.args import Args
    from daemonless.config import Paths
    from daemonless.containers.store import Container

_KEYS = {"label", "label!", "until"}


def main(args: Args) -> int:
    """Remove the containers that were created or have ended and print their ids."""
    doomed = candidates(args.paths, args.filter or ())
    if not args.force:
        shown = [f"{container.id[:12]}  {container.name}" for container in doomed]
        if not doomed or not confirm("This removes all containers that do not run:", shown):
            return 0
    status, _ = prune(args.paths, doomed)
    trash.empty_in_background(args.paths.data)
    return status


def candidates(paths: Paths, filters: Sequence[str]) -> list[Container]:
    """Return the containers that do not run and that all filters let through; raises UsageError."""
    now = time.time()
    keep, keys = parse_filters(filters, paths, now)
    if keys - _KEYS:
        raise UsageError(
            f"{min(keys - _KEYS)} is not a filter of prune", f"the keys are {', '.join(sorted(_KEYS))}"
        )
    containers = ContainerStore(paths).containers()
    shared = Shared(paths, containers)
    rows = [Row(container, shared, now, no_trunc=True) for container in containers]
    return [row.container for row in rows if row.status in ("created", "exited") and keep(row)]


def prune(paths: Paths, doomed: Sequence[Container]) -> tuple[int, list[str]]:
    """Remove containers, but not what has come to run, and print each id; return status and ids."""
    by_id = {container.id: container for container in doomed}
    removed = []

    def remove(identity: str) -> str | None:
        try:
            ending.remove(paths, by_id[identity])
        except (Conflict, NotFound):  # started, or removed, since it was looked at
            return None
        removed.append(identity)
        return identity

    status = for_each(by_id, remove)
    if removed:
        events.record(paths, "container", "prune", "", attributes={"count": str(len(removed))})
    ContainerStore(paths).sweep()
    return status, removed
