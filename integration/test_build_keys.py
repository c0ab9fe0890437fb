"""build: what the cache's keys have to know, so that no two different steps are taken for one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from harness import Cli

NONE = ("--network", "none")


@pytest.fixture
def place(tmp_path: Path, image: str) -> Path:
    directory = tmp_path / "context"
    directory.mkdir()
    return directory


def write(place: Path, image: str, *lines: str) -> Path:
    (place / "Dockerfile").write_text("\n".join((f"FROM {image}", *lines, "")))
    return place


def shown(cli: Cli, place: Path, *options: str, command: tuple[str, ...]) -> str:
    """Build, and return what a command prints in the image."""
    built = cli("build", "--quiet", *NONE, *options, str(place)).stdout.strip()
    return cli("run", "--rm", *NONE, built, *command).stdout.strip()


def test_a_linked_copy_for_a_name_depends_on_who_that_is(cli: Cli, place: Path, image: str) -> None:
    (place / "file").write_text("")
    write(
        place,
        image,
        "ARG ID",
        'RUN echo "app:x:$ID:$ID::/:/bin/sh" >>/etc/passwd',
        "COPY --link --chown=app file /file",
    )
    for number in ("1001", "1002"):
        assert shown(cli, place, f"--build-arg=ID={number}", command=("stat", "-c", "%u", "/file")) == number


def test_squashed_layers_of_another_time(cli: Cli, place: Path, image: str) -> None:
    write(place, image, "RUN touch /one", "RUN touch /two")
    cli("build", "--quiet", *NONE, "--tag", "of-two", str(place))
    write(place, "of-two", "ENV A=1")
    ask = ("stat", "-c", "%Y", "/two")
    assert shown(cli, place, "--squash-all", command=ask) != "1000"
    assert shown(cli, place, "--squash-all", "--timestamp=1000", command=ask) == "1000"


@pytest.mark.parametrize(
    ("option", "command", "values"),
    [
        ("--ulimit", "ulimit -n", {"nofile=100:100": "100", "nofile=200:200": "200"}),
        ("--shm-size", "df -k /dev/shm | awk 'NR>1 {print $2}'", {"1m": "1024", "2m": "2048"}),
        ("--cap-drop", "awk '/^CapBnd/ {print $2}' /proc/self/status", {"all": "0" * 16}),
        (
            "--cap-add",
            "awk '/^CapBnd/ {print substr($2, 9)}' /proc/self/status",
            {"SYS_TIME": "820405fb", "NET_ADMIN": "800415fb"},
        ),
        ("--device", "ls /dev | grep of-host", {f"/dev/zero:/dev/of-host-{n}": f"of-host-{n}" for n in "12"}),
        (
            "--security-opt",
            "awk '/^NoNewPrivs/ {print $2}' /proc/self/status",
            {"no-new-privileges": "1", "seccomp=unconfined": "0"},
        ),
    ],
)
def test_options_that_a_command_sees(
    cli: Cli, place: Path, image: str, option: str, command: str, values: dict[str, str]
) -> None:
    write(place, image, f"RUN {command} >/seen")
    for value, seen in values.items():
        assert shown(cli, place, f"{option}={value}", command=("cat", "/seen")) == seen


def test_a_mounted_directory_with_the_name_of_a_pattern(cli: Cli, place: Path, image: str) -> None:
    (place / "[id]").mkdir()
    write(place, image, "RUN --mount=type=bind,source=[id],target=/in cat /in/page >/seen")
    for content in ("first", "second"):
        (place / "[id]/page").write_text(content)
        assert shown(cli, place, command=("cat", "/seen")) == content


def test_what_has_one_owner_for_lack_of_others(cli: Cli, place: Path, image: str, tmp_path: Path) -> None:
    """The cache of somebody without subordinate ids, who can give a file to nobody else."""
    (place / "file").write_text("")
    write(place, image, "COPY --chown=7:8 file /file", "USER 7:8", "WORKDIR /w")
    empty = tmp_path / "empty"
    empty.touch()
    cache = f"type=local,{{}}={tmp_path}/cache"
    script = (
        f"mount --bind {empty} /etc/subuid && mount --bind {empty} /etc/subgid && "
        f'exec unshare --user --map-user={os.getuid()} --map-group={os.getgid()} "$@"'
    )
    single = Cli(cli.program, tmp_path / "root", tmp_path / "run", cli.env)
    build = (single.program, "build", "--quiet", *NONE, "--cache-to", cache.format("dest"), str(place))
    outside = ("unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh")
    subprocess.run([*outside, *build], env=single.environment(), timeout=60, check=True, capture_output=True)
    found = shown(
        cli, place, "--cache-from", cache.format("src"), command=("stat", "-c", "%u:%g", "/file", "/w")
    )
    assert found.split() == ["7:8", "7:8"]


def test_a_layer_that_two_images_have(fresh: Cli, place: Path, image: str) -> None:
    """In the place of a file, the kernel marks a directory as one that hides what it lies on."""
    first = ["RUN touch /app", "RUN rm /app && mkdir /app && echo x >/app/file"]
    second = ["RUN mkdir /app && echo y >/app/other", "RUN echo x >/app/file"]
    layers = []
    for lines in (first, second):
        write(place, image, *lines)
        built = fresh("build", "--quiet", "--timestamp=1000", *NONE, str(place)).stdout.strip()
        layers.append(fresh("inspect", "--format", "{{json .RootFS.Layers}}", built).stdout.split('"')[-2])
    assert layers[0] == layers[1]
    assert fresh("run", "--rm", *NONE, built, "ls", "/app").lines == ["file", "other"]


def test_what_a_cache_mount_begins_with(fresh: Cli, place: Path, image: str) -> None:
    (place / "Dockerfile").write_text(
        f"FROM {image} AS first\nARG X\nRUN mkdir /s && echo $X >/s/file\n"
        f"FROM {image}\nRUN --mount=type=cache,from=first,source=/s,target=/c cat /c/file >/seen\n"
    )
    for value in ("1", "2"):
        assert shown(fresh, place, f"--build-arg=X={value}", command=("cat", "/seen")) == value
