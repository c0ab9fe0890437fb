"""Lists of images in the store: what they keep, what they stand for, how they change."""

import json
import os

import pytest

from daemonless.errors import Conflict, InvalidData, NotFound, Unsupported
from daemonless.images import garbage
from daemonless.images.listing import add_members, change_list, create_list
from daemonless.images.lists import Member, add_member, new_document, remove_member
from daemonless.oci.image import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Descriptor, Platform
from daemonless.oci.reference import parse_reference

ARM = Platform(architecture="arm64")
AMD = Platform(architecture="amd64")
LIST = parse_reference("localhost/list")
ELSEWHERE = "sha256:" + "e" * 64


def image(store, architecture, word, *, listed=True, here=True):
    """Add an image of one layer and return its descriptor as a list has it."""
    layer = store.blobs.add(word.encode()) if here else ELSEWHERE
    config = {"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer]}}
    data = json.dumps(config).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": store.blobs.add(data), "size": len(data)},
        "layers": [{"mediaType": OCI_LAYER, "digest": layer, "size": len(word)}],
    }
    data = json.dumps(manifest).encode()
    descriptor = Descriptor(media_type=OCI_MANIFEST, digest=store.blobs.add(data), size=len(data))
    if listed:
        assert store.add(parse_reference(f"localhost/{word}"), descriptor, size=1)
    return {**descriptor.to_json(), "platform": {"os": "linux", "architecture": architecture}}


def made(store, *descriptors, reference=LIST):
    return create_list(store, reference, new_document({}), [Member(descriptor=each) for each in descriptors])


def blobs(store):
    return set(os.listdir(f"{store.blobs.root}/blobs/sha256"))


def test_a_list_stands_for_the_image_of_a_platform(store):
    found = made(store, image(store, "amd64", "one"), image(store, "arm64", "two"))
    assert (
        store.find_list("localhost/list") == store.find(found.id[7:20]) == store.find(found.digest) == found
    )
    assert store.resolve("localhost/list", ARM).config["architecture"] == "arm64"
    assert store.resolve("localhost/list", AMD).names == ("localhost/list:latest",)
    assert [each.names for each in store.lists()] == [("localhost/list:latest",)]
    assert sorted(store.resolve(name).config["architecture"] for name in ("localhost/one", "localhost/two"))
    assert len(store.images()) == 2
    with pytest.raises(
        Unsupported, match="does not exist for linux/s390x: it offers linux/amd64, linux/arm64"
    ):
        store.resolve("localhost/list", Platform(architecture="s390x"))
    with pytest.raises(NotFound, match="is an image and no list"):
        store.find_list("localhost/one")


def test_what_is_on_a_list_stays_without_a_name(store):
    found = made(store, image(store, "amd64", "one"))
    member = store.resolve("localhost/one")
    garbage.remove(store, member, garbage.nobody)
    assert store.has(member)
    assert store.resolve("localhost/list", AMD).digest == member.digest
    assert store.resolve(member.id[7:19]).digest == member.digest  # the record of a container has the id
    assert store.ids_on(found) == {member.id}
    garbage.remove(store, found, garbage.nobody)
    assert blobs(store) == set() and not store.has(member)


def test_an_image_that_is_not_here(store):
    descriptor = image(store, "amd64", "far", listed=False, here=False)
    members = [Member(descriptor=descriptor, origin="registry.example/app:1")]
    found = create_list(store, LIST, new_document({}), members)
    assert found.origins == {descriptor["digest"]: "registry.example/app:1"}
    assert {descriptor["digest"], ELSEWHERE} <= store.needs()
    with pytest.raises(Unsupported, match="is not on this machine") as caught:
        store.resolve("localhost/list", AMD)
    assert caught.value.hint == f"fetch it with: daemonless pull registry.example/app@{descriptor['digest']}"
    assert ELSEWHERE not in store.blobs_of(found.digest)  # `system check` does not miss it
    found = change_list(store, found, lambda document: remove_member(document, descriptor["digest"]))
    assert found.origins == {} and found.index.manifests == ()


def test_names_of_one_list_and_lists_that_are_alike(store):
    first, other = made(store), made(store, reference=parse_reference("localhost/other"))
    assert first.digest == other.digest and first.id != other.id
    store.tag(first, parse_reference("localhost/second"))
    changed, gone = add_members(store, first, [Member(descriptor=image(store, "amd64", "one"))])
    assert not gone and changed.id == first.id
    assert set(changed.names) == {"localhost/list:latest", "localhost/second:latest"}
    assert store.find_list("localhost/second") == changed
    assert store.find_list("localhost/other").index.manifests == ()
    assert first.digest[7:] in blobs(store)  # the other's
    add_members(store, other, [Member(descriptor=image(store, "arm64", "two"))])
    assert first.digest[7:] not in blobs(store)


def test_a_name_that_is_taken(store):
    image(store, "amd64", "one")
    made(store)
    for name in ("localhost/one", "localhost/list"):
        with pytest.raises(Conflict, match="is already in use"):
            made(store, reference=parse_reference(name))
    store.tag(store.resolve("localhost/one"), LIST)  # an image takes it, as from any other
    assert [each.names for each in store.lists()] == [()]
    assert store.resolve("localhost/list").names == ("localhost/one:latest", "localhost/list:latest")


def test_a_list_that_was_removed(store):
    found = made(store)
    garbage.remove(store, found, garbage.nobody)
    with pytest.raises(NotFound, match="no such list"):
        change_list(store, found, lambda document: None)


def test_a_change_that_fails_changes_nothing(store):
    found = made(store, image(store, "amd64", "one"))
    with pytest.raises(NotFound, match="has no image"):
        change_list(store, found, lambda document: remove_member(document, ELSEWHERE))
    with pytest.raises(InvalidData):
        change_list(store, found, lambda document: document["manifests"].append({"digest": "x"}))
    assert store.find_list("localhost/list") == found


def test_one_image_for_each_use():
    def member(digest, **more):
        return Member(descriptor={"digest": digest, "mediaType": OCI_MANIFEST, "size": 1, **more})

    amd = {"platform": {"os": "linux", "architecture": "amd64"}}
    unknown = {"platform": {"os": "unknown", "architecture": "unknown"}}
    document = new_document({})
    assert document["mediaType"] == OCI_INDEX
    assert add_member(document, member("a", **amd)) == ""
    assert add_member(document, member("a", **amd, annotations={"x": "y"})) == ""  # itself, said again
    assert add_member(document, member("b", **amd)) == ""  # annotations tell them apart
    assert add_member(document, member("c", **amd)) == "b"
    for digest in ("d", "e"):  # documents about images
        assert add_member(document, member(digest, **unknown)) == ""
        assert add_member(document, member(f"{digest}-bare")) == ""
    assert [each["digest"] for each in document["manifests"]] == ["a", "c", "d", "d-bare", "e", "e-bare"]
