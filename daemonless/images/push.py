"""From an image on this machine to one elsewhere: push.

    plan: format, and compression of each layer -> layers, in parallel, where they are missing
    -> config -> manifest, which gives it its name

Layers that need no change go as they came, byte for byte, and so does a manifest of which no layer
has changed. The config always goes as it is, so the image keeps its id in every format.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from typing import TypeVar

from daemonless import jsonio
from daemonless.config import Paths
from daemonless.errors import UsageError
from daemonless.images.blobnotes import BlobNotes
from daemonless.images.blobs import store_failed
from daemonless.images.formats import FORMATS, Format
from daemonless.images.leases import Lease
from daemonless.images.progress import Progress
from daemonless.images.recompression import Recompressor, Target, reads_stored
from daemonless.images.store import Image, ImageStore
from daemonless.images.transports.destination import Destination, Open
from daemonless.oci.digest import Digest, digest_of
from daemonless.oci.image import (
    DOCKER_MANIFEST,
    Descriptor,
    Manifest,
    layer_compression,
    parse_document,
)
from daemonless.oci.reference import Reference
from daemonless.record import Record

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")
_PATIENCE = 2.0  # seconds for all transfers to end after one has failed
_ORIGINS = 3  # repositories of which a registry is asked for one blob


class Wish(Record):
    """What was asked for; what was not follows from the image and from where it goes."""

    format: str = ""  # of FORMATS
    compression: str = ""  # gzip or zstd
    level: int | None = None
    force: bool | None = None  # whether compressed layers change as well; yes if a compression was asked for
    plain: bool = False  # layers are not to be compressed at all
    added: tuple[str, ...] = ()  # compressions that each image of a list is to be had in as well


class _Layer(Record):
    """A layer as it lies in the store, and what it is to become; no target: the same."""

    stored: Descriptor
    diff_id: Digest
    target: Target | None


def push(image: Image, paths: Paths, destination: Destination, wish: Wish, progress: Progress) -> Digest:
    """Copy an image to a destination and return the digest of the manifest it has there.

    Raises UsageError if the wish cannot be met, NotFound or InvalidData if the image is damaged,
    or what the destination raises; what has been put there by then stays, without a name.
    """
    check(wish)
    store = ImageStore(paths.data)
    try:
        store.blobs.prepare()
        with Lease(paths.data) as lease:
            lease.keep(image.digest, image.id, *(layer.digest for layer in image.layers))
            return _Push(image, store, paths, destination, progress).run(wish)
    except BrokenPipeError:
        raise  # whoever reads the archive has seen enough
    except OSError as error:
        raise store_failed(f"push to {destination.name}", error) from error


class _Push:
    def __init__(
        self, image: Image, store: ImageStore, paths: Paths, destination: Destination, progress: Progress
    ) -> None:
        self._image = image
        self._blobs = store.blobs
        self._destination = destination
        self._progress = progress
        self._notes = BlobNotes(paths.cache)
        self._recompressor = Recompressor(store.blobs, self._notes)
        self._failed = threading.Event()

    def run(self, wish: Wish) -> Digest:
        data = self._blobs.read(self._image.digest)
        manifest = parse_document(data, what=f"the manifest of {self._image.id}")
        assert isinstance(manifest, Manifest)  # the store lists nothing else
        form = choose_format(manifest, self._destination, wish)
        changed = form.manifest != manifest.media_type
        layers = [
            self._plan(stored, Digest(diff_id), form, wish, changed=changed)
            for stored, diff_id in zip(manifest.layers, self._image.diff_ids, strict=True)
        ]
        pushed = self._put_layers(layers, form)
        config = manifest.config
        if changed:
            config = config.replace(media_type=form.config)
        if not self._destination.find_blob(config):
            self._destination.put_blob(config, reads_stored(self._blobs, config), lambda count: None)
        if changed or tuple(pushed) != manifest.layers:
            data = _rewrite(data, form, config, pushed)
        self._destination.put_manifest(data, form.manifest)
        return digest_of(data)

    # --- the plan -----------------------------------------------------------------------------

    def _plan(
        self, stored: Descriptor, diff_id: Digest, form: Format, wish: Wish, *, changed: bool
    ) -> _Layer:
        accepts = self._destination.accepts
        now = layer_compression(stored.media_type)
        force = bool(wish.compression) if wish.force is None else wish.force
        wanted = now
        if accepts.plain_only or wish.plain:
            wanted = ""
        elif force or (not now and (accepts.compresses or wish.compression)):
            wanted = wish.compression or "gzip"
        if wanted == "zstd" and changed and form is FORMATS["docker"]:
            wanted = "gzip"  # docker's media types know no zstd; what others have made stays as it is
        target = None if wanted == now else Target(compression=wanted, level=wish.level if wanted else None)
        return _Layer(stored=stored, diff_id=diff_id, target=target)

    # --- layers -------------------------------------------------------------------------------

    def _put_layers(self, layers: list[_Layer], form: Format) -> list[Descriptor]:
        """Put each layer there once; return the descriptors of all of them."""
        unique = list(dict.fromkeys(layers))
        if self._destination.accepts.at_once > 1:
            unique.sort(key=lambda layer: -layer.stored.size)
        jobs = {layer: self._job(layer, form) for layer in unique}
        with self._progress:
            try:
                done = in_parallel(jobs, self._destination.accepts.at_once, self._failed)
            finally:
                self._recompressor.discard()
        return [done[layer] for layer in layers]

    def _job(self, layer: _Layer, form: Format) -> Callable[[], Descriptor]:
        return lambda: self._put_layer(layer, form)

    def _put_layer(self, layer: _Layer, form: Format) -> Descriptor:
        stored, target = layer.stored, layer.target
        if target is None:
            descriptor = stored
            if not stored.media_type.startswith(form.layer):
                descriptor = Descriptor(
                    media_type=form.layer_type(layer_compression(stored.media_type)),
                    digest=stored.digest,
                    size=stored.size,
                )
            self._put(descriptor, reads_stored(self._blobs, stored))
            return descriptor
        media_type = form.layer_type(target.compression)
        known = self._notes.form(layer.diff_id, str(target))
        if known:
            descriptor = Descriptor(media_type=media_type, digest=known.digest, size=known.size)
            if note := self._destination.find_blob(descriptor):
                self._progress.add(descriptor.digest, descriptor.size)
                self._progress.finish(descriptor.digest, note)
                return descriptor
        made, open_at = self._recompressor.make(stored, layer.diff_id, target)
        descriptor = Descriptor(media_type=media_type, digest=made.digest, size=made.size)
        self._put(descriptor, open_at)
        return descriptor

    def _put(self, descriptor: Descriptor, open_at: Open) -> None:
        put_blob(self._destination, descriptor, open_at, self._progress, self._failed)


def put_blob(
    destination: Destination,
    descriptor: Descriptor,
    open_at: Open,
    progress: Progress,
    failed: threading.Event,
    note: str | None = None,
) -> None:
    """Put a blob there unless it is, and tell; stop once `failed` is set, for another one has failed.

    `note` is what `find_blob` has said of it; None if it was not asked yet.
    """

    def advance(count: int) -> None:
        if failed.is_set():
            raise _Stopped
        progress.advance(descriptor.digest, count)

    progress.add(descriptor.digest, descriptor.size)
    if note is None:
        note = destination.find_blob(descriptor)
    if not note:
        destination.put_blob(descriptor, open_at, advance)
    progress.finish(descriptor.digest, note or "done")


class _Stopped(Exception):
    """The push has failed elsewhere."""


def check(wish: Wish) -> None:
    """Raise UsageError if a wish contradicts itself."""
    if wish.format == "docker" and wish.compression == "zstd":
        raise UsageError(
            "the docker format (v2s2) has no layers of zstd", "leave out --format, or use --format oci"
        )
    if wish.added and (wish.format == "docker" or wish.plain):
        raise UsageError("--add-compression goes with lists and images in OCI's format, and compressed ones")


def choose_format(manifest: Manifest, destination: Destination, wish: Wish) -> Format:
    """Return the format the image is to have; raises UsageError if the destination cannot hold it."""
    accepted = destination.accepts.formats
    if wish.format:
        if wish.format not in accepted:
            raise UsageError(f"{destination.name} holds images in format {accepted[0]} only")
        return FORMATS[wish.format]
    stored = "docker" if manifest.media_type == DOCKER_MANIFEST else "oci"
    if wish.compression == "zstd" and "oci" in accepted:
        return FORMATS["oci"]
    return FORMATS[stored if stored in accepted else accepted[0]]


def _rewrite(data: bytes, form: Format, config: Descriptor, layers: list[Descriptor]) -> bytes:
    """Return a manifest with other descriptors; its annotations stay where the format has any."""
    annotations = jsonio.loads(data).get("annotations") or {}
    return form.manifest_of(config, layers, tuple(annotations.items()))


class Origins:
    """The repositories of the registry of `reference` that should have blobs, for RegistryDestination.

    These are those it was pushed to or found in before, and those that images here are named after.
    """

    def __init__(self, store: ImageStore, paths: Paths, reference: Reference) -> None:
        self._notes = BlobNotes(paths.cache)
        self._reference = reference
        self._named: dict[str, list[str]] = {}
        for image in store.images():
            for name in image.names:
                domain, _, rest = name.partition("/")
                if domain == reference.domain:
                    for layer in image.layers:
                        path = rest.partition("@")[0].partition(":")[0]
                        self._named.setdefault(layer.digest, []).append(path)

    def of(self, digest: Digest) -> list[str]:
        """Return paths, the likeliest first."""
        found = [*self._notes.places(digest, self._reference.domain), *self._named.get(digest, ())]
        return [path for path in dict.fromkeys(found) if path != self._reference.path][:_ORIGINS]

    def note(self, digest: Digest) -> None:
        """Be told that the blob is where the image goes."""
        self._notes.add_place(digest, self._reference.name)


def in_parallel(
    jobs: Mapping[_Job, Callable[[], _Result]], at_once: int, failed: threading.Event
) -> dict[_Job, _Result]:
    """Call the jobs, at most so many at a time, in their order; return what each returned.

    Raises what the first failing one raises. `failed` is set then, and the others have a moment to
    come to their end; their threads are daemons, because one may wait for a peer.
    """
    waiting: queue.SimpleQueue[_Job] = queue.SimpleQueue()
    finished: queue.SimpleQueue[tuple[_Job, _Result] | BaseException] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)

    def work() -> None:
        try:
            while not failed.is_set():
                job = waiting.get_nowait()
                finished.put((job, jobs[job]()))
        except queue.Empty:
            pass
        except BaseException as error:  # raised again by the thread that waits
            finished.put(error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(at_once, len(jobs)))]
    for thread in threads:
        thread.start()
    done: dict[_Job, _Result] = {}
    try:
        for _ in jobs:
            result = finished.get()
            if isinstance(result, BaseException):
                raise result
            done[result[0]] = result[1]
    except BaseException:
        failed.set()
        for thread in threads:
            thread.join(_PATIENCE / len(threads))
        raise
    return done
