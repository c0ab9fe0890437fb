"""docker://: an image in a registry, or in a mirror of it."""

from __future__ import annotations

from collections.abc import Callable

from daemonless.errors import DaemonlessError
from daemonless.images.transports.destination import Accepts, Advance, Open
from daemonless.oci.digest import Digest, digest_of
from daemonless.oci.image import Descriptor, Fetched
from daemonless.oci.reference import Reference
from daemonless.registry.blob import Blob
from daemonless.registry.client import RegistryClient
from daemonless.registry.policy import check_policy, scopes_of
from daemonless.registry.registries import Endpoint, Registries, load_registries
from daemonless.structural import Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.oci.digest import Readable

AT_ONCE = 4  # blobs on the way


class RegistrySource:
    """An image that is called `reference`, fetched through `client`, which `close` closes.

    `at` is what it is called there, where that is something else.
    """

    def __init__(self, client: RegistryClient, reference: Reference, *, at: Reference | None = None) -> None:
        at = at or reference
        self.name = str(reference)
        self.references = (reference,)
        self.client = client
        self.path = at.path
        self._identifier = at.digest or at.tag
        self._fetched: Fetched | None = None

    def probe(self) -> None:
        """Fetch what the reference stands for, to be used later. Raises as `fetch_manifest`."""
        self._fetched = self.client.fetch_manifest(self.path, self._identifier)

    def fetch_manifest(self, digest: Digest | None = None, *, size: int | None = None) -> Fetched:
        """Fetch what the reference stands for, or a manifest by its digest."""
        if self._fetched and not digest:
            return self._fetched
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


def open_registry_source(
    reference: Reference,
    connect: Callable[[Endpoint], RegistryClient],
    registries: Registries | None = None,
) -> RegistrySource:
    """Return the image in the first place that has it: the mirrors of its registry, then that itself.

    `connect` returns a client for a place; `registries` is this user's registries.conf if it is not given.
    Raises Refused or Unsupported if the configuration forbids the image. Where there are mirrors, all
    are asked; otherwise nothing is sent yet.
    """
    check_policy("docker", scopes_of(reference), str(reference))
    *mirrors, registry = (registries or load_registries()).endpoints(reference)
    failures: list[str] = []
    for mirror in mirrors:
        source = RegistrySource(connect(mirror), reference, at=mirror.reference)
        try:
            source.probe()
        except DaemonlessError as error:
            source.close()
            failures.append(f"its mirror {mirror.reference.domain}: {error.message}")
        else:
            return source
    source = RegistrySource(connect(registry), reference, at=registry.reference)
    if failures:
        try:
            source.probe()
        except DaemonlessError as error:
            source.close()
            error.hint = "; ".join(failures)
            raise
    return source


class Origins(Protocol):
    """Which repositories of a registry have a blob."""

    def of(self, digest: Digest) -> list[str]:
        """Return their paths, as far as they are known."""

    def note(self, digest: Digest) -> None:
        """Be told that the destination's repository has the blob."""


class RegistryDestination:
    """The name that an image gets in a registry, which may take blobs from their `origins` there.

    The client's owner closes it.
    """

    accepts = Accepts(at_once=AT_ONCE)

    def __init__(self, client: RegistryClient, reference: Reference, origins: Origins) -> None:
        self.name = str(reference)
        self._client = client
        self._path = reference.path
        self._identifier = reference.digest or reference.tag
        self._origins = origins

    def find_blob(self, descriptor: Descriptor) -> str:
        """Ask the registry for it, there and in the repositories where it should be."""
        if self._client.has_blob(self._path, descriptor):
            self._origins.note(descriptor.digest)
            return "already there"
        for origin in self._origins.of(descriptor.digest):
            if self._client.mount_blob(self._path, descriptor, origin):
                self._origins.note(descriptor.digest)
                return f"mounted from {origin}"
        return ""

    def put_blob(self, descriptor: Descriptor, open_at: Open, progress: Advance) -> None:
        """Upload it."""
        self._client.push_blob(self._path, descriptor, open_at, progress=progress)
        self._origins.note(descriptor.digest)

    def put_manifest(self, data: bytes, media_type: str) -> None:
        """Upload it under the image's tag or digest."""
        self._client.push_manifest(self._path, self._identifier, data, media_type)

    def put_member(self, data: bytes, media_type: str) -> None:
        """Upload it under its digest."""
        self._client.push_manifest(self._path, digest_of(data), data, media_type)
