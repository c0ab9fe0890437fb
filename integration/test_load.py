"""load: archives and directories that skopeo and umoci wrote, and ones nobody should have written."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import shutil
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from harness import Cli
from layouts import busybox_layer, layer, make_layout

RUN = ("run", "--rm", "--network=none", "--pull=never")
COMPRESS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": zstandard.compress}


@pytest.fixture(scope="module")
def layout(scratch: Path) -> Path:
    """A layout with an image that prints "yes"."""
    layers = [busybox_layer(), layer({"data/word": b"yes"})]
    return make_layout(scratch / "load", layers, config={"Cmd": ["cat", "/data/word"]})


@pytest.fixture(scope="module")
def docker_archive(scratch: Path, layout: Path) -> Path:
    """What `docker save` writes of that image."""
    return Path(skopeo(layout, f"docker-archive:{scratch}/docker.tar:team/app:1").split(":")[1])


@pytest.fixture
def place(scratch: Path) -> Iterator[Path]:
    """A directory whose path can be part of an image's name."""
    directory = scratch / "place"
    directory.mkdir()
    yield directory
    shutil.rmtree(directory)


def skopeo(layout: Path, place: str) -> str:
    command = ["skopeo", "--insecure-policy", "copy", "--quiet", f"oci:{layout}:latest", place]
    subprocess.run(command, check=True, timeout=60)
    return place


def everything(cli: Cli) -> set[str]:
    """Return the paths of all that the store and its staging directory have."""
    paths = (path for name in ("images", "tmp") for path in (cli.root / name).rglob("*"))
    found = {str(path) for path in paths if not path.is_dir()}
    return found | {str(path) for path in (cli.root / "layers").glob("*/*")}


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("oci:{}/oci:v1", "localhost{}/oci:v1"),
        ("oci-archive:{}/oci.tar:app:1", "localhost/app:1"),
        ("docker-archive:{}/docker.tar:team/app:2", "docker.io/team/app:2"),
        ("dir:{}/dir", ""),
    ],
)
def test_what_skopeo_wrote(fresh: Cli, layout: Path, place: Path, target: str, name: str) -> None:
    path, name = skopeo(layout, target.format(place)).split(":")[1], name.format(place)
    done = fresh("load", "--input", path)
    identity = fresh("images", "-q", "--no-trunc").stdout.strip()
    assert done.stdout == f"Loaded image: {name or identity}\n"
    assert done.stderr.startswith(f"Loading {target.partition(':')[0]}:{path}")
    assert fresh(*RUN, name or identity).stdout == "yes"
    event = fresh("events", "--no-stream", "--filter=event=load", "--format={{.ID}} {{.Name}}").lines
    assert event == [f"{identity.removeprefix('sha256:')} {path}"]
    assert fresh("image", "load", "-q", "-i", path).stderr == ""


@pytest.mark.parametrize("kind", COMPRESS)
def test_a_compressed_one_from_a_pipe(fresh: Cli, docker_archive: Path, kind: str) -> None:
    data = COMPRESS[kind](docker_archive.read_bytes())
    assert fresh("load", "-q", input=data).stdout == "Loaded image: docker.io/team/app:1\n"
    assert fresh(*RUN, "team/app:1").stdout == "yes"


def test_a_file_and_a_socket_as_standard_input(fresh: Cli, docker_archive: Path) -> None:
    """Under ssh standard input is a socket, which cannot be opened by a name."""
    with docker_archive.open("rb") as file:
        done = subprocess.run([fresh.program, "load", "-q"], stdin=file, env=fresh.environment(), check=True)
    ours, theirs = socket.socketpair()
    with (
        ours,
        theirs,
        subprocess.Popen([fresh.program, "load", "-q"], stdin=theirs, env=fresh.environment()) as done,
    ):
        ours.sendall(docker_archive.read_bytes())
        ours.shutdown(socket.SHUT_WR)
        assert done.wait(30) == 0
    assert fresh(*RUN, "team/app:1").stdout == "yes"


def test_what_umoci_wrote(fresh: Cli, layout: Path, place: Path) -> None:
    subprocess.run(["cp", "-r", layout, place / "l"], check=True)
    change = [
        "umoci",
        "config",
        "--image",
        f"{place}/l:latest",
        "--tag=new",
        "--config.cmd=echo",
        "--config.cmd=new",
    ]
    subprocess.run(change, check=True, capture_output=True, timeout=60)
    done = fresh("load", "-i", f"{place}/l")
    assert sorted(done.lines) == [f"Loaded image: localhost{place}/l:{tag}" for tag in ("latest", "new")]
    assert fresh(*RUN, f"localhost{place}/l:new").stdout == "new\n"


def test_an_image_for_another_platform(fresh: Cli, tmp_path: Path) -> None:
    make_layout(tmp_path / "arm", [busybox_layer()], architecture="arm64")
    name = fresh("load", "-q", "-i", f"{tmp_path}/arm").stdout.split()[-1]
    assert fresh("inspect", "--format={{.Architecture}}", name).stdout == "arm64\n"


def test_a_name_that_another_image_has(fresh: Cli, docker_archive: Path, image: str) -> None:
    """It moves, as with docker and podman, and a person is told."""
    before = fresh(
        "inspect", "--format={{.Id}}", fresh("run", "-d", "--network=none", image, "true") and image
    )
    fresh("tag", image, "team/app:1")
    done = fresh("load", "-i", str(docker_archive))
    assert f"docker.io/team/app:1 was the name of image {before.stdout[:12]} until now" in done.stderr
    assert fresh(*RUN, "team/app:1").stdout == "yes"
    assert fresh("inspect", "--format={{.Id}}", image).stdout == before.stdout
    fresh("rm", "--all", "--force")


# --- archives that nobody should have written -------------------------------------------------


def archive(members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as made:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            made.addfile(entry, io.BytesIO(data))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            made.addfile(entry)
    return buffer.getvalue()


GOOD = layer({"f": b"content"})
GOOD_ID = f"sha256:{hashlib.sha256(GOOD).hexdigest()}"


def config(*diff_ids: str) -> bytes:
    rootfs = {"type": "layers", "diff_ids": list(diff_ids)}
    return json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}).encode()


def listed(**item: object) -> bytes:
    return json.dumps([{"Config": "c.json", "Layers": ["l.tar"], "RepoTags": ["bad:1"], **item}]).encode()


BAD = {
    "no image": (archive({"file": b"x"}), "is not an archive of images"),
    "no list": (archive({"manifest.json": b"{}"}), "is not a list"),
    "no config": (archive({"manifest.json": listed()}), "c.json is not in"),
    "a path outside": (archive({"manifest.json": listed(Config="/etc/passwd")}), "is not in"),
    "a link outside": (
        archive({"manifest.json": listed(), "c.json": config(GOOD_ID)}, {"l.tar": "/etc/passwd"}),
        "is not in",
    ),
    "too few layers": (
        archive({"manifest.json": listed(Layers=[]), "c.json": config(GOOD_ID), "l.tar": GOOD}),
        "has 0 layers but 1 in its config",
    ),
    "another layer": (
        archive({"manifest.json": listed(), "c.json": config("sha256:" + "0" * 64), "l.tar": GOOD}),
        "corrupt",
    ),
    "a layer that is none": (
        archive(
            {
                "manifest.json": listed(),
                "c.json": config(f"sha256:{hashlib.sha256(b'x' * 2000).hexdigest()}"),
                "l.tar": b"x" * 2000,
            }
        ),
        "cannot unpack layer",
    ),
    "a layout of the future": (
        archive({"oci-layout": b'{"imageLayoutVersion":"2.0.0"}', "index.json": b"{}"}),
        "is not a layout of version 1",
    ),
    "an index that lists nothing": (
        archive({"index.json": b'{"schemaVersion":2,"manifests":[]}'}),
        "has no images",
    ),
    "a blob that is missing": (
        archive(
            {
                "index.json": json.dumps(
                    {
                        "schemaVersion": 2,
                        "manifests": [
                            {
                                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                                "digest": "sha256:" + "a" * 64,
                                "size": 5,
                            }
                        ],
                    }
                ).encode()
            }
        ),
        "is not in",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_refused_and_leaves_nothing(session_cli: Cli, image: str, name: str) -> None:
    data, said = BAD[name]
    before = everything(session_cli)
    refused = session_cli("load", "--quiet", input=data, status=125)
    assert said in refused.stderr and refused.stderr.count("Error: ") == 1 and refused.stdout == ""
    assert everything(session_cli) == before


def test_what_is_not_there(cli: Cli, docker_archive: Path, tmp_path: Path) -> None:
    before = everything(cli)
    assert "no such file: /nothing" in cli("load", "-i", "/nothing", status=125).stderr
    assert "has no images" in cli("load", "-i", str(tmp_path), status=125).stderr
    assert "the archive ends too early" in cli("load", input=b"", status=125).stderr
    cut = docker_archive.read_bytes()[: -os.path.getsize(docker_archive) // 2]
    assert "the archive ends too early" in cli("load", input=cut, status=125).stderr
    typed = cli.shell(f"script -qec 'daemonless load' {tmp_path}/typed </dev/null", status=None)
    assert "refusing to read an archive from a terminal" in typed.stdout
    assert everything(cli) == before
