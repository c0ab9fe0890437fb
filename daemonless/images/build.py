"""Making an image from local parts: layer archives and a config."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from typing import Any, Protocol

from daemonless import jsonio
from daemonless.config import Paths
from daemonless.errors import InvalidData, printable
from daemonless.images.blobs import BlobStore, store_failed
from daemonless.images.store import Image, ImageStore
from daemonless.isolation.userns import IdMap, load_id_map
from daemonless.layers.store import LayerStore
from daemonless.layers.worker import UnpackPool
from daemonless.oci.digest import Digest, new_hash
from daemonless.oci.image import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Descriptor, parse_config
from daemonless.oci.reference import parse_reference
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
        with UnpackPool(paths.data, id_map) as pool:
            stored = [_store_layer(store.blobs, path) for path in layers]
            unpacked = LayerStore(paths.data, id_map.key)
            for layer in stored:
                if not unpacked.has(layer.diff_id):
                    descriptor = layer.descriptor
                    pool.submit(store.blobs.path(descriptor.digest), layer.diff_id, descriptor.media_type)
            pool.wait()
        rootfs = {"type": "layers", "diff_ids": [str(layer.diff_id) for layer in stored]}
        config_data = jsonio.dumps({**config, "rootfs": rootfs}).encode()
        parse_config(config_data, what=f"the config of {name}")
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": _describe(store.blobs, OCI_CONFIG, config_data).to_json(),
            "layers": [layer.descriptor.to_json() for layer in stored],
        }
        descriptor = _describe(store.blobs, OCI_MANIFEST, jsonio.dumps(manifest).encode())
        size = sum(unpacked.size(diff_id) for diff_id in {layer.diff_id for layer in stored})
        store.add(reference, descriptor, size=size)
    except OSError as error:
        raise store_failed(f"make image {reference}", error) from error
    return store.resolve(str(reference))


def _describe(blobs: BlobStore, media_type: str, data: bytes) -> Descriptor:
    return Descriptor(media_type=media_type, digest=blobs.add(data), size=len(data))


def _store_layer(blobs: BlobStore, path: str) -> _StoredLayer:
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
