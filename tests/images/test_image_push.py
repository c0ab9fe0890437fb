"""Pushes to places on this machine, and to one that only notes what it is given."""

import gzip
import hashlib
import json
import os
import subprocess
import tarfile
import threading

import pytest
import zstandard

from daemonless.errors import InvalidData, NotFound, UsageError
from daemonless.images import push as module
from daemonless.images.blobnotes import BlobNotes, Form
from daemonless.images.progress import Silent
from daemonless.images.push import Origins, Wish, in_parallel, push
from daemonless.images.store import ImageStore
from daemonless.images.transports.destination import Accepts
from daemonless.images.transports.location import parse_location
from daemonless.images.transports.opening import open_local, open_output_archive, open_output_directory
from daemonless.layers.compress import compress_chunks
from daemonless.oci.digest import digest_of
from daemonless.oci.image import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    parse_document,
)
from daemonless.oci.reference import parse_reference

PLAIN = [bytes([number]) * (300_000 * number + 10240) for number in (1, 2)]
PACK = {
    "": lambda data: data,
    "gzip": lambda data: gzip.compress(data, 6, mtime=0),
    "zstd": zstandard.ZstdCompressor().compress,
}
TYPES = {
    "oci": (OCI_MANIFEST, OCI_CONFIG, OCI_LAYER, "+"),
    "docker": (DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER, "."),
}


@pytest.fixture
def store(paths):
    made = ImageStore(paths.data)
    made.blobs.prepare()
    return made


def put(store, compression="", form="oci", name="app:1", layers=PLAIN, **more):
    """Add an image to the store and return it."""
    manifest_type, config_type, layer_type, separator = TYPES[form]
    layer_type += separator + compression if compression else ""
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
        }
    ).encode()
    packed = [PACK[compression](layer) for layer in layers]
    manifest = {
        "schemaVersion": 2,
        "mediaType": manifest_type,
        "config": describe(store, config_type, config),
        "layers": [describe(store, layer_type, layer) for layer in packed],
        **more,
    }
    data = json.dumps(manifest, indent=1).encode()
    descriptor = Descriptor(media_type=manifest_type, digest=store.blobs.add(data), size=len(data))
    store.add(parse_reference(name), descriptor, size=0)
    return store.resolve(name)


def describe(store, media_type, data):
    return {"mediaType": media_type, "digest": store.blobs.add(data), "size": len(data)}


class Notebook:
    """A destination that keeps everything in memory; `has` are digests that it needs not be given."""

    name = "notebook"

    def __init__(self, *has, accepts=None):
        self.accepts = accepts or Accepts(at_once=3)
        self.has = set(has)
        self.blobs = {}
        self.manifest = None

    def find_blob(self, descriptor):
        return "already there" if descriptor.digest in self.has else ""

    def put_blob(self, descriptor, open_at, progress):
        parts = []
        reader = open_at(0)
        while part := reader.read(50_000):
            parts.append(part)
            progress(len(part))
        reader.close()
        data = b"".join(parts)
        assert (digest_of(data), len(data)) == (descriptor.digest, descriptor.size)
        middle = open_at(1000)
        assert data[1000:].startswith(middle.read(10))
        middle.close()
        self.blobs[descriptor.digest] = data
        self.has.add(descriptor.digest)

    def put_manifest(self, data, media_type):
        document = parse_document(data, media_type)
        assert {document.config.digest, *(layer.digest for layer in document.layers)} <= self.has
        self.manifest = data

    @property
    def layers(self):
        return [layer["mediaType"] for layer in json.loads(self.manifest)["layers"]]


def to_notebook(store, paths, image, *has, accepts=None, **wish):
    notebook = Notebook(*has, accepts=accepts)
    assert push(image, paths, notebook, Wish(**wish), Silent()) == digest_of(notebook.manifest)
    return notebook


# --- what is sent ---


@pytest.mark.parametrize("form", TYPES)
@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_compressed_layers_and_their_manifest_go_as_they_are(store, paths, form, compression):
    image = put(store, compression, form, annotations={"a": "b"} if form == "oci" else None)
    sent = to_notebook(store, paths, image)
    assert sent.manifest == store.blobs.read(image.digest)
    assert [sent.blobs[layer.digest] for layer in image.layers] == [PACK[compression](data) for data in PLAIN]
    assert digest_of(sent.blobs[image.id]) == image.id


@pytest.mark.parametrize("form", TYPES)
def test_plain_layers_are_compressed_on_the_way(store, paths, form):
    sent = to_notebook(store, paths, put(store, "", form))
    layer, separator = TYPES[form][2:]
    assert sent.layers == [f"{layer}{separator}gzip"] * 2
    digests = [layer["digest"] for layer in json.loads(sent.manifest)["layers"]]
    assert [gzip.decompress(sent.blobs[digest]) for digest in digests] == PLAIN


@pytest.mark.parametrize(
    ("stored", "wish", "expected"),
    [
        (("gzip", "oci"), {"format": "docker"}, DOCKER_LAYER + ".gzip"),
        (("gzip", "docker"), {"format": "oci"}, OCI_LAYER + "+gzip"),
        (("zstd", "oci"), {"format": "docker"}, DOCKER_LAYER + ".gzip"),
        (("zstd", "oci"), {"compression": "gzip"}, OCI_LAYER + "+gzip"),
        (("zstd", "oci"), {"compression": "gzip", "force": False}, OCI_LAYER + "+zstd"),
        (("zstd", "oci"), {"force": True}, OCI_LAYER + "+gzip"),
        (("gzip", "docker"), {"compression": "zstd"}, OCI_LAYER + "+zstd"),
        (("", "oci"), {"compression": "zstd", "level": 19}, OCI_LAYER + "+zstd"),
        (("", "oci"), {"compression": "zstd", "force": False}, OCI_LAYER + "+zstd"),
        (("gzip", "oci"), {"plain": True}, OCI_LAYER),
        (("", "docker"), {"plain": True}, DOCKER_LAYER),
        (("gzip", "docker"), {"compression": "gzip", "level": 9}, DOCKER_LAYER + ".gzip"),
    ],
)
def test_formats(store, paths, stored, wish, expected):
    image = put(store, *stored)
    sent = to_notebook(store, paths, image, **wish)
    assert sent.layers == [expected] * 2
    document = json.loads(sent.manifest)
    is_oci = expected.startswith(OCI_LAYER)
    assert document["mediaType"] == (OCI_MANIFEST if is_oci else DOCKER_MANIFEST)
    assert document["config"]["mediaType"] == (OCI_CONFIG if is_oci else DOCKER_CONFIG)
    assert document["config"]["digest"] == image.id
    assert to_notebook(store, paths, image, **wish).manifest == sent.manifest


def test_what_a_format_cannot_hold(store, paths):
    image = put(store)
    with pytest.raises(UsageError, match="no layers of zstd"):
        to_notebook(store, paths, image, format="docker", compression="zstd")
    with pytest.raises(UsageError, match="format docker only"):
        to_notebook(store, paths, image, accepts=Accepts(formats=("docker",)), format="oci")


def test_annotations_stay_with_an_oci_manifest(store, paths):
    image = put(store, "gzip", annotations={"a": "b"})
    as_oci, as_docker = (
        json.loads(to_notebook(store, paths, image, **wish).manifest)
        for wish in ({"compression": "zstd"}, {"format": "docker"})
    )
    assert as_oci["annotations"] == {"a": "b"}
    assert "annotations" not in as_docker


def test_the_same_layer_twice_is_sent_once(store, paths):
    image = put(store, "", layers=[PLAIN[0], PLAIN[1], PLAIN[0]])
    sent = to_notebook(store, paths, image)
    assert len(sent.blobs) == 3
    first, _, last = json.loads(sent.manifest)["layers"]
    assert first == last


def test_an_image_without_layers(store, paths):
    assert json.loads(to_notebook(store, paths, put(store, layers=[])).manifest)["layers"] == []


# --- what is not sent, or not done ---


def test_what_is_there_is_not_sent(store, paths):
    image = put(store, "gzip")
    sent = to_notebook(store, paths, image, image.id, *(layer.digest for layer in image.layers))
    assert sent.blobs == {} and sent.manifest


def test_what_was_compressed_once_is_known(store, paths, monkeypatch):
    image = put(store)
    first = to_notebook(store, paths, image)
    assert os.listdir(store.blobs.staging) == []

    def never(*args):
        raise AssertionError("compressed again")

    monkeypatch.setattr("daemonless.images.recompression.compress_chunks", never)
    second = to_notebook(store, paths, image, *first.has)
    assert (second.manifest, second.blobs) == (first.manifest, {})


@pytest.mark.parametrize("note", [b"", b"[]", b'{"forms": 1}', b'{"forms": {"gzip": {"digest": "x"}}}', b"{"])
def test_a_note_that_makes_no_sense(store, paths, note):
    image = put(store)
    first = to_notebook(store, paths, image)
    for name in os.listdir(f"{paths.cache}/blobs"):
        with open(f"{paths.cache}/blobs/{name}", "wb") as file:
            file.write(note)
    assert to_notebook(store, paths, image, *first.has).manifest == first.manifest


def test_notes(tmp_path):
    notes = BlobNotes(str(tmp_path))
    digest, form = digest_of(b"a"), Form(digest=digest_of(b"b"), size=3)
    assert notes.form(digest, "gzip") is None and notes.places(digest, "r") == []
    notes.add_form(digest, "gzip", form)
    for path in ("r/a", "r/b", "other/c", "r/a", *(f"r/{number}" for number in range(6))):
        notes.add_place(digest, path)
    assert notes.form(digest, "gzip") == form and notes.form(digest, "zstd") is None
    assert notes.places(digest, "r") == ["5", "4", "3", "2", "1", "0", "a"]
    assert notes.places(digest, "other") == ["c"]


def test_where_a_registry_has_blobs(store, paths):
    image = put(store, "gzip", name="r.example/base:1")
    layer = image.layers[0].digest
    store.tag(image, parse_reference("other.example/x:1"))
    origins = Origins(store, paths, parse_reference("r.example/new:1"))
    assert origins.of(layer) == ["base"]
    origins.note(layer)
    assert Origins(store, paths, parse_reference("r.example/newer:1")).of(layer) == ["new", "base"]
    assert Origins(store, paths, parse_reference("r.example/base:2")).of(layer) == ["new"]


# --- damage and failures ---


def test_a_blob_that_is_gone(store, paths):
    image = put(store, "gzip")
    os.unlink(store.blobs.path(image.layers[1].digest))
    with pytest.raises(NotFound, match="missing from the store"):
        to_notebook(store, paths, image)


@pytest.mark.parametrize("wish", [{"compression": "zstd"}, {"plain": True}])
def test_a_layer_that_is_damaged(store, paths, wish):
    image = put(store, "gzip")
    with open(store.blobs.path(image.layers[0].digest), "wb") as file:
        file.write(gzip.compress(b"something else"))
    with pytest.raises(InvalidData, match="is damaged"):
        to_notebook(store, paths, image, **wish)
    assert os.listdir(store.blobs.staging) == []


def test_a_damaged_layer_does_not_reach_a_file(store, paths, tmp_path):
    image = put(store, "gzip")
    with open(store.blobs.path(image.layers[0].digest), "r+b") as file:
        file.write(b"xx")
    place = parse_location(f"oci:{tmp_path}/layout")
    with pytest.raises(InvalidData, match="corrupt"), open_output_directory(place) as destination:
        push(image, paths, destination, Wish(), Silent())
    assert not (tmp_path / "layout/index.json").exists()
    assert all(not name.startswith(".") for name in os.listdir(tmp_path / "layout/blobs/sha256"))


def test_one_failure_ends_the_others():
    begun, failed = threading.Event(), threading.Event()

    def fail():
        begun.wait(10)
        raise NotFound("gone")

    def wait():
        begun.set()
        failed.wait()
        ended.append(True)

    ended = []
    with pytest.raises(NotFound, match="gone"):
        in_parallel({"wait": wait, "fail": fail}, 2, failed)
    assert ended


def test_jobs_come_one_after_the_other_if_they_have_to():
    seen = []
    jobs = {number: lambda number=number: seen.append(number) or number * 2 for number in range(5)}
    assert in_parallel(jobs, 1, threading.Event()) == {number: number * 2 for number in range(5)}
    assert seen == [0, 1, 2, 3, 4]
    assert in_parallel({}, 4, threading.Event()) == {}


def test_a_failure_is_seen_by_uploads_that_go_on(store, paths):
    image = put(store, "gzip")
    stopped = threading.Event()

    class Failing(Notebook):
        def put_blob(self, descriptor, open_at, progress):
            if descriptor.digest == image.layers[0].digest:
                raise NotFound("no")
            try:
                while True:
                    progress(0)
            except module._Stopped:
                stopped.set()
                raise

    with pytest.raises(NotFound, match="no"):
        push(image, paths, Failing(), Wish(), Silent())
    assert stopped.wait(10)


# --- places on this machine ---


def to_place(paths, image, text):
    location = parse_location(text)
    with open_output_directory(location) as destination:
        return push(image, paths, destination, Wish(), Silent())


def to_archive(paths, image, path, rest="", tags=(), transport="oci-archive"):
    location = parse_location(f"{transport}:{path}{rest}")
    with open(path, "wb") as file, open_output_archive(location, file.fileno(), tags) as destination:
        push(image, paths, destination, Wish(), Silent())
    return path


def read_back(text):
    """Return the names of a place's only image and its plain layers."""
    with open_local(parse_location(text)) as local:
        source = local.only
        manifest = parse_document(source.fetch_manifest().data)
        layers = []
        for descriptor in (manifest.config, *manifest.layers):
            with source.open_blob(descriptor) as blob:
                layers.append(blob.read_all())
        return list(map(str, source.references)), [
            gzip.decompress(layer) if layer[:2] == b"\x1f\x8b" else layer for layer in layers[1:]
        ]


def test_a_layout_gets_images_and_gives_names_away(store, paths, tmp_path):
    one, two = put(store, "gzip"), put(store, "gzip", name="app:2", layers=[PLAIN[1]])
    to_place(paths, one, f"oci:{tmp_path}/l:a")
    to_place(paths, one, f"oci:{tmp_path}/l:b")
    to_place(paths, two, f"oci:{tmp_path}/l:a")
    to_place(paths, two, f"oci:{tmp_path}/l")
    to_place(paths, two, f"oci:{tmp_path}/l")
    entries = json.loads((tmp_path / "l/index.json").read_text())["manifests"]
    name = "org.opencontainers.image.ref.name"
    assert [(entry["digest"], entry.get("annotations", {}).get(name)) for entry in entries] == [
        (one.digest, "b"),
        (two.digest, "a"),
        (two.digest, None),
    ]
    assert read_back(f"oci:{tmp_path}/l:b")[1] == PLAIN
    assert read_back(f"oci:{tmp_path}/l:a")[1] == [PLAIN[1]]
    assert json.loads((tmp_path / "l/oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}


def test_a_layout_that_another_made_is_added_to(store, paths, tmp_path):
    layout = tmp_path / "l"
    layout.mkdir()
    entry = {"mediaType": OCI_MANIFEST, "digest": "sha256:" + "0" * 64, "size": 1, "annotations": {"x": "y"}}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    to_place(paths, put(store), f"oci:{layout}:a")
    assert json.loads((layout / "index.json").read_text())["manifests"][0] == entry
    (layout / "index.json").write_text("{")
    with pytest.raises(InvalidData):
        to_place(paths, put(store), f"oci:{layout}:a")


def test_a_link_in_a_directory_is_not_written_through(store, paths, tmp_path):
    (tmp_path / "l").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "l/blobs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Exception, match=r"Not a directory|Too many"):
        to_place(paths, put(store), f"oci:{tmp_path}/l")
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_directory_is_taken_over_from_an_older_image(store, paths, tmp_path):
    place = f"dir:{tmp_path}/d"
    to_place(paths, put(store, "gzip"), place)
    to_place(paths, put(store, layers=[PLAIN[1]]), place)
    config = json.loads((tmp_path / "d/manifest.json").read_text())["config"]["digest"][7:]
    expected = {"manifest.json", "version", config, hashlib.sha256(PLAIN[1]).hexdigest()}
    assert set(os.listdir(tmp_path / "d")) == expected
    assert read_back(place) == ([], [PLAIN[1]])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").write_text("precious")
    with pytest.raises(UsageError, match="neither empty nor an image's"):
        to_place(paths, put(store), f"dir:{tmp_path}/mine")
    assert os.listdir(tmp_path / "mine") == ["file"]


@pytest.mark.parametrize(
    ("transport", "rest", "tags", "expected"),
    [
        ("oci-archive", "", (), []),
        ("oci-archive", ":app:1", (), ["localhost/app:1"]),
        ("docker-archive", "", (), []),
        ("docker-archive", ":app:1", ("docker.io/x/y:2",), ["docker.io/library/app:1", "docker.io/x/y:2"]),
    ],
)
def test_archives(store, paths, tmp_path, transport, rest, tags, expected):
    image = put(store, "gzip")
    path = to_archive(paths, image, tmp_path / "x.tar", rest, tags, transport)
    assert read_back(f"{transport}:{path}") == (expected, PLAIN)
    again = to_archive(paths, image, tmp_path / "y.tar", rest, tags, transport)
    assert again.read_bytes() == path.read_bytes()
    with tarfile.open(path) as archive:
        members = archive.getmembers()
    assert {(each.uid, each.gid, each.mtime) for each in members} == {(0, 0, 0)}
    assert all(each.mode == (0o755 if each.isdir() else 0o444) for each in members)
    # skopeo cannot make them where it is not root
    assert [each.name for each in members if each.isdir()] == ["blobs", "blobs/sha256"][
        : 2 * (transport == "oci-archive")
    ]
    assert len({each.name for each in members}) == len(members)


def test_an_archive_goes_through_a_pipe(store, paths, tmp_path):
    read_end, write_end = os.pipe()
    with subprocess.Popen(["tar", "-tf", "-"], stdin=read_end, stdout=subprocess.PIPE) as tar:
        os.close(read_end)
        location = parse_location("docker-archive:/dev/stdout")
        with open_output_archive(location, write_end, ()) as destination:
            push(put(store, "gzip"), paths, destination, Wish(), Silent())
        os.close(write_end)
        assert tar.stdout.read().splitlines()[-1] == b"manifest.json"


# --- compression ---


@pytest.mark.parametrize(("kind", "level"), [("gzip", None), ("gzip", 9), ("zstd", None), ("zstd", 19)])
def test_compression_depends_on_the_content_alone(kind, level):
    data = os.urandom(100_000) * 9
    results = []
    for size in (1000, 262144, 1 << 20):
        written = []
        chunks = (data[start : start + size] for start in range(0, len(data), size))
        result = compress_chunks(chunks, written.append, kind, level)
        packed = b"".join(written)
        assert (result.digest, result.size) == (digest_of(packed), len(packed))
        assert result.diff_id == digest_of(data)
        results.append(packed)
    assert len(set(results)) == 1
    if kind == "gzip":
        assert gzip.decompress(results[0]) == data
    else:
        assert zstandard.ZstdDecompressor().decompressobj().decompress(results[0]) == data
