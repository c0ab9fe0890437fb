"""Images from files and directories, as skopeo writes them and people name them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from layouts import busybox_layer, layer, make_layout

RUN = ("run", "--rm", "--network=none")


@pytest.fixture(scope="module")
def layout(scratch: Path) -> Path:
    layers = [busybox_layer(), layer({"data/word": b"yes"})]
    return make_layout(scratch / "transports", layers, config={"Cmd": ["cat", "/data/word"]})


def skopeo(layout: Path, place: str) -> str:
    command = ["skopeo", "--insecure-policy", "copy", "--quiet", f"oci:{layout}:latest", place]
    subprocess.run(command, check=True, timeout=60)
    return place


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("oci:{}/oci:v1", "localhost{}/oci:v1"),
        ("oci-archive:{}/oci.tar:app:1", "localhost/app:1"),
        ("docker-archive:{}/docker.tar:team/app:2", "docker.io/team/app:2"),
        ("dir:{}/dir", ""),
    ],
)
def test_pull_and_run_what_skopeo_wrote(fresh, scratch, layout, place, name):
    directory = scratch / "written"
    directory.mkdir(exist_ok=True)
    place = skopeo(layout, place.format(directory))
    done = fresh("pull", place)
    [identity] = done.lines
    assert done.stderr.startswith(f"Pulling {place.partition(':')[0]}:")
    fresh("pull", "--quiet", place)  # it is here already
    shown = fresh("images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.Id}}").lines
    assert shown == [f"{name.format(directory) or '<none>:<none>'} {identity}"]
    assert fresh(*RUN, "--pull=never", identity).stdout == "yes"
    fresh("rmi", identity)
    assert fresh(*RUN, place).stdout == "yes"
    container = fresh("create", place).lines[0]
    shown = fresh("inspect", "--format", "{{.ImageName}}", container).stdout.strip()
    assert shown.removeprefix("sha256:") == (name.format(directory) or identity)


def test_all_images_of_an_archive_of_docker(fresh, scratch, layout):
    archive = scratch / "several.tar"
    archive.unlink(missing_ok=True)
    skopeo(layout, f"docker-archive:{archive}:app:1")
    done = fresh("pull", f"docker-archive:{archive}", f"docker-archive:{archive}:app:1", f"oci:{layout}")
    assert len(done.lines) == 3
    assert fresh("images", "--format", "{{.Repository}}:{{.Tag}}").lines.count("docker.io/library/app:1") == 1


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("oci:{}:other", "Error: {} has no image called other\nHint: it has latest\n"),
        ("oci:{}/none", "Error: cannot open {}/none: No such file or directory\n"),
        ("oci-archive:{}", "Error: {}: it is a directory\nHint: for a directory there is oci:DIRECTORY\n"),
    ],
)
def test_what_is_not_there(fresh, layout, place, message):
    done = fresh("pull", place.format(layout), status=125)
    assert done.stderr == message.format(layout)
    assert fresh("images", "-q").lines == []
