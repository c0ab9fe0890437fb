"""Images in files: what is found in them, and what hostile ones try."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import tarfile
import threading

import pytest
import zstandard

from daemonless.errors import DaemonlessError, InvalidData, NotFound, Unsupported, UsageError
from daemonless.images.pull import resolve
from daemonless.images.transports.location import parse_location
from daemonless.images.transports.opening import open_local
from daemonless.oci.digest import Digest
from daemonless.oci.image import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Platform,
)

AMD64 = Platform(architecture="amd64")
LAYERS = (b"one layer", b"another layer")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def describe(data, media_type, **more):
    return {"mediaType": media_type, "digest": f"sha256:{sha256(data)}", "size": len(data), **more}


def config_of(layers=LAYERS):
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{sha256(layer)}" for layer in layers]}
    return json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode()


def manifest_of(config, layers=LAYERS):
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": describe(config, OCI_CONFIG),
            "layers": [describe(layer, OCI_LAYER) for layer in layers],
        }
    ).encode()


def layout(*names, annotations=None):
    """Return the files of a layout with one image under each name."""
    config = config_of()
    manifest = manifest_of(config)
    blobs = {f"blobs/sha256/{sha256(data)}": data for data in (config, manifest, *LAYERS)}
    entries = [
        describe(manifest, OCI_MANIFEST, annotations={"org.opencontainers.image.ref.name": name})
        for name in names
    ] or [describe(manifest, OCI_MANIFEST, annotations=annotations or {})]
    index = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    return {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index, **blobs}


def docker_archive(*tags, layers=LAYERS, config=None, members=None):
    config = config_of() if config is None else config
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    item = {"Config": "config.json", "RepoTags": list(tags), "Layers": names}
    return {
        "config.json": config,
        **dict(zip(names, layers, strict=True)),
        "manifest.json": json.dumps([item]).encode(),
        **(members or {}),
    }


def directory(path, files):
    for name, data in files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return path


def archive(path, files, *more):
    """Write files as an archive; `more` are further TarInfos."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        for entry in more:
            tar.addfile(entry)
    return path


def link(name, target, kind=tarfile.SYMTYPE):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def take(text):
    """Read the only image of a place to its end; return its names and its layers."""
    with open_local(parse_location(text)) as local:
        source = local.only
        resolved = resolve(source, AMD64)
        with source.open_blob(resolved.manifest.config) as blob:
            blob.read_all()
        content = []
        for descriptor in resolved.manifest.layers:
            with source.open_blob(descriptor) as blob:
                content.append(blob.read_all())
        return [str(name) for name in source.references], content


# --- what is found ---


@pytest.mark.parametrize(
    ("names", "place", "found"),
    [
        (["v1"], "oci:{}", ["localhost{}:v1"]),
        (["v1", "v2"], "oci:{}:v2", ["localhost{}:v2"]),
        (["quay.io/a/b:1"], "oci:{}", ["quay.io/a/b:1"]),
        (["a/b"], "oci:{}", ["localhost/a/b:latest"]),
        ([], "oci:{}", ["localhost{}:latest"]),
    ],
)
def test_a_layout(tmp_path_factory, names, place, found):
    path = directory(tmp_path_factory.mktemp("layout"), layout(*names))
    assert take(place.format(path)) == ([name.format(path) for name in found], list(LAYERS))


@pytest.mark.parametrize(
    ("names", "annotations", "found"),
    [
        (["latest"], {}, ["localhost/latest:latest"]),
        (["app:1"], {}, ["localhost/app:1"]),
        (["Not a name"], {}, []),
        ([], {}, []),
        ([], {"io.containerd.image.name": "docker.io/library/app:2"}, ["docker.io/library/app:2"]),
    ],
)
def test_an_archive_of_a_layout(tmp_path, names, annotations, found):
    path = archive(tmp_path / "x.tar", layout(*names, annotations=annotations))
    assert take(f"oci-archive:{path}") == (found, list(LAYERS))


def test_an_archive_made_with_tar(tmp_path):
    files = {f"./{name}": data for name, data in layout("app").items()}
    assert take(f"oci-archive:{archive(tmp_path / 'x.tar', files)}:app")[1] == list(LAYERS)


def test_an_index_in_a_layout(tmp_path):
    files = layout()
    manifest = manifest_of(config_of())
    platform = {"os": "linux", "architecture": "amd64"}
    inner = {"schemaVersion": 2, "manifests": [describe(manifest, OCI_MANIFEST, platform=platform)]}
    data = json.dumps({**inner, "mediaType": OCI_INDEX}).encode()
    files[f"blobs/sha256/{sha256(data)}"] = data
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [describe(data, OCI_INDEX)]}).encode()
    assert take(f"oci:{directory(tmp_path, files)}")[1] == list(LAYERS)


def test_an_archive_of_docker(tmp_path):
    path = archive(tmp_path / "x.tar", docker_archive("app:1", "quay.io/a/b:2", "<none>:<none>"))
    expected = ["docker.io/library/app:1", "quay.io/a/b:2"], list(LAYERS)
    for choice in ("", ":@0", ":app:1", ":docker.io/library/app:1"):
        assert take(f"docker-archive:{path}{choice}") == expected


def test_the_manifest_of_an_archive_of_docker(tmp_path):
    layers = (LAYERS[0], gzip.compress(LAYERS[1]))
    path = archive(tmp_path / "x.tar", docker_archive(layers=layers))
    with open_local(parse_location(f"docker-archive:{path}")) as local:
        manifest = resolve(local.only, AMD64).manifest
    assert manifest.media_type == DOCKER_MANIFEST and manifest.config.media_type == DOCKER_CONFIG
    assert [layer.to_json() for layer in manifest.layers] == [
        describe(LAYERS[0], DOCKER_LAYER),
        describe(layers[1], DOCKER_LAYER + ".gzip"),
    ]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_layer_that_is_a_link_to_another_member(tmp_path, kind):
    target = "../first.tar" if kind == tarfile.SYMTYPE else "first.tar"
    files = docker_archive()
    files["first.tar"] = files.pop("0/layer.tar")
    path = archive(tmp_path / "x.tar", files, link("0/layer.tar", target, kind))
    assert take(f"docker-archive:{path}")[1] == list(LAYERS)


def test_a_directory_of_skopeo(tmp_path):
    config = config_of()
    files = {"manifest.json": manifest_of(config), **{sha256(data): data for data in (config, *LAYERS)}}
    assert take(f"dir:{directory(tmp_path, files)}") == ([], list(LAYERS))


@pytest.mark.parametrize(
    "compress",
    [gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress],
    ids=["gzip", "bzip2", "xz", "zstd"],
)
def test_a_compressed_archive(tmp_path, compress):
    path = archive(tmp_path / "x.tar", layout())
    packed = compress(path.read_bytes())
    path.write_bytes(packed)
    assert take(f"oci-archive:{path}")[1] == list(LAYERS)
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InvalidData, match=r"x\.tar: "):
        take(f"oci-archive:{path}")


def test_an_archive_from_a_pipe(tmp_path):
    data = archive(tmp_path / "x.tar", layout()).read_bytes()
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(data,))
    writer.start()
    assert take(f"oci-archive:{tmp_path}/pipe")[1] == list(LAYERS)
    writer.join()


def test_a_large_member_is_passed_over(tmp_path):
    files = {"large": bytes(10 << 20), **layout(), "last": bytes(1 << 20)}
    assert take(f"oci-archive:{archive(tmp_path / 'x.tar', files)}")[1] == list(LAYERS)


# --- what is refused ---


def test_several_images_where_one_is_needed(tmp_path):
    with pytest.raises(UsageError, match="has 2 images") as caught:
        take(f"oci:{directory(tmp_path, layout('a', 'b'))}")
    assert f"oci:{tmp_path}:a" in caught.value.hint


@pytest.mark.parametrize("place", ["oci:{}:c", "oci:{}/missing", "dir:{}", "oci-archive:{}/missing"])
def test_what_is_not_there(tmp_path, place):
    directory(tmp_path, layout("a"))
    with pytest.raises(NotFound):
        take(place.format(tmp_path))


@pytest.mark.parametrize("what", ["index.json", "blob", "blobs"])
def test_links_that_lead_out_of_a_layout(tmp_path, what):
    outside = directory(tmp_path / "outside", layout())
    inside = directory(tmp_path / "inside", layout())
    name = {"blob": f"blobs/sha256/{sha256(LAYERS[0])}"}.get(what, what)
    os.rename(inside / name, tmp_path / "moved")
    (inside / name).symlink_to(outside / name)
    with pytest.raises(InvalidData, match="leads out of it"):
        take(f"oci:{inside}")


def test_links_inside_a_layout_are_followed(tmp_path):
    directory(tmp_path, layout())
    os.rename(tmp_path / "blobs", tmp_path / "shared")
    (tmp_path / "blobs").symlink_to("shared")
    assert take(f"oci:{tmp_path}")[1] == list(LAYERS)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file(tmp_path, make):
    directory(tmp_path, layout())
    os.unlink(tmp_path / "index.json")
    make(tmp_path / "index.json")
    with pytest.raises(InvalidData, match="not a regular file"):
        take(f"oci:{tmp_path}")


@pytest.mark.parametrize("change", [lambda data: data + b"x", lambda data: b"x" + data[1:], lambda data: b""])
@pytest.mark.parametrize("which", [0, 1, 2, 3])
def test_a_blob_with_other_bytes(tmp_path, change, which):
    files = layout()
    name = [name for name in files if name.startswith("blobs/")][which]
    files[name] = change(files[name])
    for place in (
        f"oci:{directory(tmp_path / 'd', files)}",
        f"oci-archive:{archive(tmp_path / 'x.tar', files)}",
    ):
        with pytest.raises(InvalidData):
            take(place)


def test_a_layer_that_is_not_what_the_config_says(tmp_path):
    path = archive(tmp_path / "x.tar", docker_archive(layers=(LAYERS[0], b"anothex layer")))
    with pytest.raises(InvalidData, match="is corrupt"):
        take(f"docker-archive:{path}")


@pytest.mark.parametrize(
    "item",
    [
        {"Config": "../../../../etc/passwd", "Layers": []},
        {"Config": "/etc/passwd", "Layers": []},
        {"Config": "config.json", "Layers": ["../0/layer.tar", "1/layer.tar"]},
        {"Config": "config.json", "Layers": ["link", "1/layer.tar"]},
        {"Config": "config.json", "Layers": ["up", "1/layer.tar"]},
        {"Config": "config.json", "Layers": ["round", "1/layer.tar"]},
        {"Config": "config.json", "Layers": ["", "1/layer.tar"]},
    ],
)
def test_names_of_an_archive_mean_nothing_outside(tmp_path, item):
    members = {"manifest.json": json.dumps([item]).encode()}
    path = archive(
        tmp_path / "x.tar",
        docker_archive(members=members),
        link("link", "/etc/passwd"),
        link("up", "../../../../etc/passwd"),
        link("round", "round"),
    )
    with pytest.raises(NotFound, match="is not in"):
        take(f"docker-archive:{path}")


@pytest.mark.parametrize(
    "document",
    [
        *(b"{}", b"[1]", b"[{}]", b'[{"Config": 1}]', b'[{"Config": "c", "Layers": "x"}]'),
        b'[{"Config": "config.json", "RepoTags": [1]}]',
        json.dumps([{"Config": "config.json", "Layers": ["x"] * 501}]).encode(),
        b"[" + b" " * (1 << 20) + b"]",
        json.dumps([{"Config": "config.json", "Layers": ["0/layer.tar"]}]).encode(),
    ],
)
def test_a_list_of_docker_that_makes_no_sense(tmp_path, document):
    path = archive(tmp_path / "x.tar", docker_archive(members={"manifest.json": document}))
    with pytest.raises(InvalidData):
        take(f"docker-archive:{path}")


def test_an_ambiguous_archive(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for data in (b"[]", docker_archive()["manifest.json"]):
            entry = tarfile.TarInfo("manifest.json")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    with pytest.raises(InvalidData, match="twice"):
        take(f"docker-archive:{tmp_path}/x.tar")


@pytest.mark.parametrize("cut", [100, 700, 3000])
def test_an_archive_that_ends_too_early(tmp_path, cut):
    files = {"large": bytes(1 << 20), **layout()}
    path = archive(tmp_path / "x.tar", files)
    path.write_bytes(path.read_bytes()[: (1 << 20) + cut])
    with pytest.raises(InvalidData, match="ends too early"):
        take(f"oci-archive:{path}")


@pytest.mark.parametrize(
    ("index", "error"),
    [
        ({"schemaVersion": 2, "manifests": []}, NotFound),
        ({"schemaVersion": 2, "manifests": [], "layers": []}, InvalidData),
        ({"schemaVersion": 2, "manifests": [{"digest": "sha256:../../etc/passwd", "size": 1}]}, InvalidData),
        ({"schemaVersion": 1}, Unsupported),
        ([], InvalidData),
    ],
)
def test_an_index_that_makes_no_sense(tmp_path, index, error):
    files = {**layout(), "index.json": json.dumps(index).encode()}
    with pytest.raises(error):
        take(f"oci:{directory(tmp_path, files)}")


def test_a_layout_of_the_future(tmp_path):
    files = {**layout(), "oci-layout": b'{"imageLayoutVersion":"2.0.0"}'}
    with pytest.raises(Unsupported, match="version 1"):
        take(f"oci:{directory(tmp_path, files)}")


def test_a_directory_whose_blobs_are_wrong(tmp_path):
    config = config_of()
    files = {"manifest.json": manifest_of(config), sha256(config): config, sha256(LAYERS[0]): b"one layex"}
    with pytest.raises(InvalidData, match="is corrupt"):
        take(f"dir:{directory(tmp_path, files)}")


def test_a_file_that_shrinks_while_it_is_read(tmp_path):
    directory(tmp_path, layout())
    layer = LAYERS[0]
    descriptor = Descriptor(media_type=OCI_LAYER, digest=Digest(f"sha256:{sha256(layer)}"), size=len(layer))
    with open_local(parse_location(f"oci:{tmp_path}")) as local:
        blob = local.only.open_blob(descriptor)
        (tmp_path / f"blobs/sha256/{sha256(layer)}").write_bytes(b"one")
        with blob, pytest.raises(DaemonlessError, match="ended after 3 of"):
            blob.read_all()
