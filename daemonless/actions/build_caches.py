"""The caches beside the store's own that a build looks into, and that it is saved to."""

from __future__ import annotations

import os
from functools import partial

from daemonless.build.cacheplaces import INLINE_TYPE, parse_place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemonless.actions.args import Args
    from daemonless.build.building import Builder
    from daemonless.build.caches import ForeignCache
    from daemonless.build.lookup import StepCache
    from daemonless.isolation.userns import IdMap
    from daemonless.oci.image import Platform


class Caches:
    """What --cache-from and --cache-to name."""

    def __init__(self, args: Args, arguments: Mapping[str, str]) -> None:
        """`arguments` are those of the build. Raises UsageError or Unsupported."""
        self._args = args
        self._sources = [parse_place(text, "--cache-from", os.path.abspath) for text in args.cache_from or ()]
        places = [parse_place(text, "--cache-to", os.path.abspath) for text in args.cache_to or ()]
        self._targets = [place for place in places if place.kind != INLINE_TYPE]
        self.is_inline = len(self._targets) < len(places) or arguments.get("BUILDKIT_INLINE_CACHE") == "1"

    def open(self, platform: Platform) -> list[ForeignCache]:
        """Return those to look into, as far as they can be read."""
        if not self._sources or self._args.no_cache or self._args.check:
            return []
        from daemonless.actions.access import registry_access  # noqa: PLC0415 - most builds have no others
        from daemonless.build.caches import open_caches  # noqa: PLC0415 - as above

        return open_caches(self._sources, registry_access(self._args), platform, self._args.warn)

    def save(self, builder: Builder, cache: StepCache, id_map: IdMap) -> None:
        """Save what the build has made and used. What fails is told of: the image is there."""
        if not self._targets:
            return
        from daemonless.actions.access import registry_access  # noqa: PLC0415 - most builds save nothing
        from daemonless.actions.output import open_output  # noqa: PLC0415 - as above
        from daemonless.build.cachemounts import CacheStore  # noqa: PLC0415 - as above
        from daemonless.build.cachesaving import Saver  # noqa: PLC0415 - as above

        args = self._args
        identities = builder.cache_mounts()
        mounts = [cache for cache in CacheStore(args.paths).caches() if cache.id in identities]
        saver = Saver(
            args.paths,
            id_map,
            registry_access(args),
            lambda path: open_output(path, "a build cache"),
            cache.damaged,
        )
        for place in self._targets:
            steps = builder.used(everything=place.is_complete)
            builder.perform(
                f"exporting the build cache to {place}", partial(saver.save, place, steps, mounts)
            )
