"""What a build knows of steps that were made before: here, or in the caches that it was given.

What another cache has comes into the store when a step turns out to be that: its blob is verified and
unpacked by a process of its own, and it is a record like others from then on. Where that fails,
the step is made.
"""

from __future__ import annotations

from daemonless.errors import DaemonlessError
from daemonless.images.buildcache import BuildCache, CachedStep, StepLayer
from daemonless.images.leases import Lease
from daemonless.images.store import Image, ImageStore
from daemonless.isolation.task import Task, fork_plain
from daemonless.layers.store import LayerStore
from daemonless.oci.image import Descriptor
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from daemonless.build.caches import ForeignCache
    from daemonless.config import Paths
    from daemonless.images.cachelist import MountArchive
    from daemonless.isolation.userns import IdMap


class Offer(Record):
    """A layer that is not here as it is needed, but can be: unpacked, or fetched before."""

    step: CachedStep
    layer: StepLayer
    cache: ForeignCache | None  # who has the blob; None: the store


class StepCache:
    """The cache of one build, and the account of what it has used of it."""

    def __init__(
        self,
        paths: Paths,
        id_map: IdMap,
        lease: Lease,
        foreign: Iterable[ForeignCache] = (),
        *,
        oldest: str = "",
    ) -> None:
        """`oldest` is a time as steps have them; those that were made before are not found."""
        self._paths = paths
        self._id_map = id_map
        self._lease = lease
        self._foreign = list(foreign)
        self._oldest = oldest
        self._cache = BuildCache(paths.data)
        self._unpacked = LayerStore(paths.data, id_map.key)
        self._blobs = ImageStore(paths.data).blobs
        self._here: set[str] = set()  # keys whose records in the store are right
        self.damaged: set[str] = set()  # digests of blobs that could not be brought here
        self._brought: set[str] = set()  # names of cache mounts
        self._used: dict[int, dict[str, CachedStep]] = {}

    def find(self, key: str) -> CachedStep | Offer | None:
        """Return what a step with this key gave, if that is known; its layer is there and stays.

        An Offer if only its blob is, or is elsewhere.
        """
        known = self._cache.find(key)
        if known is not None and known.created >= self._oldest:
            if known.layer is None or self._is_here(known.layer):
                self._here.add(key)
                return known
            if self._has_blob(known.layer.descriptor):
                return Offer(step=known, layer=known.layer, cache=None)
        for cache in self._foreign:
            known = cache.find(key)
            if known is None or known.created < self._oldest:
                continue
            if known.layer is None:
                return known
            # even if it is here: that the blob is this layer is only what the cache says
            self._lease.keep(known.layer.descriptor.digest, known.layer.diff_id)
            return Offer(step=known, layer=known.layer, cache=cache)
        return None

    def hold(self, image: Image) -> bool:
        """Have nobody remove an image; return whether all of it is here, its layers unpacked."""
        self._lease.keep(*image.needs)
        return all(self._blobs.has(digest) for digest in (image.digest, image.id)) and all(
            self._has_blob(descriptor) and self._unpacked.has(diff_id)
            for descriptor, diff_id in zip(image.layers, image.diff_ids, strict=True)
        )

    def _is_here(self, layer: StepLayer) -> bool:
        self._lease.keep(layer.descriptor.digest, layer.diff_id)
        return self._unpacked.has(layer.diff_id) and self._has_blob(layer.descriptor)

    def _has_blob(self, descriptor: Descriptor) -> bool:
        return self._blobs.has(descriptor.digest, descriptor.size)

    def bringer(self, offer: Offer) -> Callable[[int], Task]:
        """Return what starts a process that brings an offered layer; `brought` reads what it returns."""

        def bring() -> dict[str, Any]:
            from daemonless.build.bringing import bring_layer  # noqa: PLC0415 - most builds need none

            try:
                bring_layer(self._paths, self._id_map, offer.layer, offer.cache)
            except DaemonlessError as error:
                return {"failure": error.message}
            return {"size": self._unpacked.size(offer.layer.diff_id)}

        return lambda output: Task(bring, fork_plain)

    def brought(self, offer: Offer, answer: dict[str, Any]) -> CachedStep | None:
        """Return the step, whose layer is in the store now; None if it is not."""
        if "failure" in answer:
            self.damaged.add(offer.layer.descriptor.digest)
            return None
        return offer.step.replace(layer=offer.layer.replace(size=answer["size"]))

    def mount_bringers(self, identities: Iterable[str]) -> list[Callable[[int], Task]]:
        """Return what starts a process for each cache mount of these ids that may come from elsewhere.

        It fills the mount unless there is one, and returns {}, or what `bringer` does for a failure.
        """
        found = []
        for identity in identities:
            for cache in self._foreign:
                for archive in cache.mounts(identity):
                    if archive.name not in self._brought:
                        self._brought.add(archive.name)
                        found.append(self._mount_bringer(cache, archive))
        return found

    def _mount_bringer(self, cache: ForeignCache, archive: MountArchive) -> Callable[[int], Task]:
        def bring() -> dict[str, Any]:
            from daemonless.build.mountarchives import bring_mount  # noqa: PLC0415 - most builds need none

            try:
                bring_mount(self._paths, self._id_map, cache, archive)
            except DaemonlessError as error:
                return {"failure": error.message}
            return {}

        return lambda output: Task(bring, fork_plain)

    def add(self, stage: int, step: CachedStep) -> None:
        """Note what a step of a stage gave, on disk too if it is not known there; raises OSError."""
        self._used.setdefault(stage, {})[step.key] = step
        if step.key not in self._here:
            self._here.add(step.key)
            self._cache.add(step.key, step.text, step.created, step.layer)

    def used(self, stages: Iterable[int]) -> list[CachedStep]:
        """Return all steps of these stages, as far as they have run."""
        return [step for stage in stages for step in self._used.get(stage, {}).values()]
