"""From an image elsewhere to an image on this machine: pull.

    resolve -> manifest -> config, and layers in parallel: download, verify, unpack -> name

Nothing is named until everything is in place and on disk, so a pull that fails, or is killed,
leaves no image; finished blobs and layers stay and are not fetched again.
"""

from __future__ import annotations

from collections.abc import Iterable

from daemonless.config import Paths
from daemonless.errors import DaemonlessError, InvalidData, NotFound, Unsupported, printable
from daemonless.files import sync
from daemonless.images import partial
from daemonless.images.blobs import BlobStore, store_failed
from daemonless.images.download import Downloads
from daemonless.images.leases import Lease
from daemonless.images.progress import Progress, Silent
from daemonless.images.store import Image, ImageStore
from daemonless.images.transports.registry import open_registry_source
from daemonless.images.transports.source import Source
from daemonless.isolation.userns import IdMap
from daemonless.layers import trash
from daemonless.layers.store import LayerStore
from daemonless.layers.worker import UnpackPool
from daemonless.oci.digest import Digest
from daemonless.oci.image import (
    MAX_DOCUMENT,
    Descriptor,
    Index,
    Manifest,
    Platform,
    choose_manifest,
    diff_ids,
    host_platform,
    is_suitable,
    layer_compression,
    parse_config,
    parse_document,
    platform_of_config,
)
from daemonless.oci.reference import Reference, parse_reference
from daemonless.record import Record
from daemonless.registry.access import Access

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ATTEMPTS = 3  # when somebody removed, by hand, what was about to be named


class Resolved(Record):
    """What a reference turned out to mean for one platform."""

    source_digest: Digest  # what the registry gave for the reference itself
    data: bytes
    descriptor: Descriptor
    manifest: Manifest


class Layer(Record):
    """A layer as it is transferred and as it is unpacked."""

    descriptor: Descriptor
    diff_id: Digest


def pull(
    reference: str | Reference,
    paths: Paths,
    pool: UnpackPool,
    *,
    platform: Platform | None = None,
    progress: Progress | None = None,
    access: Access = Access(),  # noqa: B008 - it is frozen
) -> Image:
    """Fetch an image from its registry, or a mirror of it, have `pool` unpack its layers, and return it.

    `platform` defaults to this machine's. Raises NotFound, Unsupported, InvalidData, UsageError, or
    the errors of `daemonless.registry.errors`; the store is then as it was, but for complete blobs
    and layers.
    """
    if isinstance(reference, str):
        reference = parse_reference(reference)
    source = open_registry_source(reference, access.connect)
    try:
        return pull_from(source, paths, pool, platform=platform, progress=progress)
    finally:
        source.close()


def pull_from(
    source: Source,
    paths: Paths,
    pool: UnpackPool,
    *,
    platform: Platform | None = None,
    progress: Progress | None = None,
    foreign: bool = False,
) -> Image:
    """Fetch the image that `source` stands for, give it the source's names and return it.

    With `foreign` an image that is not one of several may be for any platform. Raises as `pull` does.
    """
    progress = progress or Silent()
    wanted = platform or host_platform()
    try:
        ImageStore(paths.data).blobs.prepare()
        pool.start()
        with Lease(paths.data) as lease, progress:
            for _ in range(ATTEMPTS):
                image = _Pull(source, paths, pool, progress, lease).run(wanted, foreign=foreign)
                if image:
                    return image
    except OSError as error:
        raise store_failed(f"store image {source.name}", error) from error
    finally:
        trash.empty_in_background(paths.data)  # layers that another pull had ready first
    raise DaemonlessError(
        f"cannot store image {source.name}: it was removed while it was pulled", "try again"
    )


class _Pull:
    """One attempt to pull one image."""

    def __init__(
        self, source: Source, paths: Paths, pool: UnpackPool, progress: Progress, lease: Lease
    ) -> None:
        self.source = source
        self.pool = pool
        self.progress = progress
        self.lease = lease
        self.store = ImageStore(paths.data)
        self.blobs = self.store.blobs
        self.layers = LayerStore(paths.data, pool.id_map.key)

    def run(self, wanted: Platform, *, foreign: bool) -> Image | None:
        """Pull; None means that something was removed before it could be named, or at once after it."""
        self.blobs.sweep()
        partial.sweep(self.blobs)
        name = self.source.name
        resolved = resolve(self.source, wanted)
        manifest = resolved.manifest
        blobs = {layer.digest: layer for layer in manifest.layers}
        for blob in blobs.values():
            layer_compression(blob.media_type)
        self.lease.keep(resolved.descriptor.digest, manifest.config.digest, *blobs)
        with Downloads(self.source, self.blobs, self.progress) as downloads:
            missing = self._missing(blobs.values())
            downloads.begin(missing)
            config_data = self._config(manifest)  # while they come
            config = parse_config(config_data, what=f"the config of {name}")
            if not foreign or resolved.source_digest != resolved.descriptor.digest:
                _check_platform(config, wanted, name)
            layers = pair_layers(manifest, diff_ids(config), name)
            self.lease.keep(*(layer.diff_id for layer in layers))
            by_digest = {layer.descriptor.digest: layer for layer in layers}
            coming = {each.digest for each in missing}
            for layer in layers:
                if layer.descriptor.digest not in coming:
                    self._unpack(layer)
            for digest in downloads.finished():
                self.progress.finish(digest, "done")
                self._unpack(by_digest[digest])
        self.pool.wait()
        self.blobs.add_all(config_data, resolved.data)
        size = sum(self.layers.size(layer.diff_id) for layer in layers)
        for reference in self.source.references or (None,):
            named = self.store.add(
                reference,
                resolved.descriptor,
                size=size,
                source_digest=resolved.source_digest,
                is_complete=lambda: self._is_complete(resolved, layers),
            )
            if not named:
                return None
        try:
            return self.store.resolve(str(reference) if reference else resolved.descriptor.digest)
        except NotFound:
            return None

    def _config(self, manifest: Manifest) -> bytes:
        if manifest.config.size > MAX_DOCUMENT:
            raise InvalidData(f"the config of {self.source.name} is larger than {MAX_DOCUMENT} bytes")
        if self.blobs.is_intact(manifest.config.digest, manifest.config.size):
            return self.blobs.read(manifest.config.digest)
        with self.source.open_blob(manifest.config) as blob:
            return blob.read_all()

    def _missing(self, blobs: Iterable[Descriptor]) -> list[Descriptor]:
        """Return those that have to be downloaded."""
        used = self.store.uses()
        missing = []
        for blob in blobs:
            self.progress.add(blob.digest, blob.size)
            if self._is_here(blob, used):
                self.progress.finish(blob.digest, "already here")
            else:
                missing.append(blob)
        return missing

    def _is_here(self, descriptor: Descriptor, used: set[str]) -> bool:
        """Return whether a layer is in the store, whole and on disk."""
        if not self.blobs.has(descriptor.digest, descriptor.size):
            return False
        if descriptor.digest in used:
            return True
        # a blob that no image uses may be from before a crash, so its bytes are looked at
        if self.blobs.is_intact(descriptor.digest, descriptor.size):
            sync(self.blobs.path(descriptor.digest))
            return True
        self.blobs.remove(descriptor.digest)
        return False

    def _unpack(self, layer: Layer) -> None:
        if not self.layers.has(layer.diff_id):
            path = self.blobs.path(layer.descriptor.digest)
            self.pool.submit(path, layer.diff_id, layer.descriptor.media_type)

    def _is_complete(self, resolved: Resolved, layers: list[Layer]) -> bool:
        descriptors = (resolved.descriptor, resolved.manifest.config, *(each.descriptor for each in layers))
        return self.blobs.has_all(descriptors) and self.layers.has_all(each.diff_id for each in layers)


def resolve(source: Source, wanted: Platform) -> Resolved:
    """Ask what a source stands for, through one index at most; errors as for `pull`."""
    fetched = source.fetch_manifest()
    source_digest = fetched.digest
    document = parse_document(fetched.data, fetched.content_type, what=f"the manifest of {source.name}")
    platform = None
    if isinstance(document, Index):
        chosen = choose_manifest(document, wanted, what=source.name)
        platform = chosen.platform
        fetched = source.fetch_manifest(chosen.digest, size=chosen.size)
        document = parse_document(
            fetched.data, fetched.content_type, what=f"the manifest of {source.name} for {wanted}"
        )
        if isinstance(document, Index):
            raise Unsupported(f"{source.name} is an index of indexes")
        if chosen.media_type and chosen.media_type != document.media_type:
            raise InvalidData(f"the manifest of {source.name} is not of the media type its index announces")
    descriptor = Descriptor(
        media_type=document.media_type, digest=fetched.digest, size=len(fetched.data), platform=platform
    )
    return Resolved(source_digest=source_digest, data=fetched.data, descriptor=descriptor, manifest=document)


def pair_layers(manifest: Manifest, diffs: tuple[Digest, ...], name: str) -> list[Layer]:
    """Return the manifest's layers with the config's diff_ids, each pair once; `name` is the image's.

    Raises InvalidData if the two documents do not fit, Unsupported for unknown layer types.
    """
    if len(manifest.layers) != len(diffs):
        raise InvalidData(
            f"{name} has {len(manifest.layers)} layers in its manifest but {len(diffs)} in its config"
        )
    pairs: dict[Digest, Layer] = {}
    for descriptor, diff_id in zip(manifest.layers, diffs, strict=True):
        layer_compression(descriptor.media_type)
        known = pairs.setdefault(descriptor.digest, Layer(descriptor=descriptor, diff_id=diff_id))
        if known.diff_id != diff_id or known.descriptor.size != descriptor.size:
            raise InvalidData(f"{name} gives two meanings to layer {descriptor.digest}")
    return list(pairs.values())


def _check_platform(config: dict[str, Any], wanted: Platform, name: str) -> None:
    stated = platform_of_config(config)
    if stated and not is_suitable(wanted, stated):
        raise NotFound(
            f"{name} is an image for {printable(str(stated))}, not for {wanted}",
            f"to have it anyway: --platform {printable(str(stated))}",
        )


def unpack_for(image: Image, paths: Paths, id_map: IdMap) -> None:
    """Make sure the layers of an image on this machine are unpacked with this id map.

    The caller must have a single thread. Raises NotFound if a blob is gone, or what unpacking
    raises.
    """
    layers = LayerStore(paths.data, id_map.key)
    blobs = BlobStore(paths.data)
    missing = [pair for pair in zip(image.layers, image.diff_ids, strict=True) if not layers.has(pair[1])]
    if not missing:
        return
    try:
        with UnpackPool(paths.data, id_map) as pool:
            for descriptor, diff_id in dict.fromkeys(missing):
                if not blobs.has(descriptor.digest, descriptor.size):
                    raise NotFound(f"blob {descriptor.digest} is missing", "pull the image again")
                pool.submit(blobs.path(descriptor.digest), diff_id, descriptor.media_type)
            pool.wait()
    except OSError as error:
        raise store_failed(f"unpack image {image.id}", error) from error
