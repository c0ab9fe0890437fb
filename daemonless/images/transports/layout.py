"""oci: and oci-archive: - images in an OCI image layout (image-spec, image-layout.md)."""

from __future__ import annotations

from daemonless.errors import InvalidData, NotFound, Unsupported, printable
from daemonless.images.transports import names
from daemonless.images.transports.files import FileBlob, Files, blob_name, read
from daemonless.images.transports.location import OCI_ARCHIVE, Location
from daemonless.oci.digest import Digest, digest_of
from daemonless.oci.image import MAX_DOCUMENT, OCI_INDEX, REF_NAME, Descriptor, Fetched, Index, parse_document
from daemonless.oci.reference import Reference

_FULL_NAME = "io.containerd.image.name"  # what buildkit and containerd state besides the spec's name
_SHOWN = 5  # names in a message


class LayoutSource:
    """One entry of a layout's index; the files are its owner's to close."""

    def __init__(
        self, files: Files, descriptor: Descriptor, name: str, references: tuple[Reference, ...]
    ) -> None:
        self.name = name
        self.references = references
        self._files = files
        self._descriptor = descriptor

    def fetch_manifest(self, digest: Digest | None = None, *, size: int | None = None) -> Fetched:
        """Return what the entry points to, or another manifest of the layout."""
        wanted = digest or self._descriptor.digest
        expected = size if digest else self._descriptor.size
        data = read(self._files, blob_name(wanted), MAX_DOCUMENT)
        if expected is not None and len(data) != expected:
            raise InvalidData(f"the manifest of {self.name} has {len(data)} bytes instead of {expected}")
        actual = digest_of(data, wanted.algorithm)
        if actual != wanted:
            raise InvalidData(f"the manifest of {self.name} is corrupt: expected {wanted}, got {actual}")
        return Fetched(data=data, content_type="" if digest else self._descriptor.media_type, digest=wanted)

    def open_blob(self, descriptor: Descriptor) -> FileBlob:
        """Open a blob of the layout."""
        return FileBlob(self._files.open(blob_name(descriptor.digest)), descriptor, self._files.name)

    def close(self) -> None:
        """Close nothing: other sources read the same files."""


def layout_sources(files: Files, location: Location) -> list[LayoutSource]:
    """Return the image that a location of a layout names, or all that the layout's index lists.

    Raises NotFound, InvalidData or Unsupported.
    """
    if files.has("oci-layout") and b'"1.' not in (version := read(files, "oci-layout", 4096)):
        raise Unsupported(f"{files.name} is not a layout of version 1: {printable(version)}")
    data = read(files, "index.json", MAX_DOCUMENT)
    index = parse_document(data, OCI_INDEX, what=f"index.json of {files.name}")
    assert isinstance(index, Index)  # what OCI_INDEX announces cannot be anything else
    entries = index.manifests
    if location.image:
        entries = tuple(entry for entry in entries if entry.annotation(REF_NAME) == location.image)[:1]
        if not entries:
            listed = _listed(index)
            raise NotFound(
                f"{files.name} has no image called {location.image}", f"it has {listed}" if listed else ""
            )
    if not entries:
        raise NotFound(f"{files.name} has no images")
    return [
        LayoutSource(files, entry, _name(location, entry), _references(location, entry)) for entry in entries
    ]


def _listed(index: Index) -> str:
    found = [entry.annotation(REF_NAME) for entry in index.manifests if entry.annotation(REF_NAME)]
    return printable(", ".join(found[:_SHOWN])) + (" ..." if len(found) > _SHOWN else "")


def _name(location: Location, entry: Descriptor) -> str:
    image = entry.annotation(REF_NAME)
    return printable(str(location.replace(image=image) if image else location))


def _references(location: Location, entry: Descriptor) -> tuple[Reference, ...]:
    """Return the name an entry states; in a directory a bare tag is one of the directory's name."""
    stated = entry.annotation(_FULL_NAME) or entry.annotation(REF_NAME)
    if location.transport == OCI_ARCHIVE:
        return names.from_text(stated) if stated else ()
    if "/" in stated or ":" in stated:
        return names.from_text(stated)
    return names.from_path(location.path, stated)
