"""Making an image from local parts: layer archives, or a container's files, and a config."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from typing import Any, Protocol

from daemonless import failpoints, jsonio
from daemonless.config import Paths
from daemonless.errors import InvalidData, NotFound, printable
from daemonless.images import garbage
from daemonless.images.blobs import BlobStore, store_failed
from daemonless.images.formats import FORMATS, Format
from daemonless.images.leases import Lease
from daemonless.images.store import Image, ImageStore
from daemonless.isolation.task import Task
from daemonless.isolation.userns import IdMap, load_id_map
from daemonless.layers import trash
from daemonless.layers.compress import compress, wide_pipe
from daemonless.layers.store import LayerStore
from daemonless.layers.worker import UnpackPool
from daemonless.oci.digest import Digest, digest_of, new_hash
from daemonless.oci.image import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Descriptor, parse_config
from daemonless.oci.reference import Reference, parse_reference
from daemonless.record import Record

CHUNK = 1 << 20


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _StoredLayer(Record):
    descriptor: Descriptor
    diff_id: Digest


def add_image(
    paths: Paths, name: str, layers: list[str], config: dict[str, Any], *, id_map: IdMap | None = None
) -> Image:
    """Make an image of layer archives (paths of tar or tar.gz, bottom first) and return it.

    `config` is an OCI image config without `rootfs`, which follows from the layers. The image is
    named `name`. The caller must have a single thread. Raises InvalidData for an unusable archive
    or config, UsageError for a name that is none.
    """
    reference = parse_reference(name)
    store = ImageStore(paths.data)
    id_map = id_map or load_id_map(os.getuid(), os.getgid())
    try:
        store.blobs.prepare()
        store.blobs.sweep()
        with Lease(paths.data) as lease, UnpackPool(paths.data, id_map) as pool:
            stored = [_store_layer(store.blobs, lease, path) for path in layers]
            unpacked = LayerStore(paths.data, id_map.key)
            for layer in stored:
                if not unpacked.has(layer.diff_id):
                    descriptor = layer.descriptor
                    pool.submit(store.blobs.path(descriptor.digest), layer.diff_id, descriptor.media_type)
            pool.wait()
            config_data = _config(config, stored, what=f"the config of {name}")
            config_descriptor = _describe(store.blobs, lease, OCI_CONFIG, config_data)
            manifest_data = FORMATS["oci"].manifest_of(
                config_descriptor, [each.descriptor for each in stored]
            )
            descriptor = _describe(store.blobs, lease, OCI_MANIFEST, manifest_data)
            size = sum(unpacked.size(diff_id) for diff_id in {layer.diff_id for layer in stored})
            store.add(reference, descriptor, size=size)
            # not looked up: a prune may have taken it from the list already
            return store.unlisted(descriptor).replace(names=(str(reference),), size=size)
    except OSError as error:
        raise store_failed(f"make image {reference}", error) from error


class Draft(Record):
    """An image that is to be made of the layers of another and one more, or of that one alone."""

    reference: Reference | None  # the name it gets
    base: tuple[tuple[Descriptor, str], ...]  # the other's layers, bottom first, with their diff_ids
    config: dict[str, Any]  # of the new image, without rootfs
    format: Format
    id_map: IdMap  # for which the new layer is unpacked


def add_layer(
    paths: Paths, draft: Draft, start_writing: Callable[[int], Task], say: Callable[[str], None]
) -> tuple[str, list[str]]:
    """Make the image of `draft`; return its id, and what was left out of its layer.

    `start_writing` starts a task that writes the layer's archive to a descriptor and returns
    warnings; `say` is told what has been written. The image is listed when all of it is in place
    and its layer unpacked; a failure before leaves nothing. The caller must have a single thread.
    Raises what the task raises, or DaemonlessError about the store.
    """
    store = ImageStore(paths.data)
    lease = Lease(paths.data)
    maker = _Maker(store, LayerStore(paths.data, draft.id_map.key), lease)
    try:
        store.blobs.prepare()
        store.blobs.sweep()
        try:
            with lease:
                return maker.make(paths, draft, start_writing, say)
        except BaseException:
            maker.undo()
            raise
    except OSError as error:
        raise store_failed("make the image", error) from error


class _Maker:
    """Makes one image, and knows what to take back if that fails."""

    def __init__(self, store: ImageStore, layers: LayerStore, lease: Lease) -> None:
        self._store = store
        self._layers = layers
        self._lease = lease
        self._new_blobs: set[str] = set()
        self._new_layers: set[str] = set()

    def make(
        self, paths: Paths, draft: Draft, start_writing: Callable[[int], Task], say: Callable[[str], None]
    ) -> tuple[str, list[str]]:
        for descriptor, diff_id in draft.base:
            self._lease.keep(descriptor.digest, diff_id)
        with UnpackPool(paths.data, draft.id_map) as pool:
            layer, told = self._store_layer(pool, draft.format, start_writing)
        say(f"Layer {layer.descriptor.digest.short}: {layer.descriptor.size / 1e6:.1f} MB, done")
        form = draft.format
        below = [
            _StoredLayer(descriptor=form.adapt(descriptor), diff_id=Digest(diff_id))
            for descriptor, diff_id in draft.base
        ]
        stored = [*below, layer]
        config_data = _config(draft.config, stored, what="the config of the new image")
        config = self._add_document(form.config, config_data)
        descriptor = self._add_document(form.manifest, form.manifest_of(config, _descriptors(stored)))
        size = sum(self._layers.size(diff_id) for diff_id in {each.diff_id for each in stored})

        def is_complete() -> bool:
            needed = (descriptor, config, *(each.descriptor for each in stored))
            return self._store.blobs.has_all(needed) and self._layers.has_all(each.diff_id for each in stored)

        failpoints.reach("commit.list")
        if not self._store.add(draft.reference, descriptor, size=size, is_complete=is_complete):
            raise NotFound("a layer of the image was removed meanwhile", "pull the container's image again")
        return config.digest.hex, told + pool.warnings

    def _store_layer(
        self, pool: UnpackPool, form: Format, start_writing: Callable[[int], Task]
    ) -> tuple[_StoredLayer, list[str]]:
        """Archive, compress, store and unpack the new layer."""
        read_end, write_end = wide_pipe()
        with open(read_end, "rb", buffering=0), start_writing(write_end) as task:
            os.close(write_end)
            with self._store.blobs.stage() as staged:
                packed = compress(read_end, staged.write)
                told: list[str] = task.wait()
                media_type = form.layer_type("gzip")
                self._lease.keep(packed.digest, packed.diff_id)
                failpoints.reach("commit.layer")
                if not self._layers.has(packed.diff_id):
                    self._new_layers.add(packed.diff_id)
                    pool.submit(staged.path, packed.diff_id, media_type)
                    pool.wait()
                failpoints.reach("commit.unpacked")
                if not self._store.blobs.is_intact(packed.digest, packed.size):
                    self._new_blobs.add(packed.digest)
                    staged.commit(packed.digest)
                    staged.sync()
        descriptor = Descriptor(media_type=media_type, digest=packed.digest, size=packed.size)
        return _StoredLayer(descriptor=descriptor, diff_id=packed.diff_id), told

    def _add_document(self, media_type: str, data: bytes) -> Descriptor:
        digest = digest_of(data)
        if not self._store.blobs.has(digest, len(data)):
            self._new_blobs.add(digest)
        return _describe(self._store.blobs, self._lease, media_type, data)

    def undo(self) -> None:
        """Throw away what has been stored for the image, unless another uses it by now."""
        if self._new_blobs or self._new_layers:
            new = self._new_blobs | self._new_layers
            garbage.discard_unneeded(self._store, new, garbage.nobody)
            trash.empty_in_background(self._store.data)


def _descriptors(layers: list[_StoredLayer]) -> list[Descriptor]:
    return [layer.descriptor for layer in layers]


def _config(config: dict[str, Any], layers: list[_StoredLayer], *, what: str) -> bytes:
    """Return a config document completed with its layers; raises InvalidData if it is unusable."""
    rootfs = {"type": "layers", "diff_ids": [str(layer.diff_id) for layer in layers]}
    data = jsonio.dumps({**config, "rootfs": rootfs}).encode()
    parse_config(data, what=what)
    return data


def _describe(blobs: BlobStore, lease: Lease, media_type: str, data: bytes) -> Descriptor:
    lease.keep(digest_of(data))
    return Descriptor(media_type=media_type, digest=blobs.add(data), size=len(data))


def _store_layer(blobs: BlobStore, lease: Lease, path: str) -> _StoredLayer:
    """Copy an archive into the store, unless it is there already, and find its diff_id."""
    with open(path, "rb") as file:
        magic = file.read(2)
        file.seek(0)
        digest = _hash(file)
        size = file.tell()
        file.seek(0)
        compressed = magic == b"\x1f\x8b"
        try:
            diff_id = _hash(gzip.GzipFile(fileobj=file)) if compressed else digest
        except (EOFError, gzip.BadGzipFile) as error:
            raise InvalidData(f"{printable(path)} is not a complete gzip file: {error}") from None
    lease.keep(digest, diff_id)
    if not blobs.is_intact(digest, size):
        with open(path, "rb") as file, blobs.stage(digest) as staged:
            _each_chunk(file, staged.write)
            staged.commit()
            staged.sync()
    media_type = OCI_LAYER + ("+gzip" if compressed else "")
    descriptor = Descriptor(media_type=media_type, digest=digest, size=size)
    return _StoredLayer(descriptor=descriptor, diff_id=diff_id)


def _hash(file: _Source) -> Digest:
    state = new_hash("sha256")
    _each_chunk(file, state.update)
    return Digest(f"sha256:{state.hexdigest()}")


def _each_chunk(file: _Source, consume: Callable[[bytes], object]) -> None:
    while data := file.read(CHUNK):
        consume(data)
