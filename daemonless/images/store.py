"""Which images there are, and which lists of images: kept in the layout's index.json.

index.json holds one descriptor per name, with the full name in the annotation
org.opencontainers.image.ref.name (`daemonless.images.entries`). A list of images
(`daemonless.images.lists`) stands beside them; where an image is wanted, it stands for the one of a
platform.

Readers take no lock: they see the file before or after a change. Writers hold `images.lock`, for
milliseconds, never across a download.
"""

from __future__ import annotations

from daemonless import failpoints, jsonio
from daemonless.errors import (
    DaemonlessError,
    InvalidData,
    NotFound,
    Unsupported,
    UsageError,
    printable,
)
from daemonless.files import Lock, write_atomic
from daemonless.images import entries as index_file
from daemonless.images.blobs import BlobStore
from daemonless.images.entries import (
    SIZE,
    SOURCE,
    Entry,
    likeness,
    make_entry,
    names_of,
    with_name,
    without_name,
)
from daemonless.images.lists import ImageList, load_list
from daemonless.oci.digest import Digest, is_hex
from daemonless.oci.image import (
    Descriptor,
    Index,
    Manifest,
    Platform,
    choose_manifest,
    diff_ids,
    host_platform,
    parse_config,
    parse_document,
)
from daemonless.oci.reference import Reference, is_short, parse_reference, repository_of
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

STARTER = "daemonless.local/starter-busybox:latest"  # see daemonless.images.starter
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
    def key(self) -> str:
        """What tells it from others in the list of images."""
        return self.digest

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


class ImageStore:
    """The images below `data`, the root of all durable state."""

    def __init__(self, data: str) -> None:
        self.data = data
        self.blobs = BlobStore(data)
        self.damaged: list[str] = []  # what `images` had to leave out, one line each
        self._index = f"{self.blobs.root}/index.json"

    # --- reading ------------------------------------------------------------------------------

    def resolve(self, name: str, wanted: Platform | None = None) -> Image:
        """Return the image of a name, an id, a prefix of an id, or a digest.

        Of a list it is the image for the platform `wanted`, or for this machine, and its names are the
        list's. Raises NotFound,
        UsageError for what cannot be a name, InvalidData if the image is damaged, Unsupported if a
        list has no such image here.
        """
        entry, names = self._look_up(name)
        if entry.is_list:
            entry = self._member(entry, printable(name), wanted or host_platform())
        return self._load_listed(name, entry, names)

    def find(self, name: str) -> Image | ImageList:
        """Return what a name, an id or a digest stands for; raises as `resolve`."""
        entry, names = self._look_up(name)
        return self._load_list(entry, names) if entry.is_list else self._load_listed(name, entry, names)

    def find_list(self, name: str) -> ImageList:
        """Return the list of a name, an id or a digest. Raises NotFound for an image, too."""
        found = self.find(name)
        if isinstance(found, ImageList):
            return found
        raise NotFound(
            f"{printable(name)} is an image and no list of images",
            f"make a list of it: daemonless manifest create NAME {printable(name)}",
        )

    def _look_up(self, name: str) -> tuple[Entry, tuple[str, ...]]:
        """Return the entry that is meant, and all names of the same image or list."""
        entries = self.entries()
        try:
            wanted = self._find(entries, name)
        except NotFound:
            full_name = _meant(name, [entry.name for entry in entries])
            if not full_name:
                raise
            wanted = self._find(entries, full_name)
        return wanted, names_of(entries, wanted)

    def _load_listed(self, name: str, entry: Entry, names: tuple[str, ...]) -> Image:
        try:
            return self._load(entry, names)
        except InvalidData:
            if self._is_listed(entry.key):
                raise
            raise NotFound(f"no such image: {printable(name)}", "it was removed just now") from None

    def name_of(self, image: Image | ImageList, text: str) -> str:
        """Return the full name `text` stands for, or an empty string if it is an id or a digest."""
        try:
            name = str(parse_reference(text))
        except UsageError:
            return ""
        return name if name in image.names else _meant(text, image.names)

    def images(self) -> list[Image]:
        """Return all images that can be read; `damaged` then tells of the others."""
        self.damaged = []
        images = []
        for entry, names in self._each(lists=False):
            try:
                images.append(self._load(entry, names))
            except DaemonlessError as error:
                if self._is_listed(entry.key):  # not removed meanwhile
                    self.damaged.append(error.message)
        return images

    def lists(self) -> list[ImageList]:
        """Return all lists of images that can be read; the others are added to `damaged`."""
        lists = []
        for entry, names in self._each(lists=True):
            try:
                lists.append(self._load_list(entry, names))
            except DaemonlessError as error:
                self.damaged.append(error.message)
        return lists

    def _each(self, *, lists: bool) -> Iterator[tuple[Entry, tuple[str, ...]]]:
        """Yield the images, or the lists, each once and with its names."""
        entries = self.entries()
        for entry in {entry.key: entry for entry in reversed(entries) if entry.is_list == lists}.values():
            yield entry, names_of(entries, entry)

    def listed(self) -> dict[str, tuple[str, ...]]:
        """Return the digests of all listed manifests, readable or not, with their names."""
        found: dict[str, tuple[str, ...]] = {}
        for entry in self.entries():
            found[entry.digest] = found.get(entry.digest, ()) + ((entry.name,) if entry.name else ())
        return found

    def blobs_of(self, digest: str) -> dict[str, int]:
        """Return all blobs that a listed manifest or index needs with their sizes, itself included.

        Raises NotFound or InvalidData if its documents cannot be read.
        """
        data = self.blobs.read(digest)
        found = {digest: len(data)}
        document = parse_document(data, what=f"manifest {digest}")
        if isinstance(document, Index):
            for member in self._members_here(document):
                descriptors = (member.config, *member.layers)
                found |= {each.digest: each.size for each in descriptors if self.blobs.has(each.digest)}
            return found
        config = self.blobs.read(document.config.digest)
        if len(diff_ids(parse_config(config, what="the config"))) != len(document.layers):
            raise InvalidData(f"manifest {digest} does not have the layers that its config names")
        descriptors = (document.config, *document.layers)
        return found | {descriptor.digest: descriptor.size for descriptor in descriptors}

    def entries(self) -> list[Entry]:
        """Return what index.json lists; raises InvalidData."""
        try:
            return index_file.read_entries(self._index)
        except FileNotFoundError:
            return []
        except OSError as error:
            reason = f"{self._index} cannot be read: {error.strerror}"
        except InvalidData as error:
            reason = error.message
        raise InvalidData(reason, "move it away and pull the images again: what is here is not fetched")

    def _find(self, entries: list[Entry], name: str) -> Entry:
        """Names beat prefixes of ids, as with docker and podman."""
        reference = None
        if not name.startswith("sha256:") and not (len(name) == 64 and is_hex(name)):
            try:
                reference = parse_reference(name)
            except UsageError:
                if not is_hex(name):
                    raise
        if reference:
            best = max(entries, key=lambda entry: likeness(entry, reference), default=None)
            if best and likeness(best, reference):
                return best
        prefix = name.removeprefix("sha256:")
        if is_hex(prefix):
            found = {entry.key: entry for entry in entries if self._has_id(entry, prefix)}
            if not found:  # an image may be here for the sake of a list alone
                members = (each for entry in entries if entry.is_list for each in self._members(entry))
                found = {entry.key: entry for entry in members if self._has_id(entry, prefix)}
            if len({self._id_of(entry) for entry in found.values()}) > 1:
                raise UsageError(f'"{name}" is the start of more than one image id', "give more digits")
            if found:
                return next(iter(found.values()))
        raise self._missing(entries, name, reference)

    def _has_id(self, entry: Entry, prefix: str) -> bool:
        identity = self._id_of(entry)
        if identity and identity.partition(":")[2].startswith(prefix):
            return True
        return len(prefix) == 64 and f"sha256:{prefix}" in (entry.digest, entry.source)

    def _id_of(self, entry: Entry) -> str:
        """Return the id of an image or a list, empty if the manifest cannot be read."""
        if entry.is_list:
            return entry.key
        try:
            return self._manifest(entry)[1].config.digest
        except DaemonlessError:
            return ""

    def _missing(self, entries: list[Entry], name: str, reference: Reference | None) -> NotFound:
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

    def _manifest(self, entry: Entry) -> tuple[bytes, Manifest]:
        data = self.blobs.read(entry.digest)
        manifest = parse_document(data, what=f"manifest {entry.digest}")
        if not isinstance(manifest, Manifest):
            raise InvalidData(f"{entry.digest} is not the manifest of an image")
        return data, manifest

    def _load(self, entry: Entry, names: tuple[str, ...]) -> Image:
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

    def unlisted(self, descriptor: Descriptor) -> Image:
        """Return an image that is not in the list, whose blobs the caller holds a lease on."""
        return self._load(Entry(descriptor=descriptor, name=""), ())

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
            entries = self.entries()
            if not name and any(entry.key == descriptor.digest for entry in entries):
                return True  # the same image is listed already
            notes = {SIZE: str(size), SOURCE: source_digest or descriptor.digest}
            new = make_entry(descriptor, name, notes)
            self.write(with_name(entries, new) if name else [*entries, new])
        return True

    def tag(self, image: Image | ImageList, reference: Reference) -> None:
        """Give an image or a list another name, taking it from the one that has it."""
        with self.lock():
            entries = self.entries()
            found = next((entry for entry in entries if entry.key == image.key), None)
            if found is None:
                raise NotFound(f"no such image: {image.id}")
            self.write(with_name(entries, make_entry(found.descriptor, str(reference), found.notes)))

    def untag(self, name: str) -> None:
        """Take a full name away; the image stays, nameless if this was its last one."""
        with self.lock():
            self.write(without_name(self.entries(), name))

    def has(self, image: Image) -> bool:
        """Return whether the image is still listed, or on a list."""
        if self._is_listed(image.key):
            return True
        return any(
            member.digest == image.digest for found in self.lists() for member in found.index.manifests
        )

    def _is_listed(self, key: str) -> bool:
        return any(entry.key == key for entry in self.entries())

    def unlist(self, image: Image | ImageList, check_unused: Callable[[], None] = lambda: None) -> None:
        """Take an image or a list off the list, with all its names; its blobs and layers are garbage then.

        `check_unused` is called when the image is listed no more, so that no new user of it can
        come; what it raises puts the image back.
        """
        with self.lock():
            entries = self.entries()
            self.write([entry for entry in entries if entry.key != image.key])
            try:
                check_unused()
            except BaseException:
                self.write(entries)
                raise

    def forget(self, name: str) -> list[str]:
        """Drop a damaged image from the list and return its names; what it used stays on disk."""
        with self.lock():
            entries = self.entries()
            key = self._find(entries, name).key
            self.write([entry for entry in entries if entry.key != key])
        return [entry.name for entry in entries if entry.key == key and entry.name]

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
        for entry in self.entries():
            if entry.digest not in needed:
                try:
                    needed.update(self._needs_of(entry.digest))
                except DaemonlessError as error:
                    raise _damaged(entry.name or entry.digest, error) from error
        return needed

    def needs_of(self, image: Image | ImageList) -> frozenset[str]:
        """Return the digests of what an image or a list consists of; raises as `needs`."""
        if isinstance(image, Image):
            return image.needs
        return frozenset((image.digest, *self._needs_of_members(image.index)))

    def _needs_of(self, digest: str) -> Iterator[str]:
        yield digest
        document = parse_document(self.blobs.read(digest), what=f"manifest {digest}")
        if isinstance(document, Index):
            yield from self._needs_of_members(document)
            return
        yield document.config.digest
        yield from (layer.digest for layer in document.layers)
        yield from diff_ids(parse_config(self.blobs.read(document.config.digest), what="the config"))

    def _needs_of_members(self, index: Index) -> Iterator[str]:
        """Yield what of them is here or may come; they need not be images."""
        yield from (member.digest for member in index.manifests)
        for member in self._members_here(index):
            yield member.config.digest
            yield from (layer.digest for layer in member.layers)
            try:
                yield from diff_ids(parse_config(self.blobs.read(member.config.digest), what="the config"))
            except DaemonlessError:
                pass  # no image, or none that is here: no container stands on its layers

    # --- members of lists -----------------------------------------------------------------------

    def member(self, digest: str) -> Image:
        """Return the image of a list's manifest. Raises InvalidData if not all of its documents are here."""
        return self.unlisted(Descriptor(media_type="", digest=Digest(digest), size=0))

    def _load_list(self, entry: Entry, names: tuple[str, ...]) -> ImageList:
        try:
            return load_list(entry, names, self.blobs.read(entry.digest))
        except NotFound as error:
            changed = next((each for each in self.entries() if each.key == entry.key), entry)
            if changed.digest != entry.digest:  # meanwhile
                return self._load_list(changed, names)
            raise _damaged(names[0] if names else entry.digest, error) from error
        except DaemonlessError as error:
            raise _damaged(names[0] if names else entry.digest, error) from error

    def _members_here(self, index: Index) -> Iterator[Manifest]:
        """Yield the manifests of an index that are here; what they name need not be."""
        return self._manifests_here(each.digest for each in index.manifests)

    def _manifests_here(self, digests: Iterable[str]) -> Iterator[Manifest]:
        for digest in digests:
            if self.blobs.has(digest):
                document = parse_document(self.blobs.read(digest), what=f"manifest {digest}")
                if isinstance(document, Manifest):
                    yield document

    def _members(self, entry: Entry) -> Iterator[Entry]:
        """Yield entries for the images of a list, nameless ones."""
        for descriptor in self._load_list(entry, ()).index.manifests:
            if self.blobs.has(descriptor.digest):
                yield Entry(descriptor=descriptor.replace(annotations=()), name="")

    def _member(self, entry: Entry, shown: str, wanted: Platform) -> Entry:
        """Return an entry for the image of a list that is for a platform. Raises Unsupported."""
        found = self._load_list(entry, ())
        try:
            chosen = choose_manifest(found.index, wanted, what=f"the list {shown}")
        except NotFound as error:
            raise Unsupported(error.message, error.hint) from None
        if not self.is_whole(chosen.digest):
            origin = repository_of(found.origins.get(chosen.digest, ""))
            raise Unsupported(
                f"the image for {wanted} of the list {shown} is not on this machine",
                f"fetch it with: daemonless pull {origin}@{chosen.digest}" if origin else "",
            )
        return Entry(descriptor=chosen.replace(annotations=()), name="")

    def ids_on(self, found: ImageList) -> set[str]:
        """Return the ids of the images on a list whose manifests are here."""
        return self.ids_of(each.digest for each in found.index.manifests)

    def ids_of(self, digests: Iterable[str]) -> set[str]:
        """Return the ids of the images of those manifests that are here."""
        return {manifest.config.digest for manifest in self._manifests_here(digests)}

    def is_whole(self, digest: str) -> bool:
        """Return whether a manifest and all it names are here."""
        if not self.blobs.has(digest):
            return False
        document = parse_document(self.blobs.read(digest), what=f"manifest {digest}")
        return isinstance(document, Manifest) and all(
            self.blobs.has(each.digest, each.size) for each in (document.config, *document.layers)
        )

    # --- the file -------------------------------------------------------------------------------

    def write(self, entries: list[Entry]) -> None:
        """Replace index.json; the caller holds the lock. Raises OSError."""
        failpoints.reach("images.write")
        write_atomic(self._index, index_file.index_of(entries))

    def lock(self) -> Lock:
        """Return the lock of who changes the list, or removes what it does not need; raises OSError."""
        self.blobs.prepare()
        return Lock(f"{self.data}/images.lock")


def _meant(text: str, names: Iterable[str]) -> str:
    """Return which of the names registries.conf gives a short one; empty if it is none of them."""
    pulled = {name for name in names if name and not name.startswith(_OWN)}
    if not pulled or not is_short(text):
        return ""
    # For a name that is not here as it is: reading these files takes 10 ms.
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
