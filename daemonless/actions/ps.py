"""ps: list containers."""

from __future__ import annotations

import os
import time

from daemonless.actions.format import Listing
from daemonless.actions.psrow import HEADINGS, Row, as_podman
from daemonless.containers.store import ContainerStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from daemonless.actions.args import Args
    from daemonless.containers.store import Container

_DEFAULT = "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"
_ORDERS: dict[str, Callable[[Row], Any]] = {
    "command": lambda row: row.container.record["args"],
    "created": lambda row: row.container.record["created"],
    "id": lambda row: row.container.id,
    "image": lambda row: row.container.record["image"],
    "names": lambda row: row.container.name,
    "runningfor": lambda row: row.container.record["created"],
    "status": lambda row: row.status,
}


def main(args: Args) -> int:
    """Print the containers that were asked for."""
    store = ContainerStore(args.paths)
    containers = store.containers()
    rows = _chosen(args, containers)
    rows.sort(key=_ORDERS[args.sort])
    if args.quiet:
        out = "".join(f"{row['ID']}\n" for row in rows)
    else:
        template = args.format or _DEFAULT
        shown = [as_podman(row) for row in rows] if template.strip() == "json" else None
        out = Listing(rows, HEADINGS).render(template, noheading=args.noheading, as_json=shown)
    print(out, end="")
    _warn_of_broken(args, store, len(containers))
    return 0


def _warn_of_broken(args: Args, store: ContainerStore, readable: int) -> None:
    """Name the containers that are left out; looked for only if there are more than could be read."""
    try:
        number = len(os.listdir(store.directory))
    except FileNotFoundError:
        return
    for broken in store.broken() if number > readable else ():
        args.warn(f"container {broken.id[:12]} cannot be read; daemonless rm --force removes it")


def _chosen(args: Args, containers: list[Container]) -> list[Row]:
    """Return the rows of the containers that the options choose, newest first."""
    now = time.time()
    keep, keys = _filters(args, now)
    last = 1 if args.latest else args.last
    everything = args.all or last >= 0 or bool(keys & {"status", "exited"})
    rows: list[Row] = []
    for container in containers:
        row = Row(container, now, no_trunc=args.no_trunc)
        if last >= 0 and len(rows) == last:
            break
        if (everything or row.status == "running") and keep(row):
            rows.append(row)
    return rows


def _filters(args: Args, now: float) -> tuple[Callable[[Row], bool], set[str]]:
    if not args.filter:
        return lambda _row: True, set()
    from daemonless.actions.psfilter import parse_filters  # noqa: PLC0415 - and all that reads images: 2 ms

    return parse_filters(args.filter, args.paths, now)
