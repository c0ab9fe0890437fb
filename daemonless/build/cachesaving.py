"""`--cache-to`: the steps of a build, and the content of its cache mounts, go to a cache elsewhere.

A place keeps what it had: the two are merged, and what was not used for longest goes first where the
result would be too large. What a cache lists is there before the list is, and the list
is replaced in one step, so whoever reads meanwhile, or whoever is killed, sees the one or the other.
"""

from __future__ import annotations

import io
import os
import time
from contextlib import ExitStack

from daemonless import failpoints, jsonio
from daemonless.build.cacheplaces import LOCAL, Place
from daemonless.build.caches import CACHE_NAME, NoCache, location_of, read_list
from daemonless.build.mountarchives import pack
from daemonless.errors import DaemonlessError, NotFound, printable
from daemonless.images.blobs import BlobStore
from daemonless.images.cachelist import CACHE_CONFIG, CacheList, manifest_of
from daemonless.images.push import Origins
from daemonless.images.recompression import FileReader, reads_stored
from daemonless.images.store import ImageStore
from daemonless.images.transports.destination import Destination, Open
from daemonless.images.transports.files import Directory, blob_name, read
from daemonless.images.transports.layout_destination import LayoutArchive, LayoutDirectory
from daemonless.images.transports.opening import open_local
from daemonless.images.transports.output_archive import OutputArchive
from daemonless.images.transports.output_directory import OutputDirectory
from daemonless.images.transports.registry import RegistryDestination, open_registry_source
from daemonless.images.transports.source import BlobReader, Source
from daemonless.oci.digest import Digest, digest_of
from daemonless.oci.image import (
    MAX_DOCUMENT,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Index,
    Manifest,
    parse_document,
)
from daemonless.registry.registries import load_registries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from contextlib import AbstractContextManager
    from typing import Protocol

    from daemonless.build.cachemounts import Cache
    from daemonless.config import Paths
    from daemonless.images.buildcache import CachedStep
    from daemonless.isolation.userns import IdMap
    from daemonless.registry.access import Access

    class _Output(Protocol):
        """A new file that replaces another when it is kept."""

        fd: int

        def keep(self) -> None: ...


class Saver:
    """What one build has to save; the caller holds a lease on its blobs, and has a single thread."""

    def __init__(
        self,
        paths: Paths,
        id_map: IdMap,
        access: Access,
        open_output: Callable[[str], AbstractContextManager[_Output]],
        damaged: Collection[str],
    ) -> None:
        """`open_output` opens a file that gets its name when it is kept; `damaged` blobs are made anew."""
        self._paths = paths
        self._id_map = id_map
        self._access = access
        self._open_output = open_output
        self._damaged = damaged
        self._warnings: list[str] = []
        self._blobs = BlobStore(paths.data)

    def save(self, place: Place, steps: Sequence[CachedStep], mounts: Sequence[Cache]) -> list[str]:
        """Save to one place; return warnings. A failure is one, and leaves the place as it was."""
        self._warnings = []
        try:
            self._save(place, steps, mounts)
        except (DaemonlessError, OSError) as error:
            reason = error.message if isinstance(error, DaemonlessError) else error.strerror
            self._warnings.append(f"the build cache was not saved to {place}: {reason}")
        return self._warnings

    def _save(self, place: Place, steps: Sequence[CachedStep], mounts: Sequence[Cache]) -> None:
        now = time.time()
        new = CacheList(steps=tuple(step.replace(used=now) for step in steps))
        with ExitStack() as stack:
            contents = _Contents(self._blobs)
            if place.kind != LOCAL:
                self._to_registry(stack, contents, place, new, mounts)
            elif os.path.isdir(place.path) or not place.path.endswith(".tar"):
                output = OutputDirectory(place.path)  # from here on nobody else writes to it
                stack.callback(output.close)
                for digest in self._damaged:
                    output.discard(blob_name(Digest(digest)))
                new = self._merged(stack, contents, place, new, mounts)
                _to_directory(output, new.without(contents.lacks), contents)
            else:
                new = self._merged(stack, contents, place, new, mounts).without(contents.lacks)
                with self._open_output(place.path) as file:
                    archive = LayoutArchive(OutputArchive(file.fd, str(place)))
                    _put(archive.image(CACHE_NAME), new, contents)
                    archive.finish()
                    file.keep()

    def _merged(
        self, stack: ExitStack, contents: _Contents, place: Place, new: CacheList, mounts: Sequence[Cache]
    ) -> CacheList:
        """Return what the place is to have: the new, and of the old what there is room for."""
        old = CacheList()
        try:
            source = self._open(stack, place)
            old = read_list(source, str(place)).without(lambda blob: blob.digest in self._damaged)
            contents.add_source(source, old)
        except NotFound:
            pass  # the first time
        except NoCache:
            raise
        except DaemonlessError as error:
            self._warnings.append(f"the build cache {place} is made anew: {error.message}")
        new = self._with_mounts(stack, contents, new, mounts, old)
        return new.merged(old).capped(place.max_size)

    def _open(self, stack: ExitStack, place: Place) -> Source:
        if place.kind == LOCAL:
            return stack.enter_context(open_local(location_of(place.path))).only
        source = open_registry_source(place.references[0], self._access.connect)
        stack.callback(source.close)
        return source

    def _with_mounts(
        self,
        stack: ExitStack,
        contents: _Contents,
        new: CacheList,
        mounts: Sequence[Cache],
        old: CacheList,
    ) -> CacheList:
        """Return the list with archives of the cache mounts; those in the old one that are as new stay."""
        before = {mount.name: mount.used for mount in old.mounts}
        archives = []
        for cache in mounts:
            name = cache.directory.rpartition("/")[2]
            if "." in name or before.get(name, -1.0) >= cache.used:  # one for a step that found it taken
                continue
            staged = stack.enter_context(self._blobs.stage())
            archive = pack(self._id_map, cache, staged)
            if archive is None:
                self._warnings.append(
                    f"the cache mount {printable(cache.id)} is not saved, a step is using it"
                )
                continue
            contents.add_file(archive.descriptor, staged.path)
            archives.append(archive)
        return new.replace(mounts=tuple(archives))

    def _to_registry(
        self, stack: ExitStack, contents: _Contents, place: Place, new: CacheList, mounts: Sequence[Cache]
    ) -> None:
        reference = place.references[0]
        client = self._access.connect(load_registries().destination(reference))
        stack.callback(client.close)
        origins = Origins(ImageStore(self._paths.data), self._paths, reference)
        destination = RegistryDestination(client, reference, origins)
        new = self._merged(stack, contents, place, new, mounts)
        _put(
            destination,
            new.without(lambda blob: contents.is_old(blob) and not destination.find_blob(blob)),
            contents,
        )


class _Contents:
    """Where the blobs are that a cache is to have."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._files: dict[str, str] = {}
        self._sources: dict[str, Source] = {}

    def add_file(self, descriptor: Descriptor, path: str) -> None:
        """Be told of a blob in a file of ours."""
        self._files[descriptor.digest] = path

    def add_source(self, source: Source, found: CacheList) -> None:
        """Be told of an older cache that stays open."""
        self._sources.update((descriptor.digest, source) for descriptor in found.blobs())

    def is_old(self, descriptor: Descriptor) -> bool:
        """Return whether only an older cache has a blob."""
        return descriptor.digest not in self._files and not self._blobs.has(
            descriptor.digest, descriptor.size
        )

    def lacks(self, descriptor: Descriptor) -> bool:
        """Return whether a blob is nowhere."""
        if not self.is_old(descriptor):
            return False
        source = self._sources.get(descriptor.digest)
        if source is None:
            return True
        try:
            with source.open_blob(descriptor):
                return False
        except DaemonlessError:
            return True

    def opens(self, descriptor: Descriptor) -> Open:
        """Return what opens a blob."""
        path = self._files.get(descriptor.digest)
        if path:
            return lambda offset: FileReader(os.open(path, os.O_RDONLY | os.O_CLOEXEC), offset)
        if self._blobs.has(descriptor.digest, descriptor.size):
            return reads_stored(self._blobs, descriptor)
        source = self._sources[descriptor.digest]
        return lambda offset: _Copied(source.open_blob(descriptor))


class _Copied:
    """A blob of an older cache, read from its start."""

    def __init__(self, blob: BlobReader) -> None:
        self._blob = blob
        self.read = blob.read

    def close(self) -> None:
        """Close it."""
        self._blob.__exit__(None, None, None)


def _put(destination: Destination, found: CacheList, contents: _Contents) -> None:
    """Put blobs, then the list of them, then what makes these the cache."""
    for descriptor in found.blobs():
        if not destination.find_blob(descriptor):
            destination.put_blob(descriptor, contents.opens(descriptor), _ignore)
    data = jsonio.dumps(found.to_json()).encode()
    config = Descriptor(media_type=CACHE_CONFIG, digest=digest_of(data), size=len(data))
    if not destination.find_blob(config):
        destination.put_blob(config, lambda offset: io.BytesIO(data[offset:]), _ignore)
    failpoints.reach("build.export")
    destination.put_manifest(manifest_of(found, config), OCI_MANIFEST)


def _ignore(count: int) -> None:
    """Be told how much has gone; there is no display for it."""


def _to_directory(output: OutputDirectory, found: CacheList, contents: _Contents) -> None:
    """Put the cache into a layout, and remove what only the one before needed, or a killed build left."""
    files = Directory(output.fd, output.name)
    try:
        _index(files)
    except NotFound:
        pass
    except DaemonlessError:
        output.remove("index.json")
    _put(LayoutDirectory(output, CACHE_NAME), found, contents)
    index = _index(files)
    if len(index.manifests) > 1:
        return  # there are images beside the cache, which may need anything
    needed = {descriptor.digest.hex for descriptor in found.blobs()}
    for descriptor in index.manifests:
        manifest = parse_document(read(files, blob_name(descriptor.digest), MAX_DOCUMENT), what="a manifest")
        assert isinstance(manifest, Manifest)  # it has just been written
        needed |= {descriptor.digest.hex, manifest.config.digest.hex}
    directory = os.open("blobs/sha256", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=output.fd)
    try:
        for name in set(os.listdir(directory)) - needed:
            output.remove(f"blobs/sha256/{name}")
    finally:
        os.close(directory)


def _index(files: Directory) -> Index:
    """Return the list of what is in a layout. Raises NotFound or InvalidData."""
    index = parse_document(read(files, "index.json", MAX_DOCUMENT), OCI_INDEX, what="index.json")
    assert isinstance(index, Index)  # what OCI_INDEX announces cannot be anything else
    return index
