"""What a cache says of itself: merged, capped, and read with suspicion."""

from __future__ import annotations

import copy

import pytest

from daemonless import jsonio
from daemonless.errors import InvalidData
from daemonless.images.buildcache import CachedStep, StepLayer
from daemonless.images.cachelist import (
    CACHE_MOUNT,
    CacheList,
    MountArchive,
    inline_steps,
    manifest_of,
    parse_cache_list,
    parse_inline,
)
from daemonless.oci.digest import digest_of
from daemonless.oci.image import OCI_LAYER, Descriptor, Manifest, parse_document

CREATED = "2026-11-26T03:39:00.123456789Z"


def step(name, used=1.0, size=10, *, layer=True):
    descriptor = Descriptor(media_type=f"{OCI_LAYER}+gzip", digest=digest_of(name.encode()), size=size)
    made = StepLayer(descriptor=descriptor, diff_id=digest_of(f"files of {name}".encode()), size=size)
    key = digest_of(f"key of {name}".encode()).hex
    return CachedStep(key=key, text=name, created=CREATED, layer=made if layer else None, used=used)


def mount(name, used=1.0, size=10):
    descriptor = Descriptor(media_type=CACHE_MOUNT, digest=digest_of(name.encode()), size=size)
    return MountArchive(name="ab" * 16, id=name, about={"id": name}, used=used, descriptor=descriptor)


WHOLE = CacheList(steps=(step("a"), step("b", layer=False)), mounts=(mount("m"),))


def names(found):
    return sorted([step.text for step in found.steps] + [mount.id for mount in found.mounts])


def written(found):
    return jsonio.dumps(found.to_json()).encode()


def test_what_is_written_is_read():
    assert len(parse_cache_list(written(CacheList(steps=(step("x" * 9999),))), "it").steps[0].text) < 9999
    again = parse_cache_list(written(WHOLE), "it")
    assert written(again) == written(WHOLE)
    assert names(again) == ["a", "b", "m"]
    config = Descriptor(media_type="application/x", digest=digest_of(b""), size=0)
    manifest = parse_document(manifest_of(WHOLE, config))
    assert isinstance(manifest, Manifest)
    assert list(manifest.layers) == WHOLE.blobs()


def test_the_newer_of_two_counts():
    newer = CacheList(steps=(step("a", used=5.0), step("c")))
    merged = newer.merged(WHOLE)
    assert names(merged) == ["a", "b", "c", "m"]
    assert {each.text: each.used for each in merged.steps}["a"] == 5.0


def test_what_was_not_used_for_longest_goes_first():
    found = CacheList(
        steps=(step("old", 1.0), step("new", 3.0), step("large", 2.0, 100), step("none", 0.0, layer=False)),
        mounts=(mount("m", 2.5),),
    )
    assert names(found.capped(None)) == ["large", "m", "new", "none", "old"]
    assert names(found.capped(30)) == ["m", "new", "none", "old"]
    assert names(found.capped(20)) == ["m", "new", "none"]
    assert names(found.capped(0)) == ["none"]


def change(path, value):
    document = copy.deepcopy(WHOLE.to_json())
    *parents, last = path
    at = document
    for part in parents:
        at = at[part]
    at[last] = value
    return jsonio.dumps(document).encode()


def first_with_layer():
    return next(number for number, each in enumerate(WHOLE.to_json()["steps"]) if each["layer"])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), 2),
        (("steps",), None),
        (("steps", 0, "key"), "../x"),
        (("steps", 0, "key"), 7),
        (("steps", 0, "text"), "x" * 5000),
        (("steps", 0, "created"), "yesterday"),
        (("steps", 0, "created"), "2026-11-26T03:39:00.12345678\x1bZ"),
        (("steps", 0, "used"), "now"),
        (("steps", 0, "used"), 1e300),
        (("steps", first_with_layer(), "layer", "diffId"), "sha256:0"),
        (("steps", first_with_layer(), "layer", "size"), "large"),
        (("steps", first_with_layer(), "layer", "descriptor", "mediaType"), "text/plain"),
        (("steps", first_with_layer(), "layer", "descriptor", "size"), -1),
        (("mounts", 0, "name"), "../../../etc"),
        (("mounts", 0, "about"), []),
        (("mounts", 0, "about"), {"id": "of another project"}),
        (("mounts", 0, "descriptor"), None),
    ],
)
def test_what_is_no_list(path, value):
    with pytest.raises(InvalidData):
        parse_cache_list(change(path, value), "it")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b'{"schema": 1}'])
def test_what_is_no_document(data):
    with pytest.raises(InvalidData):
        parse_cache_list(data, "it")


def test_steps_in_the_config_of_an_image():
    steps = [step("a"), step("b", layer=False), step("elsewhere")]
    layer = steps[0].layer
    config = {"daemonless.buildcache": inline_steps(steps, ["sha256:base", layer.diff_id])}
    found = parse_inline(config, [step("base").layer, layer], "it")
    assert [(each.text, each.layer) for each in found.steps] == [("a", layer), ("b", None)]
    for number in (2, -1, "x"):
        config["daemonless.buildcache"][0]["layer"] = number
        with pytest.raises(InvalidData):
            parse_inline(config, [step("base").layer, layer], "it")
