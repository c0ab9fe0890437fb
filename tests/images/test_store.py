"""Names, digests and sharing in the store; pull against a registry is an integration test."""

import json
import os
import threading

import pytest

from daemonless.errors import InvalidData, NotFound, UsageError
from daemonless.images import garbage
from daemonless.images.blobs import BlobStore
from daemonless.images.store import ImageStore
from daemonless.oci.image import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Descriptor
from daemonless.oci.reference import parse_reference


def put(store, *names, layers=(b"layer",), source="", **config):
    """Add an image, with layers that count as unpacked, under each name; return it."""
    blobs = store.blobs
    digests = [blobs.add(data) for data in layers]
    for digest in digests:  # these layers are not compressed: diff_id and digest are one
        os.makedirs(f"{store.data}/layers/default/{digest.hex}", exist_ok=True)
    document = {"architecture": "amd64", "os": "linux", **config}
    document["rootfs"] = {"type": "layers", "diff_ids": digests}
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": describe(blobs, OCI_CONFIG, json.dumps(document).encode()),
        "layers": [describe(blobs, OCI_LAYER, data) for data in layers],
    }
    data = json.dumps(manifest).encode()
    descriptor = Descriptor(media_type=OCI_MANIFEST, digest=blobs.add(data), size=len(data))
    for name in names:
        assert store.add(parse_reference(name), descriptor, size=10, source_digest=source)
    return store.resolve(names[0])


def describe(blobs, media_type, data):
    return {"mediaType": media_type, "digest": blobs.add(data), "size": len(data)}


def blobs_of(store):
    return set(os.listdir(f"{store.blobs.root}/blobs/sha256"))


def layers_of(store):
    return set(os.listdir(f"{store.data}/layers/default"))


# --- finding ---


def test_an_empty_store(store):
    assert store.images() == []
    with pytest.raises(NotFound, match="no such image: busybox") as caught:
        store.resolve("busybox")
    assert "daemonless pull docker.io/library/busybox:latest" in caught.value.hint


def test_what_a_name_finds(store):
    image = put(store, "busybox", "user/app:1", config={"Labels": {"a": "b"}}, created="2026-01-01T00:00:00Z")
    assert image.names == ("docker.io/library/busybox:latest", "docker.io/user/app:1")
    hexes = image.id[7:]
    for text in ("busybox", "docker.io/busybox:latest", "user/app:1", hexes, hexes[:12], hexes[:1], image.id):
        assert store.resolve(text) == image, text
    for text in (image.digest, f"busybox@{image.digest}", f"busybox:other@{image.digest}"):
        assert store.resolve(text) == image, text
    assert (image.labels, image.size, image.created) == ({"a": "b"}, 10, "2026-01-01T00:00:00Z")


@pytest.mark.parametrize(
    "text", ["busybox:2", "other", "sha256:" + "0" * 64, "0" * 64, "other@sha256:" + "0" * 64]
)
def test_what_is_not_found(store, text):
    put(store, "busybox")
    with pytest.raises(NotFound, match="no such image"):
        store.resolve(text)


def test_the_hint_names_the_tags_there_are(store):
    put(store, "busybox:1.35", "busybox:1.36")
    with pytest.raises(NotFound) as caught:
        store.resolve("busybox")
    assert "has :1.35, :1.36" in caught.value.hint


@pytest.mark.parametrize("text", ["", "UPPER", "a b", "../x"])
def test_what_cannot_be_a_name(store, text):
    with pytest.raises(UsageError):
        store.resolve(text)


def test_names_beat_the_beginnings_of_ids(store):
    first = put(store, "a")
    second = put(store, first.id[7:13], layers=(b"other",))
    assert store.resolve(first.id[7:13]) == second


def test_an_ambiguous_prefix(store):
    images = [put(store, f"a:{number}", author=str(number)) for number in range(17)]
    prefix = next(p for p in "0123456789abcdef" if sum(image.id[7] == p for image in images) > 1)
    with pytest.raises(UsageError, match="more than one image id"):
        store.resolve(prefix)


def test_the_digest_of_an_index_finds_the_image_pulled_by_it(store):
    index = "sha256:" + "1" * 64
    other = put(store, "app", source=index, author="other platform")
    assert store.resolve(f"app@{index}") == other
    mine = put(store, f"app@{index}", source=index, author="this platform")
    assert store.resolve(f"app@{index}") == mine
    assert store.resolve(f"app:any@{index}") == mine
    assert store.resolve("app") == other


# --- names come and go ---


def test_a_name_moves_and_leaves_a_nameless_image(store):
    old = put(store, "app")
    new = put(store, "app", author="new")
    assert store.resolve("app") == new
    assert store.resolve(old.id).names == ()
    put(store, "app")  # the old one again
    assert store.resolve("app").id == old.id
    assert {image.id: image.names for image in store.images()}[new.id] == ()


def test_a_name_moves_from_an_image_that_has_another(store):
    old = put(store, "app", "kept")
    put(store, "app", author="new")
    assert store.resolve(old.id).names == ("docker.io/library/kept:latest",)
    assert len(store.images()) == 2


def test_tag_and_untag(store):
    image = put(store, "app")
    store.tag(image, parse_reference("other:1"))
    store.untag("docker.io/library/app:latest")
    assert store.resolve("other:1").names == ("docker.io/library/other:1",)
    store.untag("docker.io/library/other:1")
    assert store.resolve(image.id).names == ()
    store.tag(image, parse_reference("again"))
    assert [each.names for each in store.images()] == [("docker.io/library/again:latest",)]


def test_incomplete_images_get_no_name(store):
    image = put(store, "app")
    descriptor = Descriptor(media_type=OCI_MANIFEST, digest=image.digest, size=1)
    assert not store.add(parse_reference("other"), descriptor, size=1, is_complete=lambda: False)
    assert image.names == store.resolve("app").names


def test_many_writers(store):
    image = put(store, "app")

    def tag(number):
        ImageStore(store.data).tag(image, parse_reference(f"app:{number}"))

    threads = [threading.Thread(target=tag, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.resolve("app").names) == 21


# --- removing ---


def test_removing_takes_only_what_no_other_image_uses(store):
    one = put(store, "one", layers=(b"shared", b"own"))
    two = put(store, "two", layers=(b"shared",))
    garbage.remove(store, one, garbage.nobody)
    assert store.resolve("two") == two
    used = {two.digest, two.id, *two.diff_ids}
    assert blobs_of(store) == {digest[7:] for digest in used}
    assert layers_of(store) == {digest[7:] for digest in two.diff_ids}
    garbage.remove(store, two, garbage.nobody)
    assert blobs_of(store) == layers_of(store) == set()
    assert store.images() == []


def test_nothing_is_deleted_while_it_is_unknown_what_is_used(store):
    one = put(store, "one")
    two = put(store, "two", layers=(b"other",))
    os.unlink(store.blobs.path(two.id))
    garbage.remove(store, one, garbage.nobody)
    assert one.digest[7:] in blobs_of(store)
    with pytest.raises(NotFound):
        store.resolve("one")


def test_a_damaged_image_is_told_of_and_can_be_forgotten(store):
    whole, damaged = put(store, "whole"), put(store, "damaged", author="x")
    with open(store.blobs.path(damaged.digest), "w") as file:
        file.write("{")
    assert store.images() == [whole]
    assert len(store.damaged) == 1
    with pytest.raises(InvalidData, match=r"image docker\.io/library/damaged:latest is damaged"):
        store.resolve("damaged")
    assert store.forget("damaged") == ["docker.io/library/damaged:latest"]
    assert store.images() == [whole]
    assert store.damaged == []


@pytest.mark.parametrize("content", [b"", b"{", b"\0" * 99, b"[]", b'{"manifests":3}', b'{"manifests":[{}]}'])
def test_a_damaged_index(store, content):
    put(store, "app")
    with open(f"{store.blobs.root}/index.json", "wb") as file:
        file.write(content)
    with pytest.raises(InvalidData):
        store.images()


# --- blobs ---


def test_a_blob_is_invisible_until_it_is_committed(tmp_path):
    store = BlobStore(str(tmp_path))
    store.prepare()
    digest = store.add(b"x")
    os.unlink(store.path(digest))
    with store.stage(digest) as staged:
        staged.write(b"x")
        assert not store.has(digest)
        staged.commit()
        assert store.is_intact(digest, 1)
    assert os.listdir(store.staging) == []
    with store.stage(digest):
        pass
    assert os.listdir(store.staging) == []


def test_sweeping_spares_living_writers(tmp_path):
    store = BlobStore(str(tmp_path))
    store.prepare()
    dead = f"{store.staging}/blob.1.dead"
    foreign = f"{store.staging}/other"
    for path in (dead, foreign):
        with open(path, "w"):
            pass
    with store.stage("sha256:" + "0" * 64) as staged:
        store.sweep()
        assert not os.path.exists(dead)
        assert os.path.exists(foreign)
        staged.commit()


def test_a_blob_with_the_right_size_and_wrong_bytes_is_not_intact(tmp_path):
    store = BlobStore(str(tmp_path))
    store.prepare()
    digest = store.add(b"whole")
    with open(store.path(digest), "wb") as file:
        file.write(bytes(5))
    assert store.has(digest, 5)
    assert not store.is_intact(digest, 5)
