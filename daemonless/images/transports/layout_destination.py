"""oci: and oci-archive: - images written to an OCI image layout (image-spec, image-layout.md)."""

from __future__ import annotations

from typing import Any

from daemonless import jsonio
from daemonless.errors import NotFound
from daemonless.images.transports.destination import Accepts, Advance, Open, verified
from daemonless.images.transports.files import Directory, blob_name, read
from daemonless.images.transports.output_archive import OutputArchive
from daemonless.images.transports.output_directory import OutputDirectory
from daemonless.oci.digest import digest_of
from daemonless.oci.image import MAX_DOCUMENT, OCI_INDEX, REF_NAME, Descriptor, Index, parse_document

_VERSION = b'{"imageLayoutVersion":"1.0.0"}'


class LayoutDirectory:
    """A layout in a directory, to which an image is added as `image`, a name or nothing.

    The name is taken from the image that had it. Its index is written last.
    """

    accepts = Accepts(formats=("oci",), at_once=2)

    def __init__(self, output: OutputDirectory, image: str) -> None:
        self.name = f"oci:{output.name}" + (f":{image}" if image else "")
        self._output = output
        self._image = image

    def find_blob(self, descriptor: Descriptor) -> str:
        """Look for it among the layout's blobs."""
        return "already there" if self._output.has(blob_name(descriptor.digest), descriptor.size) else ""

    def put_blob(self, descriptor: Descriptor, open_at: Open, progress: Advance) -> None:
        """Copy it."""
        self._output.write(blob_name(descriptor.digest), verified(descriptor, open_at, progress))

    def put_manifest(self, data: bytes, media_type: str) -> None:
        """Write the manifest and list it."""
        new = _entry(data, media_type, self._image)
        self._output.write(blob_name(new.digest), [data])
        entries = [entry for entry in self._entries() if not self._is_replaced(entry, new)]
        self._output.write("oci-layout", [_VERSION])
        self._output.write("index.json", [_index([*entries, new])])

    def put_member(self, data: bytes, media_type: str) -> None:
        """Write the manifest."""
        self._output.write(blob_name(digest_of(data)), [data])

    def _is_replaced(self, entry: Descriptor, new: Descriptor) -> bool:
        name = entry.annotation(REF_NAME)
        return name == self._image if self._image else not name and entry.digest == new.digest

    def _entries(self) -> tuple[Descriptor, ...]:
        files = Directory(self._output.fd, self._output.name)
        try:
            data = read(files, "index.json", MAX_DOCUMENT)
        except NotFound:
            return ()
        index = parse_document(data, OCI_INDEX, what=f"index.json of {self._output.name}")
        assert isinstance(index, Index)  # what OCI_INDEX announces cannot be anything else
        return index.manifests


class LayoutArchive:
    """A layout in an archive; images are added to the list that `finish` writes."""

    def __init__(self, output: OutputArchive) -> None:
        self._output = output
        self._entries: list[Descriptor] = []

    def image(self, name: str) -> LayoutArchiveImage:
        """Return where an image goes that is to be called `name`, or nothing."""
        return LayoutArchiveImage(self._output, name, self._entries)

    def finish(self) -> None:
        """Complete the archive."""
        self._output.write("oci-layout", len(_VERSION), [_VERSION])
        data = _index(self._entries)
        self._output.write("index.json", len(data), [data])
        self._output.finish()


class LayoutArchiveImage:
    """One image of a LayoutArchive."""

    accepts = Accepts(formats=("oci",))

    def __init__(self, output: OutputArchive, image: str, entries: list[Descriptor]) -> None:
        self.name = f"oci-archive:{output.name}" + (f":{image}" if image else "")
        self._output = output
        self._image = image
        self._entries = entries

    def find_blob(self, descriptor: Descriptor) -> str:
        """Look for it in what has been written."""
        return "already there" if blob_name(descriptor.digest) in self._output.written else ""

    def put_blob(self, descriptor: Descriptor, open_at: Open, progress: Advance) -> None:
        """Copy it."""
        chunks = verified(descriptor, open_at, progress)
        self._output.write(blob_name(descriptor.digest), descriptor.size, chunks)

    def put_manifest(self, data: bytes, media_type: str) -> None:
        """Write the manifest, to be listed at the end."""
        self.put_member(data, media_type)
        self._entries.append(_entry(data, media_type, self._image))

    def put_member(self, data: bytes, media_type: str) -> None:
        """Write the manifest."""
        name = blob_name(digest_of(data))
        if name not in self._output.written:
            self._output.write(name, len(data), [data])


def _entry(data: bytes, media_type: str, image: str) -> Descriptor:
    annotations = ((REF_NAME, image),) if image else ()
    return Descriptor(media_type=media_type, digest=digest_of(data), size=len(data), annotations=annotations)


def _index(entries: list[Descriptor]) -> bytes:
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [entry.to_json() for entry in entries],
    }
    return jsonio.dumps(document).encode()
