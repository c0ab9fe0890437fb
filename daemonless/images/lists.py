"""Lists of images: one name for an image on several platforms (image-spec, image-index.md).

A list lies in the store as an index, a blob like any other, and is changed by writing another. What it
names need not be here: of an image that is in a registry only the manifest is kept, and the name it is to
be had by. What is here of its members stays as long as the list does, whether they have names or not.

Documents are kept and changed as they are, so that what others wrote in one goes through unharmed.
"""

from __future__ import annotations

import os
import time

from daemonless import jsonio
from daemonless.errors import InvalidData, NotFound, printable
from daemonless.images.entries import LIST_CREATED, LIST_ID, LIST_ORIGINS, Entry
from daemonless.oci.image import MAX_DOCUMENT, OCI_INDEX, Index, parse_document, string_map
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


class Member(Record):
    """An image that a list is to have."""

    descriptor: dict[str, Any]  # as it is to stand in the list
    origin: str = ""  # the name under which its layers are to be had, if they are not here


class ImageList(Record):
    """One list of the store, and its names."""

    id: str  # random, and stays while the list changes; in the form of an image's
    names: tuple[str, ...]
    digest: str  # of the index
    data: bytes
    index: Index
    created: str
    origins: dict[str, str]  # names by the digests of members that are not here

    @property
    def key(self) -> str:
        """What tells it from others in the list of images."""
        return self.id

    @property
    def source_digest(self) -> str:
        """As of an image."""
        return self.digest

    @property
    def size(self) -> int:
        """Bytes of the document; those of the images are theirs."""
        return len(self.data)

    @property
    def labels(self) -> dict[str, str]:
        """None: labels are the images'."""
        return {}

    @property
    def shown(self) -> str:
        """How messages call it."""
        return self.names[0] if self.names else self.id[7:19]

    def document(self) -> dict[str, Any]:
        """Return a copy of the index, to change it."""
        copy: dict[str, Any] = jsonio.loads(self.data)
        return copy


def load_list(entry: Entry, names: tuple[str, ...], data: bytes) -> ImageList:
    """Return the list of an entry and its document; raises InvalidData."""
    index = parse_document(data, what=f"index {entry.digest}")
    if not isinstance(index, Index):
        raise InvalidData(f"{entry.digest} is not a list of images")
    origins = jsonio.loads(entry.descriptor.annotation(LIST_ORIGINS) or "{}")
    return ImageList(
        id=entry.key,
        names=names,
        digest=entry.digest,
        data=data,
        index=index,
        created=entry.descriptor.annotation(LIST_CREATED),
        origins=string_map({"origins": origins}, "origins", "a list"),
    )


def new_notes() -> dict[str, str]:
    """Return what is noted of a list that is made now."""
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {LIST_ID: f"sha256:{os.urandom(32).hex()}", LIST_CREATED: created}


def changed_notes(
    notes: dict[str, str], document: dict[str, Any], members: Iterable[Member]
) -> dict[str, str]:
    """Return the notes of a list that has come to be `document`, with some members that are new."""
    known = jsonio.loads(notes.get(LIST_ORIGINS) or "{}")
    for member in members:
        digest = member.descriptor["digest"]
        known.pop(digest, None)
        if member.origin:
            known[digest] = member.origin
    listed = {each["digest"] for each in document["manifests"]}
    origins = {digest: origin for digest, origin in known.items() if digest in listed}
    others = {key: value for key, value in notes.items() if key != LIST_ORIGINS}
    return {**others, LIST_ORIGINS: jsonio.dumps(origins)} if origins else others


# --- documents --------------------------------------------------------------------------------


def new_document(annotations: dict[str, str]) -> dict[str, Any]:
    """Return the index of a list without images."""
    document: dict[str, Any] = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    return {**document, "annotations": annotations} if annotations else document


def encode(document: dict[str, Any]) -> bytes:
    """Return the bytes of a list; raises InvalidData for what is none, or too long."""
    data = jsonio.dumps(document).encode()
    if len(data) > MAX_DOCUMENT:
        raise InvalidData(f"the list would be longer than {MAX_DOCUMENT} bytes")
    parse_document(data, what="the list")
    return data


def add_member(document: dict[str, Any], member: Member) -> str:
    """Put an image on a list, in the place of one that a reader could not tell from it.

    That is the same one, or one with the same platform and the same annotations. Return the digest
    of the one that has gone, or an empty string.
    """
    new = member.descriptor
    manifests: list[dict[str, Any]] = document["manifests"]
    for position, old in enumerate(manifests):
        same_use = "platform" in new and all(
            old.get(key) == new.get(key) for key in ("platform", "annotations")
        )
        is_image = new.get("platform", {}).get("os") != "unknown"  # not a document about one
        if old["digest"] == new["digest"] or (same_use and is_image):
            manifests[position] = new
            return "" if old["digest"] == new["digest"] else str(old["digest"])
    manifests.append(new)
    return ""


def remove_member(document: dict[str, Any], digest: str) -> None:
    """Take an image off a list. Raises NotFound."""
    find_member(document, digest)
    document["manifests"] = [each for each in document["manifests"] if each["digest"] != digest]


def find_member(document: dict[str, Any], digest: str) -> dict[str, Any]:
    """Return the descriptor of an image of a list. Raises NotFound."""
    for each in document["manifests"]:
        if each["digest"] == digest:
            found: dict[str, Any] = each
            return found
    raise NotFound(
        f"the list has no image {printable(digest)}", "daemonless manifest inspect shows what it has"
    )


def describe(descriptor: dict[str, Any], platform: dict[str, Any], annotations: dict[str, str]) -> None:
    """Change what a descriptor says of its image: the members of its platform, and annotations, given."""
    if platform:
        descriptor["platform"] = {**(descriptor.get("platform") or {}), **platform}
    if annotations:
        descriptor["annotations"] = {**(descriptor.get("annotations") or {}), **annotations}
