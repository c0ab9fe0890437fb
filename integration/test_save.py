"""save: the same bytes each time, read back by us, skopeo, podman and umoci; a complete file or none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import make_cli
from harness import Cli

FORMATS = {
    "docker-archive": "docker-archive:{}",
    "oci-archive": "oci-archive:{}",
    "docker-dir": "dir:{}",
    "oci-dir": "oci:{}:docker.io/team/app:1",
}
CHANGE = """mkdir -p /srv/dir; cd /srv; echo one >one; ln one two; ln -s ../etc link; mkfifo fifo
chmod 1777 dir; touch owned; chown 7:8 owned; chmod 4711 owned; rm /bin/vi"""
LISTING = "cd /srv; stat -c '%n %a %u %g %h' * ; cat one; test -e /bin/vi || echo none"
AS_ROOT = ("unshare", "--map-root-user", "--map-auto", "--mount")


@pytest.fixture(scope="module")
def shelf(scratch: Path, image: str) -> Iterator[Cli]:
    """A store with team/app:1, of two layers."""
    (scratch / "shelf").mkdir()
    cli = make_cli(scratch / "shelf")
    cli("run", "--name=c", "--network=none", image, "sh", "-c", CHANGE)
    cli("commit", "-q", "-c", "LABEL is=saved", "c", "team/app:1")
    cli("rm", "c")
    yield cli
    cli.remove_all()


@pytest.fixture(scope="module")
def other(scratch: Path) -> Iterator[Cli]:
    """A store that images are loaded into."""
    (scratch / "other").mkdir()
    cli = make_cli(scratch / "other")
    yield cli
    cli.remove_all()


@pytest.fixture
def place(scratch: Path) -> Iterator[Path]:
    """A directory whose path can be part of an image's name."""
    directory = scratch / "saved"
    directory.mkdir()
    yield directory
    subprocess.run([*AS_ROOT, "rm", "-rf", directory], check=True)


def saved(cli: Cli, *words: str) -> bytes:
    """Return what `save` writes to standard output."""
    command = [cli.program, "save", "--quiet", *words]
    return subprocess.run(command, capture_output=True, env=cli.environment(), check=True, timeout=60).stdout


def program(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout


def seen_by_podman(path: Path, place: Path, identity: str) -> list[str]:
    """Load a file or directory with podman and return what is in the image."""
    options = f"--root {place}/r --runroot {place}/s --storage-driver=vfs --cgroup-manager=cgroupfs"
    script = f"""
    for own in /run /dev/shm; do mount -t tmpfs none $own; done
    podman() {{ command podman {options} "$@"; }}
    podman load --quiet --input {path} >&2
    cd $(podman image mount {identity})/srv
    stat -c '%n %a %u %g %h' *; cat one; test -e ../bin/vi || echo none
    """
    env = {**os.environ, "XDG_RUNTIME_DIR": str(place), "_CONTAINERS_USERNS_CONFIGURED": "done"}
    shown = subprocess.run(
        [*AS_ROOT, "sh", "-ec", script], capture_output=True, text=True, timeout=60, env=env, check=True
    )
    return shown.stdout.splitlines()


@pytest.mark.parametrize("kind", FORMATS)
def test_everybody_reads_it(shelf: Cli, other: Cli, place: Path, kind: str) -> None:
    path = place / kind
    done = shelf("save", "--format", kind, "--output", str(path), "team/app:1")
    assert done.stdout == "" and done.stderr.startswith("Saving docker.io/team/app:1\nLayer ")
    identity = shelf("inspect", "--format={{.Id}}", "team/app:1").stdout.strip()
    layers = json.loads(shelf("inspect", "--format={{json .RootFS.Layers}}", "team/app:1").stdout)
    seen = shelf("run", "--rm", "--network=none", "team/app:1", "sh", "-c", LISTING).stdout.splitlines()
    assert len(layers) == 2 and "owned 4711 7 8 1" in seen

    loaded = other("load", "--quiet", "--input", str(path)).stdout.split()[-1]
    assert loaded == (f"sha256:{identity}" if kind == "docker-dir" else "docker.io/team/app:1")
    again = other("run", "--rm", "--network=none", loaded, "sh", "-c", LISTING).stdout
    assert again.splitlines() == seen
    assert other("inspect", "--format={{.Id}}", loaded).stdout.strip() == identity
    other("rmi", "--force", loaded)

    config = json.loads(program("skopeo", "inspect", "--config", "--raw", FORMATS[kind].format(path)))
    assert config["rootfs"]["diff_ids"] == layers and config["config"]["Labels"]["is"] == "saved"
    kinds = {"docker-archive", "docker-dir"}
    manifest = json.loads(program("skopeo", "inspect", "--raw", FORMATS[kind].format(path)))
    assert ("docker" in manifest["mediaType"]) is (kind in kinds)

    assert seen_by_podman(path, place, identity) == seen

    if kind == "oci-dir":
        unpack = (
            "umoci",
            "unpack",
            "--rootless",
            "--image",
            f"{path}:docker.io/team/app:1",
            f"{place}/bundle",
        )
        program(*unpack)
        assert (place / "bundle" / "rootfs" / "srv" / "one").read_text() == "one\n"
        assert (place / "bundle" / "rootfs" / "srv" / "two").stat().st_nlink == 2


def test_the_same_bytes(shelf: Cli, other: Cli, place: Path) -> None:
    """Saved twice, and saved again by another store that has loaded it."""
    for kind in ("docker-archive", "oci-archive"):
        first = saved(shelf, "--format", kind, "team/app:1")
        shelf("save", "-q", "--format", kind, "-o", str(place / kind), "team/app:1")
        assert (place / kind).read_bytes() == first
        other("load", "-q", "-i", str(place / kind))
        assert saved(other, "--format", kind, "team/app:1") == first
        other("rmi", "--force", "team/app:1")


def test_several_images_and_names(shelf: Cli, other: Cli, place: Path, image: str) -> None:
    shelf("tag", "team/app:1", "registry.example/app:2")
    names = ["docker.io/team/app:1", "registry.example/app:2", image]
    for kind in ("docker-archive", "oci-archive", "oci-dir"):
        path = place / kind
        shelf("save", "-q", "-m", "--format", kind, "-o", str(path), *names)
        loaded = [line.removeprefix("Loaded image: ") for line in other("load", "-q", "-i", str(path)).lines]
        assert loaded == [*names[:2], f"{image}:latest" if ":" not in image else image]
        assert len(set(other("images", "-q").lines)) == 2
        other("rmi", "--all", "--force")
    with tarfile.open(place / "docker-archive") as archive:
        members = archive.getnames()
        listed = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert len(members) == len(set(members)) == 5  # two configs, two layers between them, the list
    assert [len(item["RepoTags"]) for item in listed] == [2, 1]
    identity = shelf("inspect", "--format={{.Id}}", "team/app:1").stdout.strip()
    assert saved(shelf, identity[:12]) != saved(shelf, "team/app:1")  # asked for by its id it has no name
    shelf("rmi", "registry.example/app:2")


def test_what_a_failure_leaves(shelf: Cli, place: Path) -> None:
    """An older file stays as it is, and nothing else is left beside it."""
    target = place / "file.tar"
    target.write_text("older")
    document = json.loads(shelf("inspect", "team/app:1").stdout)[0]
    manifest = shelf.root / "images" / "blobs" / document["Digest"].replace(":", "/")
    blob = (
        shelf.root
        / "images"
        / "blobs"
        / json.loads(manifest.read_text())["layers"][1]["digest"].replace(":", "/")
    )
    content = blob.read_bytes()
    try:
        blob.write_bytes(content[:-1] + b"x")
        for kind in ("docker-archive", "oci-archive"):
            failed = shelf("save", "-q", "--format", kind, "-o", str(target), "team/app:1", status=125)
            assert failed.stderr.count("Error: ") == 1
    finally:
        blob.write_bytes(content)
    assert target.read_text() == "older"
    assert os.listdir(place) == ["file.tar"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing",), "no such image: nothing"),
        ((), "missing argument 'IMAGE...'"),
        (("-o", "/nothing/x", "team/app:1"), "cannot write /nothing/x: No such file or directory"),
        (("-o", "/", "team/app:1"), "cannot write /: Is a directory"),
        (("--format=oci-dir", "team/app:1"), "writes a directory"),
        (("--format=docker-dir", "-o", "d", "team/app:1", "IMAGE"), "holds one image"),
        (("--compress", "team/app:1"), "--compress goes with"),
        (("--uncompressed", "team/app:1"), "--uncompressed goes with"),
        (("--format=tar", "team/app:1"), "docker-archive"),
    ],
)
def test_what_is_refused(shelf: Cli, image: str, words: tuple[str, ...], said: str) -> None:
    refused = shelf("save", *(word.replace("IMAGE", image) for word in words), status=125)
    assert said in refused.stderr and refused.stdout == ""


def test_where_it_goes(shelf: Cli, place: Path) -> None:
    expected = saved(shelf, "team/app:1")
    assert saved(shelf, "--output", "/dev/stdout", "team/app:1") == expected
    os.mkfifo(place / "fifo")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((place / "fifo").read_bytes()))
    reader.start()
    shelf("image", "save", "-q", "-o", str(place / "fifo"), "team/app:1")
    reader.join(20)
    assert read == [expected]
    typed = shelf.shell(f"script -qec 'daemonless save team/app:1' {place}/typed", status=None)
    assert "refusing to write an archive to a terminal" in typed.stdout
    cut = shelf.shell("{ daemonless save -q team/app:1; echo $? >&2; } | head -c 10 >/dev/null")
    assert cut.stderr == "141\n"


def test_compression(shelf: Cli, place: Path) -> None:
    """The first layer lies in the store as it was made: plain."""
    for words, expected in (
        (("--format=docker-dir",), ["tar", "tar.gzip"]),
        (("--format=docker-dir", "--compress"), ["tar.gzip", "tar.gzip"]),
        (("--format=oci-dir",), ["tar+gzip", "tar+gzip"]),
        (("--format=oci-dir", "--uncompressed"), ["tar", "tar"]),
    ):
        shelf("save", "-q", *words, "-o", str(place / "d"), "team/app:1")
        where = "oci" if "oci" in words[0] else "dir"
        manifest = json.loads(program("skopeo", "inspect", "--raw", f"{where}:{place}/d"))
        found = [
            layer["mediaType"].partition("diff." if where == "dir" else "v1.")[2]
            for layer in manifest["layers"]
        ]
        assert found == expected
        shutil.rmtree(place / "d")
