"""docker://: an image in a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemonless.oci.digest import Digest
from daemonless.oci.image import Descriptor, Fetched
from daemonless.oci.reference import Reference
from daemonless.registry.blob import Blob
from daemonless.registry.client import RegistryClient

if TYPE_CHECKING:
    from daemonless.oci.digest import Readable


class RegistrySource:
    """An image that is called `reference`, fetched through `client`, which `close` closes.

    `path` is the repository to ask for, where a mirror has it under another one.
    """

    def __init__(self, client: RegistryClient, reference: Reference, *, path: str = "") -> None:
        self.name = str(reference)
        self.references = (reference,)
        self.client = client
        self.path = path or reference.path
        self._identifier = reference.digest or reference.tag

    def fetch_manifest(self, digest: Digest | None = None, *, size: int | None = None) -> Fetched:
        """Fetch what the reference stands for, or a manifest by its digest."""
        return self.client.fetch_manifest(self.path, digest or self._identifier, size=size)

    def open_blob(self, descriptor: Descriptor) -> Blob:
        """Open a blob of the repository."""
        return self.client.open_blob(self.path, descriptor)

    def resume_blob(self, descriptor: Descriptor, held: Readable) -> Blob:
        """Open a blob of the repository where `held` ends."""
        return self.client.open_blob(self.path, descriptor, held=held)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
