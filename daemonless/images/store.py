"""Which images there are: names to manifests, kept in the layout's index.json.

index.json holds one descriptor per name, with the full name in the annotation
org.opencontainers.image.ref.name; an image that lost its last name stays as one descriptor
without it. Two annotations of our own hold what would cost many reads to find out again.

Readers take no lock: they see the file before or after a change. Writers hold `images.lock`, for
milliseconds, never across a download.
"""

from __future__ import annotations

from daemonless import failpoints, jsonio
from daemonless.errors import DaemonlessError, InvalidData, NotFound, UsageError, printable
from daemonless.files import Lock, read_file, write_atomic
from daemonless.images.blobs import BlobStore
from daemonless.oci.digest import Digest, is_hex
from daemonless.oci.image import (
    OCI_INDEX,
    REF_NAME,
    Descriptor,
    Index,
    Manifest,
    diff_ids,
    parse_config,
    parse_descriptor,
    parse_document,
)
from daemonless.oci.reference import Reference, is_short, parse_reference
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

SIZE = "daemonless.unpacked.size"  # bytes of all layers, unpacked
SOURCE = "daemonless.source.digest"  # what the name stood for in the registry: often an index
MAX_INDEX = 64 << 20
_OWN = ("daemonless.local/", "localhost/")  # no registry has these: they are no aliases


class Image(Record):
    """One image of the store: what its manifest and its config say, and its names."""

    id: str  # digest of the config
    names: tuple[str, ...]
    digest: str  # of the manifest
    source_digest: str  # of what the registry gave for the name: the manifest's or an index's
    config: dict[str, Any]
    manifest: dict[str, Any]
    layers: tuple[Descriptor, ...]
    diff_ids: tuple[str, ...]
    created: str
    size: int

    @property
    def needs(self) -> frozenset[str]:
        """Digests of the blobs and layers it consists of: documents, layers, diff_ids."""
        return frozenset((self.digest, self.id, *(layer.digest for layer in self.layers), *self.diff_ids))

    @property
    def labels(self) -> dict[str, str]:
        """The labels of the config."""
        return self.config["config"].get("Labels") or {}


def image_of_directory() -> Image:
    """Return what stands for the image of a container that has a directory of the host as its root."""
    return Image(
        id="",
        names=(),
        digest="",
        source_digest="",
        config={"config": {}},
        manifest={},
        layers=(),
        diff_ids=(),
        created="",
        size=0,
    )


class _Entry(Record):
    """One descriptor of index.json."""

    descriptor: Descriptor
    name: str

    @property
    def digest(self) -> Digest:
        return self.descriptor.digest

    @property
    def source(self) -> str:
        return self.descriptor.annotation(SOURCE) or self.digest


class ImageStore:
    """The images below `data`, the root of all durable state."""

    def __init__(self, data: str) -> None:
        self.data = data
        self.blobs = BlobStore(data)
        self.damaged: list[str] = []  # what `images` had to leave out, one line each
        self._index = f"{self.blobs.root}/index.json"

    # --- reading ------------------------------------------------------------------------------

    def resolve(self, name: str) -> Image:
        """Return the image of a name, an id, a prefix of an id, or a digest.

        Raises NotFound, UsageError for what cannot be a name, InvalidData if the image is damaged.
        """
        entries = self._entries()
        try:
            wanted = self._find(entries, name)
        except NotFound:
            full_name = _meant(name, [entry.name for entry in entries])
            if not full_name:
                raise
            wanted = self._find(entries, full_name)
        names = tuple(entry.name for entry in entries if entry.digest == wanted.digest and entry.name)
        try:
            return self._load(wanted, names)
        except InvalidData:
            if self._is_listed(wanted.digest):
                raise
            raise NotFound(f"no such image: {printable(name)}", "it was removed just now") from None

    def name_of(self, image: Image, text: str) -> str:
        """Return the full name `text` stands for, or an empty string if it is an id or a digest."""
        try:
            name = str(parse_reference(text))
        except UsageError:
            return ""
        return name if name in image.names else _meant(text, image.names)

    def images(self) -> list[Image]:
        """Return all images that can be read; `damaged` then tells of the others."""
        entries = self._entries()
        self.damaged = []
        images, seen = [], set()
        for entry in entries:
            if entry.digest in seen:
                continue
            seen.add(entry.digest)
            names = tuple(other.name for other in entries if other.digest == entry.digest and other.name)
            try:
                images.append(self._load(entry, names))
            except DaemonlessError as error:
                if self._is_listed(entry.digest):  # not removed meanwhile
                    self.damaged.append(error.message)
        return images

    def listed(self) -> dict[str, tuple[str, ...]]:
        """Return the digests of all listed manifests, readable or not, with their names."""
        found: dict[str, tuple[str, ...]] = {}
        for entry in self._entries():
            found[entry.digest] = found.get(entry.digest, ()) + ((entry.name,) if entry.name else ())
        return found

    def blobs_of(self, digest: str) -> dict[str, int]:
        """Return all blobs that a listed manifest or index needs with their sizes, itself included.

        Raises NotFound or InvalidData if its documents cannot be read.
        """
        data = self.blobs.read(digest)
        found = {digest: len(data)}
        document = parse_document(data, what=f"manifest {digest}")
        if isinstance(document, Index):  # its images need not all be here
            for child in document.manifests:
                if self.blobs.has(child.digest):
                    found |= self.blobs_of(child.digest)
            return found
        config = self.blobs.read(document.config.digest)
        if len(diff_ids(parse_config(config, what="the config"))) != len(document.layers):
            raise InvalidData(f"manifest {digest} does not have the layers that its config names")
        descriptors = (document.config, *document.layers)
        return found | {descriptor.digest: descriptor.size for descriptor in descriptors}

    def _entries(self) -> list[_Entry]:
        try:
            return self._read_entries()
        except FileNotFoundError:
            return []
        except OSError as error:
            reason = f"{self._index} cannot be read: {error.strerror}"
        except InvalidData as error:
            reason = error.message
        raise InvalidData(reason, "move it away and pull the images again: what is here is not fetched")

    def _read_entries(self) -> list[_Entry]:
        data = read_file(self._index, MAX_INDEX)
        document = jsonio.loads(data, what=self._index, limit=MAX_INDEX)
        manifests = document.get("manifests") if isinstance(document, dict) else None
        if not isinstance(manifests, list):
            raise InvalidData(f"{self._index} is not an image index")
        found = []
        for number, value in enumerate(manifests):
            descriptor = parse_descriptor(value, f"{self._index}: manifests[{number}]")
            found.append(_Entry(descriptor=descriptor, name=descriptor.annotation(REF_NAME)))
        return found

    def _find(self, entries: list[_Entry], name: str) -> _Entry:
        """Names beat prefixes of ids, as with docker and podman."""
        reference = None
        if not name.startswith("sha256:") and not (len(name) == 64 and is_hex(name)):
            try:
                reference = parse_reference(name)
            except UsageError:
                if not is_hex(name):
                    raise
        if reference:
            best = max(entries, key=lambda entry: _likeness(entry, reference), default=None)
            if best and _likeness(best, reference):
                return best
        prefix = name.removeprefix("sha256:")
        if is_hex(prefix):
            found = {entry.digest: entry for entry in entries if self._has_id(entry, prefix)}
            if len({self._id_of(entry) for entry in found.values()}) > 1:
                raise UsageError(f'"{name}" is the start of more than one image id', "give more digits")
            if found:
                return next(iter(found.values()))
        raise self._missing(entries, name, reference)

    def _has_id(self, entry: _Entry, prefix: str) -> bool:
        identity = self._id_of(entry)
        if identity and identity.partition(":")[2].startswith(prefix):
            return True
        return len(prefix) == 64 and f"sha256:{prefix}" in (entry.digest, entry.source)

    def _id_of(self, entry: _Entry) -> str:
        """Return the image id, or an empty string if the manifest cannot be read."""
        try:
            return self._manifest(entry)[1].config.digest
        except DaemonlessError:
            return ""

    def _missing(self, entries: list[_Entry], name: str, reference: Reference | None) -> NotFound:
        if reference is None:
            return NotFound(f"no such image: {printable(name)}", "list the images with: daemonless images -a")
        tags = [
            entry.name.removeprefix(f"{reference.name}")
            for entry in entries
            if entry.name.startswith((f"{reference.name}:", f"{reference.name}@"))
        ]
        if tags:
            shown = ", ".join(tags[:5]) + (" ..." if len(tags) > 5 else "")
            hint = f"of {reference.name} this machine has {shown}; fetch it with: daemonless pull {reference}"
        else:
            hint = f"it is not on this machine; fetch it with: daemonless pull {reference}"
        return NotFound(f"no such image: {printable(name)}", hint)

    def _manifest(self, entry: _Entry) -> tuple[bytes, Manifest]:
        data = self.blobs.read(entry.digest)
        manifest = parse_document(data, what=f"manifest {entry.digest}")
        if not isinstance(manifest, Manifest):
            raise InvalidData(f"{entry.digest} is not the manifest of an image")
        return data, manifest

    def _load(self, entry: _Entry, names: tuple[str, ...]) -> Image:
        try:
            data, manifest = self._manifest(entry)
            config = parse_config(self.blobs.read(manifest.config.digest), what="the config")
        except DaemonlessError as error:
            raise _damaged(names[0] if names else entry.digest, error) from error
        size = entry.descriptor.annotation(SIZE)
        return Image(
            id=manifest.config.digest,
            names=names,
            digest=entry.digest,
            source_digest=entry.source,
            config=config,
            manifest=jsonio.loads(data),
            layers=manifest.layers,
            diff_ids=diff_ids(config),
            created=config.get("created") or "",
            size=int(size) if size.isdigit() else sum(layer.size for layer in manifest.layers),
        )

    # --- writing ------------------------------------------------------------------------------

    def add(
        self,
        reference: Reference | None,
        descriptor: Descriptor,
        *,
        size: int,
        source_digest: str = "",
        is_complete: Callable[[], bool] = lambda: True,
    ) -> bool:
        """List an image whose blobs and layers are all in place, under a name if it has one.

        The last step of a pull or commit.

        `is_complete` is asked under the lock that `remove` takes: only then it is certain that
        nothing was removed meanwhile. Returns False, and does nothing, if it says no.
        """
        with self.lock():
            if not is_complete():
                return False
            name = _name(reference)
            entries = self._without_name(self._entries(), name) if name else self._entries()
            if not name and any(entry.digest == descriptor.digest for entry in entries):
                return True  # the same image is listed already
            # the new name also ends the nameless life the same image may have led
            entries = [entry for entry in entries if entry.name or entry.digest != descriptor.digest]
            notes = {SIZE: str(size), SOURCE: source_digest or descriptor.digest}
            entries.append(_entry(descriptor, name, notes))
            self._write(entries)
        return True

    def tag(self, image: Image, reference: Reference) -> None:
        """Give an image another name, taking it from the image that has it."""
        with self.lock():
            entries = self._entries()
            found = next((entry for entry in entries if entry.digest == image.digest), None)
            if found is None:
                raise NotFound(f"no such image: {image.id}")
            entries = self._without_name(entries, str(reference))
            entries = [entry for entry in entries if entry.name or entry.digest != image.digest]
            notes = {name: value for name, value in found.descriptor.annotations if name != REF_NAME}
            entries.append(_entry(found.descriptor, str(reference), notes))
            self._write(entries)

    def untag(self, name: str) -> None:
        """Take a full name away; the image stays, nameless if this was its last one."""
        with self.lock():
            self._write(self._without_name(self._entries(), name))

    def has(self, image: Image) -> bool:
        """Return whether the image is still listed."""
        return self._is_listed(image.digest)

    def _is_listed(self, digest: str) -> bool:
        return any(entry.digest == digest for entry in self._entries())

    def unlist(self, image: Image, check_unused: Callable[[], None] = lambda: None) -> None:
        """Take an image off the list, with all its names; its blobs and layers are garbage then.

        `check_unused` is called when the image is listed no more, so that no new user of it can
        come; what it raises puts the image back.
        """
        with self.lock():
            entries = self._entries()
            self._write([entry for entry in entries if entry.digest != image.digest])
            try:
                check_unused()
            except BaseException:
                self._write(entries)
                raise

    def forget(self, name: str) -> list[str]:
        """Drop a damaged image from the list and return its names; what it used stays on disk."""
        with self.lock():
            entries = self._entries()
            digest = self._find(entries, name).digest
            self._write([entry for entry in entries if entry.digest != digest])
        return [entry.name for entry in entries if entry.digest == digest and entry.name]

    def uses(self) -> set[str]:
        """Return the digests of all blobs that images use; what cannot be read counts for nothing."""
        used: set[str] = set()
        for image in self.images():
            used |= {image.digest, image.id, *(layer.digest for layer in image.layers)}
        return used

    def needs(self) -> set[str]:
        """Return the digests of all that listed images consist of: documents, layers, diff_ids.

        Raises InvalidData if one of them cannot be read: then it is not known.
        """
        needed: set[str] = set()
        for entry in self._entries():
            if entry.digest not in needed:
                try:
                    needed.update(self._needs_of(entry.digest))
                except DaemonlessError as error:
                    raise _damaged(entry.name or entry.digest, error) from error
        return needed

    def _needs_of(self, digest: str) -> Iterator[str]:
        yield digest
        document = parse_document(self.blobs.read(digest), what=f"manifest {digest}")
        if isinstance(document, Index):  # its images need not all be here
            for child in document.manifests:
                if self.blobs.has(child.digest):
                    yield from self._needs_of(child.digest)
            return
        yield document.config.digest
        yield from (layer.digest for layer in document.layers)
        yield from diff_ids(parse_config(self.blobs.read(document.config.digest), what="the config"))

    def _without_name(self, entries: Iterable[_Entry], name: str) -> list[_Entry]:
        """Return the entries with one name gone; its image keeps a nameless entry if it needs one."""
        rest = [entry for entry in entries if entry.name != name]
        for entry in entries:
            if entry.name == name and not any(other.digest == entry.digest for other in rest):
                notes = {key: value for key, value in entry.descriptor.annotations if key != REF_NAME}
                rest.append(_entry(entry.descriptor, "", notes))
        return rest

    def _write(self, entries: list[_Entry]) -> None:
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [entry.descriptor.to_json() for entry in entries],
        }
        failpoints.reach("images.write")
        write_atomic(self._index, jsonio.dumps(document).encode())

    def lock(self) -> Lock:
        """Return the lock of who changes the list, or removes what it does not need; raises OSError."""
        self.blobs.prepare()
        return Lock(f"{self.data}/images.lock")


def _meant(text: str, names: Iterable[str]) -> str:
    """Return which of the names registries.conf gives a short one; empty if it is none of them."""
    pulled = {name for name in names if name and not name.startswith(_OWN)}
    if not pulled or not is_short(text):
        return ""
    # For a name that is not here as it is: pathlib and tomllib take 10 ms.
    from daemonless.registry.registries import load_registries  # noqa: PLC0415

    try:
        meanings = load_registries().spelled_out(text)
    except DaemonlessError:  # a pull will tell
        return ""
    return next((str(meant) for meant in meanings if str(meant) in pulled), "")


def _damaged(shown: str, error: DaemonlessError) -> InvalidData:
    return InvalidData(
        f"image {shown} is damaged: {error.message}", f"remove it and pull it again: daemonless rmi {shown}"
    )


def _name(reference: Reference | None) -> str:
    if reference is None:
        return ""
    return str(reference.replace(tag="") if reference.digest else reference)


def _entry(descriptor: Descriptor, name: str, notes: dict[str, str]) -> _Entry:
    annotations = {**notes, REF_NAME: name} if name else notes
    return _Entry(descriptor=descriptor.replace(annotations=tuple(annotations.items())), name=name)


def _likeness(entry: _Entry, reference: Reference) -> int:
    """Return how well an entry fits a reference, 0 if not at all.

    A digest decides, whatever tag stands beside it. That of an index may stand for images of
    several platforms; the one pulled by that very digest comes first.
    """
    if not reference.digest:
        return int(entry.name == str(reference))
    name = str(reference.replace(tag=""))
    repository = entry.name.partition("@")[0]
    if "@" not in entry.name:
        repository = repository.rpartition(":")[0]
    if entry.name == name:
        return 3
    if repository != reference.name:
        return 0
    return 2 if reference.digest == entry.digest else int(reference.digest == entry.source)
