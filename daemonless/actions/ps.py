"""ps: list containers."""

from __future__ import annotations

import sys
import time

from daemonless.actions.format import Listing
from daemonless.actions.psrow import HEADINGS, NAMESPACES, Row, Shared, as_podman
from daemonless.containers.store import ContainerStore
from daemonless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from daemonless.actions.args import Args

_DEFAULT = "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"
_BY_NAMESPACE = "table {{.ID}}\t{{.Names}}\t{{.Pid}}" + "".join(f"\t{{{{.{name}}}}}" for name in NAMESPACES)
_ORDERS: dict[str, Callable[[Row], Any]] = {
    "command": lambda row: row.record["args"],
    "created": lambda row: row.record["created"],
    "id": lambda row: row.container.id,
    "image": lambda row: row.record["image"],
    "names": lambda row: row.record["name"],
    "runningfor": lambda row: row.record["created"],
    "size": lambda row: row.shared.sizes(row.container)[1],
    "status": lambda row: row.status,
}
_CLEAR = "\x1b[H\x1b[2J"


def main(args: Args) -> int:
    """Print the containers that were asked for, once or every so many seconds."""
    if args.watch < 0:
        raise UsageError(f"--watch {args.watch} is not a number of seconds")
    while True:
        text = _listing(args)
        print(f"{_CLEAR}{text}" if args.watch and sys.stdout.isatty() else text, end="", flush=True)
        if not args.watch:
            return 0
        time.sleep(args.watch)


def _listing(args: Args) -> str:
    rows = _chosen(args)
    rows.sort(key=_ORDERS[args.sort])
    text = _render(args, rows)
    for row in rows:
        for damage in row.container.damage:
            args.warn(f"container {row.container.id[:12]}: {damage}")
    return text


def _render(args: Args, rows: list[Row]) -> str:
    if args.quiet:
        return "".join(f"{row['ID']}\n" for row in rows)
    template = args.format or (_BY_NAMESPACE if args.ns else _DEFAULT)
    if not args.format and not args.ns:
        template += "\t{{.Pod}}\t{{.PodName}}" if args.pod else ""
        template += "\t{{.Size}}" if args.size else ""
    shown = [as_podman(row, size=args.size) for row in rows] if template.strip() == "json" else None
    return Listing(rows, HEADINGS).render(template, noheading=args.noheading, as_json=shown)


def _chosen(args: Args) -> list[Row]:
    """Return the rows of the containers that the options choose, newest first."""
    now = time.time()
    keep, keys = _filters(args, now)
    last = 1 if args.latest else args.last
    everything = args.all or last >= 0 or bool(keys & {"status", "exited"})
    containers, broken = ContainerStore(args.paths).survey(supervised=not everything)
    for each in broken:
        args.warn(f"container {each.id[:12]}: {each.damage[0]}; daemonless rm --force removes it")
    shared = Shared(args.paths, containers)
    rows: list[Row] = []
    for container in containers:
        row = Row(container, shared, now, no_trunc=args.no_trunc)
        if last >= 0 and len(rows) == last:
            break
        if (everything or row.is_alive) and keep(row):
            rows.append(row)
    shared.containers = [row.container for row in rows]
    return rows


def _filters(args: Args, now: float) -> tuple[Callable[[Row], bool], set[str]]:
    if not args.filter:
        return lambda _row: True, set()
    from daemonless.actions.psfilter import parse_filters  # noqa: PLC0415 - and all that reads images: 2 ms

    return parse_filters(args.filter, args.paths, now)
