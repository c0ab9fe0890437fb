"""system check: whether all that is stored is whole; with --repair, what is not is removed or mended."""

from __future__ import annotations

import os

from daemonless.actions import columns
from daemonless.actions.each import report
from daemonless.containers import checking, needs
from daemonless.containers.store import ContainerStore
from daemonless.errors import DaemonlessError
from daemonless.images import garbage
from daemonless.images.store import ImageStore
from daemonless.layers import trash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args

_DAMAGED = 125


def main(args: Args) -> int:
    """Print a line for each problem, and for what was done; 125 if damage stays."""
    checker = checking.Checker(args.paths, quick=args.quick)
    left = 0
    for problem in checker.problems():
        print(f"{problem.shown}: {problem.text}", flush=True)
        left += not (args.repair and _repaired(args, problem))
    if args.repair:
        _collect(args)
    counts = ", ".join(f"{count} {kind}" for kind, count in checker.counts.items())
    os.write(2, f"Checked {counts}\n".encode())
    if left:
        hint = "--repair removes what is damaged, but for what containers use; --force that too"
        report(DaemonlessError(f"{left} of them are damaged", "" if args.repair else hint))
    return _DAMAGED if left else 0


def _repaired(args: Args, problem: checking.Problem) -> bool:
    try:
        print(checking.repair(args.paths, problem, force=args.force), flush=True)
    except DaemonlessError as error:
        report(error)
        return False
    return True


def _collect(args: Args) -> None:
    """Remove what nothing needs, and what commands that were killed have left half done."""
    store = ImageStore(args.paths.data)
    ContainerStore(args.paths).sweep()
    try:
        freed = sum(piece.size for piece in garbage.collect(store, needs.users(args.paths)))
    except DaemonlessError as error:
        report(error)
    else:
        if freed:
            print(f"removed {columns.size(freed)} that no image needs")
    trash.empty_in_background(args.paths.data)
