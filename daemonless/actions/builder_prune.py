"""builder prune: remove what the build cache holds and nothing else needs."""

from __future__ import annotations

import os
import time

from daemonless.actions import columns
from daemonless.actions.confirm import confirm
from daemonless.build.usage import CONFIG, LAYER, MOUNT, CacheUsage, Entry, Wanted, ago, remove
from daemonless.containers import grammar
from daemonless.containers.instant import parse_instant, rfc3339
from daemonless.errors import UsageError
from daemonless.layers import trash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from daemonless.actions.args import Args

HEADING = ("ID", "TYPE", "SIZE", "LAST USED", "WHAT")
_SHOWN = 60  # characters of an instruction
_KINDS = {"regular": (LAYER, CONFIG), "exec.cachemount": (MOUNT,)}  # in BuildKit's words


def main(args: Args) -> int:
    """Remove the entries, print them, and how much was freed in all."""
    limit = None if args.max_size is None else grammar.size(args.max_size, "--max-size")
    wanted = parse_filters(args.filter or (), args.until).replace(every=args.all, max_size=limit)
    doomed = CacheUsage(args.paths).doomed(wanted)
    if not args.force:
        kind = "whatever the build cache holds" if args.all else "what only the build cache needs"
        if not confirm(f"This removes {kind}:", lines(doomed)):
            return 0
    gone, freed = remove(args.paths, doomed)
    if gone:
        print(columns.table([HEADING, *map(row, gone)]), end="")
    print(f"Total:  {columns.size(freed, '')}")
    trash.empty_in_background(args.paths.data)
    return os.EX_OK


def parse_filters(filters: Sequence[str], until: str | None = None) -> Wanted:
    """Return what the filters, and a time beside them, let be removed. Raises UsageError."""
    before = [_before(until)] if until else []
    kinds: tuple[str, ...] = (LAYER, CONFIG, MOUNT)
    for text in filters:
        key, _, value = text.partition("=")
        if key in ("until", "unused-for"):
            before.append(_before(value))
        elif key == "type":
            if value not in _KINDS:
                raise UsageError(f"{value!r} is no type of the cache", f"the types are {', '.join(_KINDS)}")
            kinds = _KINDS[value]
        else:
            raise UsageError(f"{text} is not a filter of the build cache", "the keys are until and type")
    return Wanted(before=min(before, default=None), kinds=kinds)


def _before(text: str) -> float:
    nanoseconds = rfc3339(parse_instant(text, time.time_ns()))
    assert nanoseconds is not None  # it has just been written
    return nanoseconds / 1e9


def row(entry: Entry) -> tuple[str, ...]:
    """Return an entry's cells under HEADING."""
    return (
        entry.id[:12],
        entry.kind,
        columns.size(entry.size, ""),
        columns.ago(ago(entry)),
        columns.shorten(entry.text, _SHOWN),
    )


def lines(entries: Iterable[Entry]) -> list[str]:
    """Return a line for each entry, for a person to decide."""
    return columns.table([row(entry) for entry in entries]).splitlines()
