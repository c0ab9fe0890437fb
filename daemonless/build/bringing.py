"""How a layer, or the content of a cache mount, comes into the store from a cache elsewhere.

For a process of its own, with a single thread. What arrives is foreign: a blob counts when its digest
is right, a layer when its diff_id is, and both are unpacked by the strict readers that
pulls and imports of volumes use.
"""

from __future__ import annotations

import os

from daemonless import failpoints
from daemonless.build.caches import ForeignCache
from daemonless.errors import DaemonlessError, InvalidData
from daemonless.files import sync
from daemonless.images.blobs import BlobStore, Staged, store_failed
from daemonless.images.buildcache import StepLayer
from daemonless.layers.incoming import decompressed, reader
from daemonless.layers.store import LayerStore
from daemonless.layers.worker import UnpackPool
from daemonless.oci.digest import new_hash
from daemonless.oci.image import Descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.config import Paths
    from daemonless.isolation.userns import IdMap

_CHUNK = 1 << 20


def bring_layer(paths: Paths, id_map: IdMap, layer: StepLayer, cache: ForeignCache | None) -> None:
    """Have a layer, which the caller has leased, in the store and unpacked; None: its blob is there.

    Raises DaemonlessError.
    """
    blobs, descriptor = BlobStore(paths.data), layer.descriptor
    try:
        blobs.prepare()
        if blobs.is_intact(descriptor.digest, descriptor.size):
            sync(blobs.path(descriptor.digest))
        elif cache is None:
            raise InvalidData(f"blob {descriptor.digest} is damaged")
        else:
            with blobs.stage(descriptor.digest) as staged:
                fetch(cache, descriptor, staged)
                failpoints.reach("build.import")
                staged.commit()
                staged.sync()
        if LayerStore(paths.data, id_map.key).has(layer.diff_id):
            _check(blobs.path(descriptor.digest), layer)
        else:
            with UnpackPool(paths.data, id_map) as pool:
                pool.submit(blobs.path(descriptor.digest), layer.diff_id, descriptor.media_type)
                pool.wait()
    except OSError as error:
        raise store_failed("store what a build cache has", error) from error


def _check(path: str, layer: StepLayer) -> None:
    """Raise InvalidData unless a blob is the layer that it is said to be; unpacking finds that out, too."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    state = new_hash(layer.diff_id.algorithm)
    try:
        for chunk in decompressed(reader(fd)):
            state.update(chunk)
    finally:
        os.close(fd)
    if state.hexdigest() != layer.diff_id.hex:
        raise InvalidData(f"blob {layer.descriptor.digest} is not layer {layer.diff_id.short}")


def fetch(cache: ForeignCache, descriptor: Descriptor, staged: Staged) -> None:
    """Write a blob of a cache; it is verified when this returns. Raises DaemonlessError or OSError."""
    source = cache.open()
    try:
        with source.open_blob(descriptor) as blob:
            while data := blob.read(_CHUNK):
                staged.write(data)
    except DaemonlessError as error:
        raise DaemonlessError(f"{cache.name}: {error.message}", error.hint) from error
    finally:
        source.close()
