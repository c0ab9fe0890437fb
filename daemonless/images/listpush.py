"""From a list of images on this machine to one elsewhere.

    its images, one after the other: blobs where they are missing, manifest -> the list, which gets the name

All of them go as they are, byte for byte, unless a format or a compression was asked for, or the
destination holds no other; the list then names what they have become. Blobs that are neither here nor
there come from the registry that the list has the image of.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from daemonless import jsonio
from daemonless.config import Paths
from daemonless.errors import NotFound, Unsupported, UsageError
from daemonless.images.blobnotes import BlobNotes
from daemonless.images.blobs import store_failed
from daemonless.images.formats import FORMATS
from daemonless.images.leases import Lease
from daemonless.images.lists import ImageList
from daemonless.images.members import fetch_blobs
from daemonless.images.progress import Progress
from daemonless.images.push import Wish, check, in_parallel, push, put_blob
from daemonless.images.recompression import reads_stored
from daemonless.images.store import ImageStore
from daemonless.images.transports.destination import (
    Accepts,
    Advance,
    Destination,
    HoldsLists,
    Open,
    holds_lists,
)
from daemonless.images.transports.source import Source
from daemonless.oci.digest import Digest, digest_of
from daemonless.oci.image import (
    DOCKER_CONFIG,
    DOCKER_INDEX,
    OCI_CONFIG,
    OCI_INDEX,
    Descriptor,
    Manifest,
    layer_compression,
    parse_document,
)
from daemonless.oci.reference import parse_reference
from daemonless.record import Record

_IS_ZSTD = "io.github.containers.compression.zstd"  # as containers/image marks such an image on a list


class Setting(Record):
    """What a push of a list needs of its caller."""

    open_source: Callable[[str], Source]  # opens the image of a name, to fetch it
    show: Callable[[str, str], Progress]  # makes the display for a verb and a thing


def push_list(
    found: ImageList,
    paths: Paths,
    destination: Destination,
    wish: Wish,
    setting: Setting,
    *,
    members: bool = True,
) -> Digest:
    """Copy a list, and the images on it unless without `members`; return the digest it has there.

    Raises as `images.push.push`, and as `images.pull.pull` for images that are fetched.
    """
    check(wish)
    if not holds_lists(destination):
        raise UsageError(f"{destination.name} holds no lists of images", "oci-archive:FILE:NAME does")
    store = ImageStore(paths.data)
    try:
        store.blobs.prepare()
        with Lease(paths.data) as lease:
            lease.keep(found.digest, *store.needs_of(found))
            return _ListPush(found, store, paths, destination, wish, setting).run(members=members)
    except BrokenPipeError:
        raise  # whoever reads the archive has seen enough
    except OSError as error:
        raise store_failed(f"push to {destination.name}", error) from error


class _ListPush:
    def __init__(
        self,
        found: ImageList,
        store: ImageStore,
        paths: Paths,
        destination: HoldsLists,
        wish: Wish,
        setting: Setting,
    ) -> None:
        self._list = found
        self._store = store
        self._paths = paths
        self._notes = BlobNotes(paths.cache)
        self._destination = destination
        self._wish = wish
        self._setting = setting

    def run(self, *, members: bool) -> Digest:
        document = self._list.document()
        if members:
            pairs = zip(document["manifests"], self._list.index.manifests, strict=True)
            changed = [raw | self._put_image(descriptor) for raw, descriptor in pairs]
            changed += self._put_variants(document["manifests"])
            if changed != document["manifests"]:
                document["manifests"] = changed
        form = "oci" if self._wish.added else self._wish.format  # docker's has no annotations for variants
        if form:
            _convert(document, form)
        data = self._list.data
        if document != jsonio.loads(data):
            data = jsonio.dumps(document).encode()
        self._destination.put_manifest(data, document.get("mediaType") or OCI_INDEX)
        return digest_of(data)

    def _put_image(self, member: Descriptor) -> dict[str, Any]:
        """Put an image there; return what the list has to say of it: media type, digest and size."""
        data = self._store.blobs.read(member.digest)
        manifest = parse_document(data, what=f"manifest {member.digest}")
        if not isinstance(manifest, Manifest):
            raise UsageError(f"{member.digest} is a list on the list {self._list.shown}")
        changes = self._is_changed(manifest)
        notes = self._fetch(member, manifest, fully=changes)
        if changes:
            return self._put_changed(member, "", self._wish)
        shown = f"{self._destination.name} ({member.platform or member.digest.short})"
        self._copy(manifest, notes, self._show("Pushing", shown))
        self._destination.put_member(data, manifest.media_type)
        return {}

    def _put_variants(self, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Put the images there once more for each compression that was added.

        Returns what the list has to say of these: nothing where it has the image in that compression.
        """
        variants: list[dict[str, Any]] = []
        images = []
        for raw, descriptor in zip(listed, self._list.index.manifests, strict=True):
            manifest = parse_document(self._store.blobs.read(descriptor.digest), what=descriptor.digest)
            if isinstance(manifest, Manifest) and _is_image(manifest):
                images.append((raw, descriptor, manifest, self._compression_of(manifest)))
        for compression in self._wish.added:
            there = [raw.get("platform") or {} for raw, _, _, is_now in images if is_now == compression]
            for raw, descriptor, manifest, is_now in images:
                if is_now == compression or (raw.get("platform") or None) in there:
                    continue
                there.append(raw.get("platform") or {})
                self._fetch(descriptor, manifest, fully=True)
                wish = self._wish.replace(format="oci", compression=compression, force=True, level=None)
                annotations = raw.get("annotations") or {}
                annotations = {key: value for key, value in annotations.items() if key != _IS_ZSTD}
                if compression == "zstd":
                    annotations[_IS_ZSTD] = "true"
                put = self._put_changed(descriptor, f"{compression}, ", wish)
                variants.append(raw | put | {"annotations": annotations})
        return variants

    def _compression_of(self, manifest: Manifest) -> str:
        """Return the one that an image of the list has been put there in; empty if it has several."""
        if self._wish.compression and self._wish.force is not False:
            return self._wish.compression
        found = {layer_compression(layer.media_type) for layer in manifest.layers}
        return found.pop() or "gzip" if len(found) == 1 else ""

    def _put_changed(self, member: Descriptor, remark: str, wish: Wish) -> dict[str, Any]:
        shown = f"{self._destination.name} ({remark}{member.platform or member.digest.short})"
        place = _Place(self._destination)
        image = self._store.member(member.digest)
        push(image, self._paths, place, wish, self._show("Pushing", shown))
        return place.descriptor

    def _show(self, verb: str, what: str) -> Progress:
        return self._setting.show(verb, what)

    def _is_changed(self, manifest: Manifest) -> bool:
        """Return whether an image is to become another one; what is no image stays what it is."""
        wish = self._wish
        if not _is_image(manifest):
            return False
        formats = (wish.format,) if wish.format else self._destination.accepts.formats
        is_right = any(FORMATS[each].manifest == manifest.media_type for each in formats)
        return not is_right or bool(wish.compression or wish.plain or wish.level is not None)

    def _fetch(self, member: Descriptor, manifest: Manifest, *, fully: bool) -> dict[str, str]:
        """Have what is missing here, of all that there is or of what the destination lacks.

        Returns what the destination has said (`find_blob`) of those it was asked for, by digest.
        """
        blobs = self._store.blobs
        origin = self._list.origins.get(member.digest, "")
        if origin:  # a registry need not be sent what another of its repositories has
            for each in (manifest.config, *manifest.layers):
                self._notes.add_place(each.digest, parse_reference(origin).name)
        descriptors = {each.digest: each for each in (manifest.config, *manifest.layers)}
        missing = [each for each in descriptors.values() if not blobs.has(each.digest, each.size)]
        notes: dict[str, str] = (
            {} if fully else {each.digest: self._destination.find_blob(each) for each in missing}
        )
        missing = [each for each in missing if not notes.get(each.digest)]
        if not missing:
            return notes
        if not origin:
            raise NotFound(
                f"image {member.digest} of the list {self._list.shown} is not complete",
                "put it on the list again: daemonless manifest add",
            )
        source = self._setting.open_source(origin)
        try:
            fetch_blobs(source, blobs, missing, self._show("Pulling", f"{origin} ({member.platform})"))
        finally:
            source.close()
        return notes

    def _copy(self, manifest: Manifest, notes: Mapping[str, str], progress: Progress) -> None:
        """Put the blobs of an image there, as they are; `notes` are those of `_fetch`."""
        destination = self._destination
        unique = list({each.digest: each for each in (*manifest.layers, manifest.config)}.values())
        failed = threading.Event()

        def put(descriptor: Descriptor) -> None:
            content = reads_stored(self._store.blobs, descriptor)
            put_blob(destination, descriptor, content, progress, failed, notes.get(descriptor.digest))

        jobs = {each.digest: partial(put, each) for each in unique}
        with progress:
            in_parallel(jobs, destination.accepts.at_once, failed)


def _is_image(manifest: Manifest) -> bool:
    """Return whether a manifest is that of an image, and not of a document about one."""
    if manifest.config.media_type not in (OCI_CONFIG, DOCKER_CONFIG):
        return False
    try:
        return all(layer_compression(layer.media_type) is not None for layer in manifest.layers)
    except Unsupported:
        return False


class _Place:
    """The destination of an image that a list names: it gets no name of its own."""

    def __init__(self, destination: HoldsLists) -> None:
        self._destination = destination
        self.descriptor: dict[str, Any] = {}

    @property
    def name(self) -> str:
        return self._destination.name

    @property
    def accepts(self) -> Accepts:
        return self._destination.accepts

    def find_blob(self, descriptor: Descriptor) -> str:
        return self._destination.find_blob(descriptor)

    def put_blob(self, descriptor: Descriptor, open_at: Open, progress: Advance) -> None:
        self._destination.put_blob(descriptor, open_at, progress)

    def put_manifest(self, data: bytes, media_type: str) -> None:
        self.put_member(data, media_type)

    def put_member(self, data: bytes, media_type: str) -> None:
        self._destination.put_member(data, media_type)
        self.descriptor = {"mediaType": media_type, "digest": str(digest_of(data)), "size": len(data)}


def _convert(document: dict[str, Any], form: str) -> None:
    """Make a list one of OCI's or of docker's, which have fewer members."""
    document["mediaType"] = OCI_INDEX if form == "oci" else DOCKER_INDEX
    if form == "docker":
        for name in ("annotations", "artifactType", "subject"):
            document.pop(name, None)
        for each in document["manifests"]:
            for name in ("annotations", "artifactType"):
                each.pop(name, None)
