"""builder du: what the build cache holds, and how much of the disk it takes."""

from __future__ import annotations

import os

from daemonless.actions import columns
from daemonless.actions.builder_prune import HEADING, parse_filters, row
from daemonless.build.usage import CacheUsage, Wanted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Print a line for each entry, the one that was used last first, and the sums."""
    usage = CacheUsage(args.paths)
    wanted = parse_filters(args.filter or ())
    shown = usage.doomed(wanted.replace(every=True))[::-1]
    print(columns.table([HEADING, *map(row, shown)]), end="")
    reclaimable = sum(entry.size for entry in usage.doomed(Wanted()))
    print(f"\nReclaimable:  {columns.size(reclaimable, '')}")
    print(f"Total:        {columns.size(sum(entry.size for entry in shown), '')}")
    return os.EX_OK
