"""Making and changing lists of images. What is to be on one is found by `daemonless.images.members`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from daemonless import jsonio
from daemonless.errors import Conflict, NotFound
from daemonless.images.entries import Entry, make_entry, names_of, without_name
from daemonless.images.lists import ImageList, Member, add_member, changed_notes, encode, load_list, new_notes
from daemonless.images.store import ImageStore
from daemonless.oci.image import Descriptor
from daemonless.oci.reference import Reference


def create_list(
    store: ImageStore,
    reference: Reference | None,
    document: dict[str, Any],
    members: Iterable[Member] = (),
    *,
    replace: bool = False,
) -> ImageList:
    """Make a list of what `document` names, and of `members`, all of which has been leased.

    Without a reference it has no name. With `replace` it takes the name from what has it; else raises
    Conflict. Raises InvalidData for a document that is none.
    """
    name = str(reference) if reference else ""
    members = tuple(members)
    for member in members:
        add_member(document, member)
    store.blobs.sweep()
    with store.lock():
        entries = store.entries()
        if replace:
            entries = without_name(entries, name)
        elif reference and any(entry.name == name for entry in entries):
            raise Conflict(
                f"{name} is already in use", f"another name, or: daemonless manifest rm {reference.familiar}"
            )
        data = encode(document)
        new = _entry(store, document, data, name, changed_notes(new_notes(), document, members))
        store.write([*entries, new])
        return load_list(new, (name,) if name else (), data)


def change_list(
    store: ImageStore,
    found: ImageList,
    change: Callable[[dict[str, Any]], object],
    members: Iterable[Member] = (),
) -> ImageList:
    """Have `change` change the document of a list, which keeps its id and its names.

    `members` are those that become new by that, which have been leased. Raises NotFound if the list was
    removed, or what `change` raises.
    """
    store.blobs.sweep()
    with store.lock():
        entries = store.entries()
        old = next((entry for entry in entries if entry.key == found.key), None)
        if old is None:
            raise NotFound(f"no such list of images: {found.shown}", "it was removed just now")
        document = jsonio.loads(store.blobs.read(old.digest))
        change(document)
        data = encode(document)
        new = _entry(store, document, data, "", changed_notes(old.notes, document, members))
        changed = [
            make_entry(new.descriptor, entry.name, new.notes) if entry.key == old.key else entry
            for entry in entries
        ]
        store.write(changed)
        if not any(entry.digest == old.digest for entry in changed):
            store.blobs.remove(old.digest)
        return load_list(new, names_of(entries, old), data)


def add_members(
    store: ImageStore, found: ImageList, members: Iterable[Member]
) -> tuple[ImageList, list[str]]:
    """Put images on a list; return the list, and the digests of those that had to make room.

    Raises as `change_list`.
    """
    members = tuple(members)
    gone: list[str] = []

    def change(document: dict[str, Any]) -> None:
        gone[:] = [digest for digest in (add_member(document, member) for member in members) if digest]

    return change_list(store, found, change, members), gone


def take_off(
    store: ImageStore, found: ImageList, digests: Collection[str], check_unused: Callable[[], None]
) -> ImageList:
    """Take images off a list, all of whose needs are leased, and return what it has become.

    `check_unused` is called when nobody can come to use them any more; what it raises puts them back, at
    the end of the list. Raises as `change_list`, too.
    """
    members: list[Member] = []

    def leave_out(document: dict[str, Any]) -> None:
        listed: list[dict[str, Any]] = document["manifests"]
        members[:] = [
            Member(descriptor=each, origin=found.origins.get(each["digest"], ""))
            for each in listed
            if each["digest"] in digests
        ]
        document["manifests"] = [each for each in listed if each["digest"] not in digests]

    changed = change_list(store, found, leave_out)
    try:
        check_unused()
    except BaseException:
        add_members(store, changed, members)
        raise
    return changed


def _entry(
    store: ImageStore, document: dict[str, Any], data: bytes, name: str, notes: dict[str, str]
) -> Entry:
    digest = store.blobs.add(data)
    return make_entry(
        Descriptor(media_type=document["mediaType"], digest=digest, size=len(data)), name, notes
    )
