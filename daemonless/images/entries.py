"""The entries of index.json: descriptors, with a name each, and what this program notes beside them.

An image that lost its last name stays as one entry without it. So does a list of images, which is
an entry too: its descriptor is that of an index, and changes when the list does.
"""

from __future__ import annotations

from daemonless import jsonio
from daemonless.errors import InvalidData
from daemonless.files import read_file
from daemonless.oci.digest import Digest
from daemonless.oci.image import INDEXES, OCI_INDEX, REF_NAME, Descriptor, parse_descriptor
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemonless.oci.reference import Reference

SIZE = "daemonless.unpacked.size"  # bytes of all layers, unpacked
SOURCE = "daemonless.source.digest"  # what the name stood for in the registry: often an index
LIST_ID = "daemonless.list.id"
LIST_CREATED = "daemonless.list.created"
LIST_ORIGINS = "daemonless.list.origins"  # JSON: names under which members are to be had, by digest
_MAX_INDEX = 64 << 20


class Entry(Record):
    """One descriptor of index.json, and its name or an empty string."""

    descriptor: Descriptor
    name: str

    @property
    def digest(self) -> Digest:
        """Digest of the manifest, or of the index."""
        return self.descriptor.digest

    @property
    def source(self) -> str:
        """What the name stood for in the registry."""
        return self.descriptor.annotation(SOURCE) or self.digest

    @property
    def is_list(self) -> bool:
        """Whether it is a list of images."""
        return self.descriptor.media_type in INDEXES

    @property
    def key(self) -> str:
        """What is the same for all names of one image, or of one list, and for no other."""
        return self.descriptor.annotation(LIST_ID) or self.digest

    @property
    def notes(self) -> dict[str, str]:
        """All annotations but the name."""
        return {key: value for key, value in self.descriptor.annotations if key != REF_NAME}


def make_entry(descriptor: Descriptor, name: str, notes: dict[str, str]) -> Entry:
    """Return an entry; `notes` take the place of the descriptor's annotations."""
    annotations = {**notes, REF_NAME: name} if name else notes
    return Entry(descriptor=descriptor.replace(annotations=tuple(annotations.items())), name=name)


def names_of(entries: Iterable[Entry], wanted: Entry) -> tuple[str, ...]:
    """Return all names of what an entry stands for."""
    return tuple(entry.name for entry in entries if entry.key == wanted.key and entry.name)


def without_name(entries: Iterable[Entry], name: str) -> list[Entry]:
    """Return the entries with one name gone; what it stood for keeps a nameless entry if it needs one."""
    entries = list(entries)
    rest = [entry for entry in entries if entry.name != name]
    for entry in entries:
        if entry.name == name and not any(other.key == entry.key for other in rest):
            rest.append(make_entry(entry.descriptor, "", entry.notes))
    return rest


def with_name(entries: Iterable[Entry], new: Entry) -> list[Entry]:
    """Return the entries with a named one more, which ends the nameless life of what it stands for."""
    rest = without_name(entries, new.name)
    return [*(entry for entry in rest if entry.name or entry.key != new.key), new]


def read_entries(path: str) -> list[Entry]:
    """Read index.json; raises OSError or InvalidData."""
    document = jsonio.loads(read_file(path, _MAX_INDEX), what=path, limit=_MAX_INDEX)
    manifests = document.get("manifests") if isinstance(document, dict) else None
    if not isinstance(manifests, list):
        raise InvalidData(f"{path} is not an image index")
    found = []
    for number, value in enumerate(manifests):
        descriptor = parse_descriptor(value, f"{path}: manifests[{number}]")
        found.append(Entry(descriptor=descriptor, name=descriptor.annotation(REF_NAME)))
    return found


def index_of(entries: Iterable[Entry]) -> bytes:
    """Return index.json."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [entry.descriptor.to_json() for entry in entries],
    }
    return jsonio.dumps(document).encode()


def likeness(entry: Entry, reference: Reference) -> int:
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
