"""What the build cache holds, what each part of it takes of the disk, and the removal of some of it.

An entry is a layer with all the steps that give it, a step that changes only the config, or a cache
mount. What an image or a container has too is shared: its removal would free nothing, and make the
next build slow.
"""

from __future__ import annotations

import time

from daemonless.build.cachemounts import Cache, CacheStore
from daemonless.config import Paths
from daemonless.containers import needs
from daemonless.errors import printable
from daemonless.images import garbage
from daemonless.images.buildcache import BuildCache, CachedStep
from daemonless.images.store import ImageStore
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from daemonless.images.garbage import Piece

LAYER, CONFIG, MOUNT = "layer", "config", "mount"


class Entry(Record):
    """One thing that the cache has."""

    kind: str
    id: str  # digits of the layer's diff_id or of the step's key, or the name of the cache mount
    text: str  # the instruction, or the id of the cache mount
    used: float  # when a build last needed it, in seconds since the epoch
    size: int  # bytes that its removal frees
    shared: bool = False
    keys: tuple[str, ...] = ()  # of its records
    records: int = 0  # bytes of these
    mount: Cache | None = None


class Wanted(Record):
    """What is to be removed."""

    every: bool = False  # what is shared, too
    before: float | None = None  # only what was not used since, in seconds since the epoch
    max_size: int | None = None  # only what is too much, those that were not used for longest first
    kinds: tuple[str, ...] = (LAYER, CONFIG, MOUNT)


class CacheUsage:
    """The whole cache, measured once.

    `needed` are the digests of all that anything needs, `own` those that only the cache needs.
    """

    def __init__(self, paths: Paths) -> None:
        """Measure it. Raises InvalidData if an image or a container is damaged, so nobody knows."""
        store = ImageStore(paths.data)
        with store.lock():  # against a removal, which is half done in between
            used = garbage.in_use(store, needs.users(paths))
        steps = sorted(BuildCache(paths.data).steps(), key=lambda step: step.used)
        self.needed = used | _needs(steps)
        self.own = self.needed - used
        mounts = CacheStore(paths)
        caches = mounts.caches()
        sizes = mounts.sizes(caches)
        self.entries = [
            *_layers(steps, used, garbage.pieces(paths.data)),
            *_configs(steps, _moments(store)),
            *(_mount(cache, sizes.get(cache.directory, 0)) for cache in caches),
        ]
        self.entries.sort(key=lambda entry: entry.used)

    def doomed(self, wanted: Wanted) -> list[Entry]:
        """Return what a prune removes, those that were not used for longest first."""
        chosen = [
            entry
            for entry in self.entries
            if entry.kind in wanted.kinds and (wanted.every or not entry.shared)
        ]
        if wanted.max_size is not None:
            excess = sum(entry.size for entry in chosen) - wanted.max_size
            kept, chosen = chosen, []
            for entry in kept:
                if excess > 0:
                    chosen.append(entry)
                    excess -= entry.size
        if wanted.before is not None:
            chosen = [entry for entry in chosen if entry.used < wanted.before]
        return chosen


def remove(paths: Paths, doomed: Iterable[Entry]) -> tuple[list[Entry], int]:
    """Remove entries, and all that nothing needs then; return those that are gone, and the bytes freed.

    A cache mount that a step uses stays. Raises InvalidData if an image or a container is damaged,
    OSError about the disk.
    """
    cache, mounts = BuildCache(paths.data), CacheStore(paths)
    gone = []
    freed = 0
    for entry in doomed:
        if entry.mount is not None:
            if not mounts.remove(entry.mount):
                continue
            freed += entry.size
        freed += entry.records
        for key in entry.keys:
            cache.remove(key)
        gone.append(entry)
    mounts.sweep()
    pieces = garbage.collect(ImageStore(paths.data), needs.users(paths))
    return gone, freed + sum(piece.size for piece in pieces)


def ago(entry: Entry) -> float:
    """Return for how many seconds no build has needed an entry."""
    return max(0.0, time.time() - entry.used)


def _needs(steps: Iterable[CachedStep]) -> set[str]:
    layers = [step.layer for step in steps if step.layer]
    return {digest for layer in layers for digest in (layer.descriptor.digest, layer.diff_id)}


def _layers(steps: Iterable[CachedStep], used: set[str], pieces: Iterable[Piece]) -> Iterable[Entry]:
    by_layer: dict[str, list[CachedStep]] = {}
    for step in steps:
        if step.layer:
            by_layer.setdefault(step.layer.diff_id, []).append(step)
    sizes: dict[str, int] = {}
    for piece in pieces:
        sizes[piece.digest] = sizes.get(piece.digest, 0) + piece.size
    for diff_id, found in by_layer.items():
        own = _needs(found) - used
        records = sum(step.record_size for step in found)
        yield Entry(
            kind=LAYER,
            id=diff_id.partition(":")[2],
            text=found[-1].text,
            used=found[-1].used,
            size=sum(sizes.get(digest, 0) for digest in own) + records,
            shared=diff_id in used,
            keys=tuple(step.key for step in found),
            records=records,
        )


def _configs(steps: Iterable[CachedStep], moments: Collection[str]) -> Iterable[Entry]:
    for step in steps:
        if not step.layer:
            yield Entry(
                kind=CONFIG,
                id=step.key,
                text=step.text,
                used=step.used,
                size=step.record_size,
                shared=step.created in moments,
                keys=(step.key,),
                records=step.record_size,
            )


def _moments(store: ImageStore) -> set[str]:
    """Return the times in the images' histories; by those of steps, to a nanosecond, they are known."""
    return {
        str(entry.get("created")) for image in store.images() for entry in image.config.get("history") or ()
    }


def _mount(cache: Cache, size: int) -> Entry:
    name = cache.directory.rpartition("/")[2]
    return Entry(kind=MOUNT, id=name, text=printable(cache.id), used=cache.used, size=size, mount=cache)
