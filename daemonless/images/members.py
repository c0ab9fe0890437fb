"""What an image, here or elsewhere, is to be on a list: its descriptors, and what has to be kept of it."""

from __future__ import annotations

from typing import Any

from daemonless import jsonio
from daemonless.errors import InvalidData, Unsupported
from daemonless.images.blobs import BlobStore
from daemonless.images.download import Downloads
from daemonless.images.leases import Lease
from daemonless.images.lists import ImageList, Member
from daemonless.images.progress import Progress
from daemonless.images.store import Image, ImageStore
from daemonless.images.transports.source import Source
from daemonless.oci.image import (
    MAX_DOCUMENT,
    Descriptor,
    Fetched,
    Index,
    Manifest,
    Platform,
    choose_manifest,
    host_platform,
    parse_config,
    parse_document,
    platform_of_config,
)
from daemonless.record import Record


class Choice(Record):
    """Which images of an index are meant: one, or all."""

    every: bool = False
    wanted: Platform | None = None  # this machine's, if it is not given

    def of(self, index: Index, what: str) -> list[int]:
        """Return the positions of the images in the index. Raises NotFound naming `what`."""
        if self.every:
            return list(range(len(index.manifests)))
        chosen = choose_manifest(index, self.wanted or host_platform(), what=what)
        return [index.manifests.index(chosen)]


def of_stored(store: ImageStore, lease: Lease, found: Image | ImageList, choice: Choice) -> list[Member]:
    """Return an image of the store, or those of a list, as members of another list, which are leased."""
    if isinstance(found, Image):
        lease.keep(*found.needs)
        manifest = parse_document(store.blobs.read(found.digest), what=f"manifest {found.digest}")
        platform = platform_of_config(found.config)
        return [_member(manifest.media_type, found.digest, store.blobs.read(found.digest), platform)]
    lease.keep(*store.needs_of(found))
    raw = found.document()["manifests"]
    return [
        Member(descriptor=raw[position], origin=found.origins.get(raw[position]["digest"], ""))
        for position in choice.of(found.index, found.shown)
    ]


def of_source(
    source: Source, blobs: BlobStore, lease: Lease, choice: Choice, *, origin: str = "", progress: Progress
) -> list[Member]:
    """Return the image, or those of the index, that a source stands for, as members of a list.

    Their manifests are stored, and leased. What they name is fetched when they are pushed from `origin`,
    the name of a registry's image; without one all of it is fetched now. Raises as `images.pull` does.
    """
    fetched = source.fetch_manifest()
    document = _parse(fetched, source.name)
    blobs.prepare()
    if isinstance(document, Manifest):
        platform = _platform(source, document)
        _keep(fetched, document, source, blobs, lease, progress, fully=not origin)
        return [_member(document.media_type, fetched.digest, fetched.data, platform, origin)]
    raw = jsonio.loads(fetched.data)["manifests"]
    members = []
    for position in choice.of(document, source.name):
        listed = document.manifests[position]
        child = source.fetch_manifest(listed.digest, size=listed.size)
        manifest = _parse(child, source.name)
        if not isinstance(manifest, Manifest):
            raise Unsupported(f"{source.name} is an index of indexes")
        _keep(child, manifest, source, blobs, lease, progress, fully=not origin)
        members.append(Member(descriptor=raw[position], origin=origin))
    return members


def fetch_blobs(source: Source, blobs: BlobStore, descriptors: list[Descriptor], progress: Progress) -> None:
    """Have blobs in the store, each once; the caller has leased them. Raises as `images.pull` does."""
    missing = {each.digest: each for each in descriptors if not blobs.is_intact(each.digest, each.size)}
    if not missing:
        return
    for descriptor in missing.values():
        progress.add(descriptor.digest, descriptor.size)
    with progress, Downloads(source, blobs, progress) as downloads:
        for digest in downloads.run(list(missing.values())):
            progress.finish(digest, "done")


def _parse(fetched: Fetched, name: str) -> Manifest | Index:
    return parse_document(fetched.data, fetched.content_type, what=f"the manifest of {name}")


def _keep(
    fetched: Fetched,
    manifest: Manifest,
    source: Source,
    blobs: BlobStore,
    lease: Lease,
    progress: Progress,
    *,
    fully: bool,
) -> None:
    descriptors = [manifest.config, *manifest.layers]
    lease.keep(fetched.digest, *(each.digest for each in descriptors))
    if fully:
        fetch_blobs(source, blobs, descriptors, progress)
    if blobs.add(fetched.data) != fetched.digest:
        raise Unsupported(f"{source.name} is known by {fetched.digest}, and lists are of sha256 alone")


def _platform(source: Source, manifest: Manifest) -> Platform | None:
    """Return what the config says; None for what is no image."""
    if manifest.config.size > MAX_DOCUMENT:
        raise InvalidData(f"the config of {source.name} is larger than {MAX_DOCUMENT} bytes")
    with source.open_blob(manifest.config) as blob:
        data = blob.read_all()
    try:
        return platform_of_config(parse_config(data, what=f"the config of {source.name}"))
    except InvalidData:
        return None


def _member(media_type: str, digest: str, data: bytes, platform: Platform | None, origin: str = "") -> Member:
    descriptor: dict[str, Any] = {"mediaType": media_type, "digest": str(digest), "size": len(data)}
    if platform:
        descriptor["platform"] = {key: value for key, value in platform.as_dict().items() if value}
    return Member(descriptor=descriptor, origin=origin)
