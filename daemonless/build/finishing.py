"""From the layers and the history of the last stage to an image of the store."""

from __future__ import annotations

from daemonless import failpoints, jsonio
from daemonless.config import Paths
from daemonless.errors import NotFound
from daemonless.images.buildcache import StepLayer
from daemonless.images.formats import FORMATS
from daemonless.images.leases import Lease
from daemonless.images.store import ImageStore
from daemonless.layers.store import LayerStore
from daemonless.oci.digest import digest_of
from daemonless.oci.image import Descriptor, parse_config
from daemonless.oci.reference import Reference
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Finished(Record):
    """An image that was built."""

    id: str  # digest of the config
    digest: str  # of the manifest
    descriptor: Descriptor  # of the manifest


def finish(
    paths: Paths,
    key: str,
    lease: Lease,
    config: dict[str, Any],
    layers: list[StepLayer],
    *,
    format: str,
    annotations: tuple[tuple[str, str], ...],
    references: tuple[Reference, ...],
    listed: bool,
) -> Finished:
    """Write the documents of an image whose layers are in the store, and list it under its names.

    Unless it is to be `listed` the lease alone keeps it.
    `config` is its config without rootfs, `key` that of the id map for which the layers are unpacked.
    Raises OSError, or NotFound if a layer was removed by hand meanwhile.
    """
    form = FORMATS[format]
    store = ImageStore(paths.data)
    rootfs = {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}
    config_data = jsonio.dumps({**config, "rootfs": rootfs}).encode()
    parse_config(config_data, what="the config of the new image")
    config_descriptor = Descriptor(
        media_type=form.config, digest=digest_of(config_data), size=len(config_data)
    )
    data = form.manifest_of(
        config_descriptor, [form.adapt(layer.descriptor) for layer in layers], annotations
    )
    descriptor = Descriptor(media_type=form.manifest, digest=digest_of(data), size=len(data))
    lease.keep(config_descriptor.digest, descriptor.digest)
    store.blobs.add_all(config_data, data)
    unpacked = LayerStore(paths.data, key)
    size = sum({layer.diff_id: layer.size for layer in layers}.values())

    def is_complete() -> bool:
        blobs = (descriptor, config_descriptor, *(layer.descriptor for layer in layers))
        return store.blobs.has_all(blobs) and unpacked.has_all(layer.diff_id for layer in layers)

    failpoints.reach("build.list")
    for reference in references or ((None,) if listed else ()):
        if _is_listed(store, reference, descriptor.digest):
            continue
        if not store.add(reference, descriptor, size=size, is_complete=is_complete):
            raise NotFound("a layer of the image was removed meanwhile", "build it again")
    return Finished(id=config_descriptor.digest, digest=descriptor.digest, descriptor=descriptor)


def _is_listed(store: ImageStore, reference: Reference | None, digest: str) -> bool:
    """Return whether nothing is to be done: the name stands for this very image already."""
    try:
        return store.resolve(str(reference) if reference else digest).digest == digest
    except NotFound:
        return False
