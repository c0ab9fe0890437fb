"""Id maps that were written down: `--uidmap` and `--gidmap`.

inside   0 ... 999        what the container sees
own      1 ... 1000       0 is the caller, from 1 on its subordinate ids: the default map's inside
outside  100000 ...       what the machine sees
"""

from __future__ import annotations

from daemonless.errors import SetupFailed, UsageError
from daemonless.isolation.userns import IdMap
from daemonless.oci.digest import new_hash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.isolation.userns import Range


def chosen_id_map(default: IdMap, uids: tuple[Range, ...], gids: tuple[Range, ...]) -> IdMap:
    """Return the map of ranges (inside, own, length) of the caller's own ids, those of `default`.

    Raises UsageError if a range is beyond them, or if the container's 0 is left out, its root.
    """
    chosen = (_through(default.uids, uids, "--uidmap"), _through(default.gids, gids, "--gidmap"))
    return IdMap(uids=chosen[0], gids=chosen[1], key=map_key(*chosen), reason=default.reason)


def unmapped_id_map(default: IdMap, first: int = 0, length: int = 0) -> IdMap:
    """Return the map of `--userns=nomap`: all subordinate ids, from 0 on, and the caller left out.

    With a `length` it is so many of them, from the one at `first` on. Raises SetupFailed if there are not
    as many.
    """
    if default.is_single:
        raise SetupFailed(f"there are no ids for a user namespace without your own: {default.reason}")
    try:
        uids, gids = (
            _through(own, ((0, 1 + first, length or sum(count for _, _, count in own[1:])),), "--userns")
            for own in (default.uids, default.gids)
        )
    except UsageError:
        raise SetupFailed(f"your subordinate ids are fewer than {first + length}") from None
    return IdMap(uids=uids, gids=gids, key=map_key(uids, gids) if length else "nomap")


def map_key(uids: tuple[Range, ...], gids: tuple[Range, ...]) -> str:
    """Return the name of the directory of layers unpacked with a map that has no other name."""
    name = new_hash("sha256")
    name.update(repr((uids, gids)).encode())
    return f"map-{name.hexdigest()[:32]}"


def _through(own: tuple[Range, ...], wanted: tuple[Range, ...], option: str) -> tuple[Range, ...]:
    """Return `wanted`, whose second numbers are inside ids of the map `own`, with host ids in their place."""
    result: list[Range] = []
    for inside, first, length in wanted:
        end = first + length
        pieces = [
            (
                inside + max(first, start) - first,
                outside + max(first, start) - start,
                min(end, stop) - max(first, start),
            )
            for start, outside, count in own
            if max(first, start) < min(end, stop := start + count)
        ]
        if sum(count for _, _, count in pieces) != length:
            total = sum(count for _, _, count in own)
            raise UsageError(
                f"{option} asks for your ids {first} to {end - 1}, and you have 0 to {total - 1}",
                "0 is your own id, from 1 on are the subordinate ones of /etc/subuid or /etc/subgid",
            )
        result += pieces
    _refuse_overlaps(result, option)
    if len(result) == 1 and result[0][1:] != own[0][1:] and result[0][2] == 1:
        raise UsageError(f"{option} maps one id, and not your own", "two or more, or 0:0:1")
    if not any(inside == 0 for inside, _, _ in result):
        raise UsageError(f"{option} leaves out the container's id 0", "for example 0:0:1")
    return tuple(sorted(result))


def _refuse_overlaps(ranges: list[Range], option: str) -> None:
    for side in (0, 1):
        last = -1
        for each in sorted(ranges, key=lambda each: each[side]):
            if each[side] <= last:
                raise UsageError(f"{option} maps an id twice: {each[side]}")
            last = each[side] + each[2] - 1
