"""The caches that `--cache-from` names, as far as a build reads them before it begins.

A cache that is not there, or is damaged, is told of and does without: nothing else depends on it.
"""

from __future__ import annotations

import os
import stat

from daemonless.build.cacheplaces import INLINE_CACHE, LOCAL, Place
from daemonless.errors import DaemonlessError, InvalidData, NotFound
from daemonless.images.buildcache import CachedStep, StepLayer
from daemonless.images.cachelist import (
    CACHE_CONFIG,
    INLINE,
    MAX_CACHE_LIST,
    CacheList,
    MountArchive,
    parse_cache_list,
    parse_inline,
)
from daemonless.images.pull import pair_layers, resolve
from daemonless.images.transports.location import OCI, OCI_ARCHIVE, Location
from daemonless.images.transports.opening import LocalImages, open_local
from daemonless.images.transports.registry import open_registry_source
from daemonless.images.transports.source import Source
from daemonless.oci.digest import Digest
from daemonless.oci.image import Manifest, Platform, diff_ids, parse_config, parse_document
from daemonless.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from daemonless.registry.access import Access

CACHE_NAME = "buildcache"  # what a layout's index calls the cache that lies in it


class NoCache(InvalidData):
    """There is something else, an image or another program's cache, which is not to be replaced."""


class ForeignCache:
    """What a cache elsewhere has, and how to open it for its blobs."""

    def __init__(self, name: str, found: CacheList, open_source: Callable[[], Source]) -> None:
        self.name = name
        self.found = found
        self.open = open_source
        self._steps = {step.key: step for step in found.steps}

    def find(self, key: str) -> CachedStep | None:
        """Return what a step with this key gave."""
        return self._steps.get(key)

    def mounts(self, identity: str) -> list[MountArchive]:
        """Return the contents of cache mounts with an id."""
        return [mount for mount in self.found.mounts if mount.id == identity]


def open_caches(
    places: Iterable[Place], access: Access, platform: Platform, warn: Callable[[str], None]
) -> list[ForeignCache]:
    """Return the caches at these places that can be read, and `warn` of the others."""
    found = []
    for place in places:
        try:
            found.append(_open_local(place) if place.kind == LOCAL else _open_remote(place, access, platform))
        except NotFound:
            warn(f"there is no build cache in {place}; the build goes on without it")
        except (DaemonlessError, OSError) as error:
            reason = error.message if isinstance(error, DaemonlessError) else error.strerror
            warn(f"the build cache {place} is of no use: {reason}")
    return found


def location_of(path: str) -> Location:
    """Return where in the file system a cache lies: in a directory, or in an archive."""
    is_file = os.path.exists(path) and not stat.S_ISDIR(os.stat(path).st_mode)
    return Location(transport=OCI_ARCHIVE if is_file else OCI, path=path, image=CACHE_NAME)


class _Opened:
    """A source whose files somebody else keeps open."""

    def __init__(self, images: LocalImages) -> None:
        self._images = images
        self.name = images.only.name
        self.references = images.only.references
        self.fetch_manifest = images.only.fetch_manifest
        self.open_blob = images.only.open_blob

    def close(self) -> None:
        """Leave them open."""


def _open_local(place: Place) -> ForeignCache:
    """Open a cache in files. They stay open until the process ends, so they may be removed meanwhile."""
    opened = _Opened(open_local(location_of(place.path)))
    return ForeignCache(str(place), read_list(opened, str(place)), lambda: opened)


def read_list(source: Source, name: str) -> CacheList:
    """Return what the cache that a source stands for has. Raises DaemonlessError."""
    fetched = source.fetch_manifest()
    document = parse_document(fetched.data, fetched.content_type, what=f"the manifest of {name}")
    if not isinstance(document, Manifest) or document.config.media_type != CACHE_CONFIG:
        raise NoCache("it is not a build cache of this program")
    return _read_config(source, document, name)


def _read_config(source: Source, manifest: Manifest, name: str) -> CacheList:
    if manifest.config.size > MAX_CACHE_LIST:
        raise InvalidData(f"its list is larger than {MAX_CACHE_LIST} bytes")
    with source.open_blob(manifest.config) as blob:
        return parse_cache_list(blob.read_all(), f"the list of {name}")


def _open_remote(place: Place, access: Access, platform: Platform) -> ForeignCache:
    """Read a cache, or an image with one in it, from its registry."""
    failure = NotFound("there is none")
    for reference in place.references:

        def connect(reference: Reference = reference) -> Source:
            return open_registry_source(reference, access.connect)

        source = connect()
        try:
            return ForeignCache(str(place), _read_remote(source, platform), connect)
        except NotFound as error:
            failure = error
        finally:
            source.close()
    raise failure


def _read_remote(source: Source, platform: Platform) -> CacheList:
    resolved = resolve(source, platform)
    manifest = resolved.manifest
    if manifest.config.media_type == CACHE_CONFIG:
        return _read_config(source, manifest, source.name)
    with source.open_blob(manifest.config) as blob:
        config = parse_config(blob.read_all(), what=f"the config of {source.name}")
    if INLINE not in config:
        raise InvalidData(f"it is an image that was not built with {INLINE_CACHE}")
    pair_layers(manifest, diff_ids(config), source.name)
    layers = [
        StepLayer(descriptor=descriptor, diff_id=Digest(diff_id), size=descriptor.size)
        for descriptor, diff_id in zip(manifest.layers, diff_ids(config), strict=True)
    ]
    return parse_inline(config, layers, source.name)
