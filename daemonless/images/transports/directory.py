"""dir: - one image in a directory, as skopeo writes it.

manifest.json           the manifest, or an index
HEX.manifest.json       the manifests of an index
HEX                     config and layers, by digest
version                 "Directory Transport Version: 1.1"
"""

from __future__ import annotations

from daemonless.errors import InvalidData, printable
from daemonless.images.transports.files import Directory, FileBlob, read
from daemonless.images.transports.location import Location
from daemonless.oci.digest import Digest, digest_of
from daemonless.oci.image import MAX_DOCUMENT, Descriptor, Fetched
from daemonless.oci.reference import Reference

MANIFEST = "manifest.json"


def manifest_name(digest: Digest) -> str:
    """Return the name of one of the manifests of an index."""
    return f"{digest.hex}.{MANIFEST}"


class DirectorySource:
    """The image of a directory; the files are its owner's to close."""

    def __init__(self, files: Directory, location: Location) -> None:
        self.name = printable(str(location))
        self.references: tuple[Reference, ...] = ()  # nothing in it says what it is called
        self._files = files

    def fetch_manifest(self, digest: Digest | None = None, *, size: int | None = None) -> Fetched:
        """Return the manifest, or one of those of the index."""
        data = read(self._files, manifest_name(digest) if digest else MANIFEST, MAX_DOCUMENT)
        actual = digest_of(data, digest.algorithm if digest else "sha256")
        if digest and (actual != digest or (size is not None and size != len(data))):
            raise InvalidData(f"the manifest {digest} of {self.name} is corrupt: it is {actual}")
        return Fetched(data=data, content_type="", digest=actual)

    def open_blob(self, descriptor: Descriptor) -> FileBlob:
        """Open a blob of the directory."""
        return FileBlob(self._files.open(descriptor.digest.hex), descriptor, self._files.name)

    def close(self) -> None:
        """Close nothing: the files have an owner."""
