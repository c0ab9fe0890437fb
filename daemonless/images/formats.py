"""The two formats of image documents, OCI's and docker's, which differ in their media types only."""

from __future__ import annotations

from daemonless import jsonio
from daemonless.oci.image import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    layer_compression,
)
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_LAYERS = 127  # of an image that others are to read: docker's limit


class Format(Record):
    """The media types of an image's documents; layers append their compression to theirs."""

    manifest: str
    config: str
    layer: str
    separator: str

    def layer_type(self, compression: str) -> str:
        """Return the media type of a layer: "", "gzip" or "zstd"."""
        return self.layer + (self.separator + compression if compression else "")

    def manifest_of(
        self, config: Descriptor, layers: list[Descriptor], annotations: tuple[tuple[str, str], ...] = ()
    ) -> bytes:
        """Return the manifest (image-spec, manifest.md) of an image of these documents.

        Docker's manifests have no annotations.
        """
        manifest: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": self.manifest,
            "config": config.to_json(),
            "layers": [layer.to_json() for layer in layers],
        }
        if annotations and self.manifest == OCI_MANIFEST:
            manifest["annotations"] = dict(annotations)
        return jsonio.dumps(manifest).encode()

    def adapt(self, layer: Descriptor) -> Descriptor:
        """Return the descriptor of a layer of any image in these terms."""
        return layer.replace(media_type=self.layer_type(layer_compression(layer.media_type)))


FORMATS = {
    "oci": Format(manifest=OCI_MANIFEST, config=OCI_CONFIG, layer=OCI_LAYER, separator="+"),
    "docker": Format(manifest=DOCKER_MANIFEST, config=DOCKER_CONFIG, layer=DOCKER_LAYER, separator="."),
}
