"""Image documents: what is read, and what is refused (shared invariants row 41, R-3, R-5)."""

import json

import pytest

from daemonless.errors import InvalidData, NotFound, Unsupported, UsageError
from daemonless.oci.image import (
    DOCKER_CONFIG,
    DOCKER_INDEX,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    MAX_DOCUMENT,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Index,
    Manifest,
    Platform,
    asked_platform,
    choose_manifest,
    diff_ids,
    host_platform,
    is_suitable,
    layer_compression,
    parse_config,
    parse_descriptor,
    parse_document,
    parse_platform,
)

D = "sha256:" + "0" * 64


def descriptor(media_type=OCI_LAYER, **more):
    return {"mediaType": media_type, "digest": D, "size": 3, **more}


def manifest(**changes):
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(OCI_CONFIG),
        "layers": [descriptor(), descriptor(OCI_LAYER + "+zstd")],
    }
    return {name: value for name, value in {**document, **changes}.items() if value is not ...}


def index(*platforms, **changes):
    entries = [
        descriptor(
            OCI_MANIFEST, digest=f"sha256:{number:064x}", **({"platform": platform} if platform else {})
        )
        for number, platform in enumerate(platforms)
    ]
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    return {name: value for name, value in {**document, **changes}.items() if value is not ...}


def parse(document, content_type=""):
    return parse_document(json.dumps(document).encode(), content_type)


# --- accepted ---


@pytest.mark.parametrize(
    ("document", "content_type"),
    [
        (manifest(), OCI_MANIFEST),
        (manifest(), f"{OCI_MANIFEST}; charset=utf-8"),
        (manifest(), ""),
        (manifest(), "application/json"),
        (manifest(mediaType=...), OCI_MANIFEST),
        (manifest(mediaType=...), ""),
        (manifest(mediaType=DOCKER_MANIFEST, config=descriptor(DOCKER_CONFIG)), DOCKER_MANIFEST),
        (manifest(annotations={"Layers": "fine", "layers": "too"}), OCI_MANIFEST),
        (manifest(futureField={"Config": 1}), OCI_MANIFEST),
    ],
)
def test_manifests(document, content_type):
    parsed = parse(document, content_type)
    assert isinstance(parsed, Manifest)
    assert len(parsed.layers) == 2
    assert parsed.config.digest == D


@pytest.mark.parametrize(("media_type"), [OCI_INDEX, DOCKER_INDEX])
def test_indexes(media_type):
    parsed = parse(
        index({"os": "linux", "architecture": "arm", "variant": "v7"}, mediaType=media_type), media_type
    )
    assert isinstance(parsed, Index)
    assert str(parsed.manifests[0].platform) == "linux/arm/v7"


def test_a_descriptor_round_trips_without_foreign_urls():
    document = descriptor(
        annotations={"a": "b"},
        platform={"os": "linux", "architecture": "amd64"},
        urls=["https://evil.example/"],
    )
    parsed = parse_descriptor(document, "x")
    assert parsed.to_json() == {name: value for name, value in document.items() if name != "urls"}


# --- refused ---


@pytest.mark.parametrize(
    ("document", "content_type", "reason"),
    [
        (manifest(manifests=[]), OCI_MANIFEST, "ambiguous"),
        (index(layers=[]), OCI_INDEX, "ambiguous"),
        (index(config=descriptor()), OCI_INDEX, "ambiguous"),
        (manifest(), OCI_INDEX, "calls itself"),
        (index(), DOCKER_INDEX, "calls itself"),
        (manifest(), DOCKER_MANIFEST, "calls itself"),
        (manifest(mediaType=OCI_INDEX), OCI_INDEX, "shape"),
        (index(mediaType=OCI_MANIFEST), OCI_MANIFEST, "shape"),
        (manifest(mediaType=...), OCI_INDEX, "shape"),
        (manifest(Layers=[]), OCI_MANIFEST, "differ only in case"),
        (manifest(layers=..., Layers=[]), OCI_MANIFEST, "spells a member"),
        (manifest(mediatype=OCI_MANIFEST, mediaType=...), OCI_MANIFEST, "spells a member"),
        (manifest(MANIFESTS=[]), OCI_MANIFEST, "spells a member"),
        (manifest(layers=[descriptor(Digest=D)]), OCI_MANIFEST, "differ only in case"),
        (manifest(config={**descriptor(), "\u017fize": 4}), OCI_MANIFEST, "only in case"),
        (manifest(schemaVersion=3), OCI_MANIFEST, "schemaVersion"),
        (manifest(schemaVersion=...), OCI_MANIFEST, "schemaVersion"),
        (manifest(schemaVersion=True), OCI_MANIFEST, "whole number"),
        (manifest(config=...), OCI_MANIFEST, "config is not an object"),
        (manifest(layers={}), OCI_MANIFEST, "layers is not a list"),
        (manifest(layers=[3]), OCI_MANIFEST, r"layers\[0\] is not an object"),
        (manifest(layers=[descriptor(size=-1)]), OCI_MANIFEST, r"layers\[0\].size"),
        (manifest(layers=[descriptor(size=1 << 60)]), OCI_MANIFEST, r"layers\[0\].size"),
        (manifest(layers=[descriptor(size="3")]), OCI_MANIFEST, "whole number"),
        (manifest(layers=[descriptor(size=3.0)]), OCI_MANIFEST, "whole number"),
        (manifest(layers=[descriptor(), descriptor(digest="md5:0")]), OCI_MANIFEST, r"layers\[1\].digest"),
        (manifest(layers=[descriptor(digest="sha256:../../x")]), OCI_MANIFEST, "not a digest"),
        (manifest(layers=[descriptor()] * 501), OCI_MANIFEST, "501 layers"),
        (manifest(layers=[descriptor(annotations={"a": 1})]), OCI_MANIFEST, "annotations"),
        (index({"os": 3}), OCI_INDEX, "platform.os is not a string"),
        ([], OCI_MANIFEST, "not an object"),
    ],
)
def test_refused(document, content_type, reason):
    with pytest.raises(InvalidData, match=reason):
        parse(document, content_type)


def test_exact_duplicates_are_refused():
    with pytest.raises(InvalidData, match="duplicate key"):
        parse_document(b'{"schemaVersion":2,"schemaVersion":2}')


def test_the_size_limit():
    padded = json.dumps(manifest()).encode().ljust(MAX_DOCUMENT)
    assert parse_document(padded, OCI_MANIFEST)
    with pytest.raises(InvalidData, match="larger than"):
        parse_document(padded + b" ", OCI_MANIFEST)


@pytest.mark.parametrize(
    ("document", "content_type"),
    [
        ({"schemaVersion": 1, "fsLayers": []}, "application/vnd.docker.distribution.manifest.v1+prettyjws"),
        ({"schemaVersion": 1, "fsLayers": []}, ""),
        (manifest(mediaType="application/vnd.oci.artifact.manifest.v1+json"), ""),
    ],
)
def test_kinds_of_documents_that_are_no_images(document, content_type):
    with pytest.raises(Unsupported):
        parse(document, content_type)


# --- configs ---


def config(**changes):
    return {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [D]}, **changes}


def test_configs():
    parsed = parse_config(json.dumps(config(config={"Env": ["A=1"], "Labels": {"a": "", "A": ""}})).encode())
    assert diff_ids(parsed) == (D,)
    assert parsed["config"]["Env"] == ["A=1"]
    assert parse_config(json.dumps(config(config=None)).encode())["config"] == {}


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (config(rootfs=None), "rootfs"),
        (config(rootfs={"type": "x"}), "rootfs.type"),
        (config(rootfs={"type": "layers", "diff_ids": ["x"]}), "not a digest"),
        (config(rootfs={"type": "layers", "diff_ids": "x"}), "diff_ids"),
        (config(architecture=3), "architecture"),
        (config(config=[1]), "config"),
        (config(config={"Env": "A=1"}), "config.Env"),
        (config(config={"Env": [1]}), "config.Env"),
        (config(config={"Cmd": "sh"}), "config.Cmd"),
        (config(config={"Labels": {"a": 1}}), "config.Labels"),
        (config(config={"User": 0}), "config.User"),
        (config(config={"Volumes": ["/a"]}), "config.Volumes"),
        (config(config={"User": "0", "user": "1"}), "case"),
    ],
)
def test_damaged_configs(document, path):
    with pytest.raises(InvalidData, match=path):
        parse_config(json.dumps(document).encode())


# --- layers and platforms ---


@pytest.mark.parametrize(
    ("media_type", "compression"),
    [
        (OCI_LAYER, ""),
        (OCI_LAYER + "+gzip", "gzip"),
        (OCI_LAYER + "+zstd", "zstd"),
        (DOCKER_LAYER + ".gzip", "gzip"),
        (DOCKER_LAYER, ""),
    ],
)
def test_layer_types(media_type, compression):
    assert layer_compression(media_type) == compression


@pytest.mark.parametrize("media_type", ["", "text/plain", OCI_LAYER + "+encrypted", OCI_LAYER + "+gzip+zstd"])
def test_unknown_layer_types(media_type):
    with pytest.raises(Unsupported):
        layer_compression(media_type)


@pytest.mark.parametrize(
    ("wanted", "offered", "chosen"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], 1),
        ("linux/amd64", ["linux/amd64/v3", "linux/amd64"], 1),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v3"], 1),
        ("linux/amd64/v3", ["linux/amd64"], 0),
        ("linux/arm64/v8", ["linux/arm64"], 0),
        ("linux/arm64", ["linux/arm64/v8"], 0),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"], 1),
        ("linux/arm", ["linux/arm/v6", "linux/arm/v7"], 1),
        ("linux/amd64", [None], 0),
    ],
)
def test_the_best_match_is_chosen(wanted, offered, chosen):
    entries = [p and parse_platform(p).as_dict() for p in offered]
    found = choose_manifest(parse(index(*entries)), parse_platform(wanted), what="app")
    assert found.digest == f"sha256:{chosen:064x}"


@pytest.mark.parametrize(
    ("wanted", "offered"),
    [
        ("linux/amd64", ["linux/arm64"]),
        ("linux/amd64", ["linux/386"]),
        ("linux/arm64", ["linux/arm/v7"]),
        ("linux/arm/v6", ["linux/arm/v7"]),
        ("linux/amd64", ["linux/amd64/v3"]),
        ("linux/amd64", ["windows/amd64"]),
        ("linux/amd64", ["linux/arm64", None]),
        ("linux/amd64", []),
    ],
)
def test_another_platform_is_never_chosen(wanted, offered):
    entries = [p and parse_platform(p).as_dict() for p in offered]
    with pytest.raises(NotFound, match=f"app does not exist for {wanted}") as caught:
        choose_manifest(parse(index(*entries)), parse_platform(wanted), what="app")
    assert all(p in caught.value.message for p in offered if p)


def test_provenance_documents_are_not_offered():
    entries = index({"os": "unknown", "architecture": "unknown"}, {"os": "linux", "architecture": "s390x"})
    with pytest.raises(NotFound) as caught:
        choose_manifest(parse(entries), parse_platform("linux/amd64"), what="app")
    assert caught.value.message.endswith("it offers linux/s390x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("arm64", "linux/arm64"),
        ("x86_64", "linux/amd64"),
        ("linux", str(host_platform())),
        ("linux/x86_64", "linux/amd64"),
        ("Linux/AArch64", "linux/arm64"),
        ("linux/arm/v7", "linux/arm/v7"),
    ],
)
def test_platform_spellings(text, expected):
    assert str(parse_platform(text)) == expected


@pytest.mark.parametrize("text", ["", "linux/", "a/b/c/d", "linux/../x", "linux/arm 64", "/", "amd46"])
def test_bad_platforms(text):
    with pytest.raises(UsageError):
        parse_platform(text)


def test_suitability():
    assert is_suitable(Platform(architecture="arm", variant="v7"), Platform(architecture="arm", variant="v6"))
    assert not is_suitable(Platform(architecture="amd64"), Platform(architecture="arm64"))


def test_descriptor_annotations():
    found = Descriptor(media_type="", digest=D, size=0, annotations=(("a", "b"),))
    assert (found.annotation("a"), found.annotation("c")) == ("b", "")


@pytest.mark.parametrize(
    ("text", "parts", "expected"),
    [
        ("", {}, None),
        ("linux", {}, str(host_platform())),
        ("linux/arm/v6", {}, "linux/arm/v6"),
        ("linux/arm/v6", {"variant": "v7"}, "linux/arm/v7"),
        ("linux/arm/v6", {"architecture": "riscv64"}, "linux/riscv64"),
        ("", {"architecture": "x86_64", "os": "freebsd"}, "freebsd/amd64"),
    ],
)
def test_a_platform_asked_for_in_parts(text, parts, expected):
    found = asked_platform(text, **parts)
    assert (str(found) if found else None) == expected


@pytest.mark.parametrize("value", ["/", "linux/", "a/b/c/d", "a b", "linux//v8", "linux/../x/"])
def test_what_is_no_platform(value):
    with pytest.raises(UsageError):
        asked_platform(value)
