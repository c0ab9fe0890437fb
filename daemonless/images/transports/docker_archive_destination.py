"""docker-archive: - images written as `docker save` writes them (see docker_archive).

Layers are plain archives called by their diff_id. What docker before 1.10 read is left out: the
file `repositories` and a directory for each layer.
"""

from __future__ import annotations

from typing import Any

from daemonless import jsonio
from daemonless.images.transports.destination import Accepts, Advance, Open, verified
from daemonless.images.transports.output_archive import OutputArchive
from daemonless.oci.image import DOCKER_CONFIG, Descriptor, Manifest, parse_document


class DockerArchive:
    """An archive of images; they are added to the list that `finish` writes."""

    def __init__(self, output: OutputArchive) -> None:
        self._output = output
        self._items: list[dict[str, Any]] = []

    def image(self, tags: tuple[str, ...]) -> DockerArchiveImage:
        """Return where an image goes that is to have these names."""
        return DockerArchiveImage(self._output, tags, self._items)

    def finish(self) -> None:
        """Complete the archive."""
        data = jsonio.dumps(self._items).encode()
        self._output.write("manifest.json", len(data), [data])
        self._output.finish()


class DockerArchiveImage:
    """One image of a DockerArchive."""

    accepts = Accepts(formats=("docker",), plain_only=True)

    def __init__(self, output: OutputArchive, tags: tuple[str, ...], items: list[dict[str, Any]]) -> None:
        self.name = f"docker-archive:{output.name}"
        self._output = output
        self._tags = tags
        self._items = items

    def find_blob(self, descriptor: Descriptor) -> str:
        """Look for it in what has been written."""
        return "already there" if _member(descriptor) in self._output.written else ""

    def put_blob(self, descriptor: Descriptor, open_at: Open, progress: Advance) -> None:
        """Copy it."""
        self._output.write(_member(descriptor), descriptor.size, verified(descriptor, open_at, progress))

    def put_manifest(self, data: bytes, media_type: str) -> None:
        """Note what the image consists of, to be listed at the end."""
        manifest = parse_document(data, media_type)
        assert isinstance(manifest, Manifest)  # of one image
        config, layers = _member(manifest.config), [_member(layer) for layer in manifest.layers]
        for item in self._items:
            if item["Config"] == config:  # another name of an image that is there
                item["RepoTags"] += [tag for tag in self._tags if tag not in item["RepoTags"]]
                return
        self._items.append({"Config": config, "RepoTags": list(self._tags), "Layers": layers})


def _member(descriptor: Descriptor) -> str:
    suffix = "json" if descriptor.media_type == DOCKER_CONFIG else "tar"
    return f"{descriptor.digest.hex}.{suffix}"
