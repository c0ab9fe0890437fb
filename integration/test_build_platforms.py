"""build for several platforms, and onto lists of images."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from conftest import Registry
from harness import Cli


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A context whose image needs nothing to be run for it."""
    (tmp_path / "Dockerfile").write_text(
        "FROM scratch\nARG TARGETPLATFORM\nARG TARGETARCH\nCOPY <<EOF /for\n$TARGETARCH\nEOF\n"
        "LABEL for=$TARGETPLATFORM\n"
    )
    return tmp_path


def platforms(cli: Cli, name: str) -> list[str]:
    found = json.loads(cli("manifest", "inspect", name).stdout)["manifests"]
    return [
        "/".join(filter(None, map(each["platform"].get, ("os", "architecture", "variant")))) for each in found
    ]


def test_a_name_for_several_platforms_is_a_list(cli: Cli, place: Path, registry: Registry) -> None:
    name = f"{registry.address}/multi:1"
    before = cli("images", "--all", "--quiet").lines
    built = cli("build", "--platform", "linux/amd64,linux/arm64/v8", "-t", name, "-t", "multi:2", str(place))
    assert re.fullmatch(r"[0-9a-f]{64}\n", built.stdout)
    assert platforms(cli, name) == platforms(cli, "multi:2") == ["linux/amd64", "linux/arm64/v8"]
    assert "#1 [linux/amd64 1/2] FROM scratch\n" in built.stderr
    assert "#1 [linux/arm64/v8 1/2] FROM scratch\n" in built.stderr
    assert built.stderr.endswith(f"\nTagged {name}\nTagged docker.io/library/multi:2\n")
    assert cli.inspect(name, "{{.Architecture}} {{.Config.Labels}}") == "amd64 map[for:linux/amd64]"
    cli("manifest", "push", "--quiet", name)
    other = cli("pull", "--quiet", "--platform", "linux/arm64", name).stdout.strip()
    assert cli.inspect(other, "{{.Architecture}} {{.Config.Labels}}") == "arm64 map[for:linux/arm64/v8]"
    cli("rmi", "--force", other)
    cli("build", "--platform", "linux/amd64,linux/riscv64", "-t", "multi:2", str(place))
    assert platforms(cli, "multi:2") == ["linux/amd64", "linux/riscv64"]
    for listed in (name, "multi:2"):
        cli("manifest", "rm", listed, status=None)
    cli("image", "prune", "--force")
    assert set(cli("images", "--all", "--quiet").lines) <= set(before)


def test_the_words_for_one_platform(cli: Cli, place: Path) -> None:
    default = {"DOCKER_DEFAULT_PLATFORM": "linux/s390x"}
    for options, env, expected in (
        (("--arch", "arm64"), {}, "linux/arm64"),
        (("--os", "linux", "--arch", "arm", "--variant", "v7"), {}, "linux/arm/v7"),
        ((), default, "linux/s390x"),
        (("--platform", "linux/riscv64"), default, "linux/riscv64"),
    ):
        built = cli("build", "--quiet", *options, str(place), env=env).stdout.strip()
        assert cli.inspect(built, "{{.Config.Labels}}") == f"map[for:{expected}]"
        cli("rmi", built)
    several = ("--platform", "linux/amd64,linux/arm64", "--arch", "arm64")
    assert "several platforms" in cli("build", *several, str(place), status=125).stderr


def test_annotations_of_images_and_their_list(cli: Cli, place: Path) -> None:
    given = [f"--annotation={value}" for value in ("a=1", "manifest:b=2", "manifest[linux/arm64]:c=3")]
    built = cli("build", "--quiet", "-t", "annotated", *given, str(place)).stdout.strip()
    assert json.loads(cli.inspect("annotated", "{{json .Annotations}}")) == {"a": "1", "b": "2"}
    refused = cli("build", "--annotation=index:d=4", str(place), status=125).stderr
    assert "this is a build of one" in refused
    assert (
        "no annotations" in cli("build", "--annotation=index-descriptor:e=5", str(place), status=125).stderr
    )
    cli("rmi", built)
    both = ("--platform", "linux/amd64,linux/arm64", "--annotation=index,manifest:d=4")
    cli("build", "--quiet", "-t", "annotated", *given, *both, str(place))
    found = json.loads(cli("manifest", "inspect", "annotated").stdout)
    assert found["annotations"] == {"d": "4"}
    blobs = cli.root / "images" / "blobs" / "sha256"
    manifests = [
        json.loads((blobs / each["digest"].partition(":")[2]).read_text()) for each in found["manifests"]
    ]
    assert [each["annotations"] for each in manifests] == [
        {"a": "1", "b": "2", "d": "4"},
        {"a": "1", "b": "2", "c": "3", "d": "4"},
    ]
    cli("manifest", "rm", "annotated")


def test_files_for_several_platforms(cli: Cli, place: Path, tmp_path: Path) -> None:
    both = ("--platform", "linux/amd64,linux/arm64/v8")
    before = cli("images", "--all", "--quiet").stdout
    built = cli("build", *both, "-o", str(tmp_path / "out"), str(place))
    assert built.stdout == ""
    found = {path.name: (path / "for").read_text() for path in (tmp_path / "out").iterdir()}
    assert found == {"linux_amd64": "amd64\n", "linux_arm64_v8": "arm64\n"}
    assert cli("images", "--all", "--quiet").stdout == before


def test_a_list_is_pushed(cli: Cli, place: Path, registry: Registry) -> None:
    both = ("--platform", "linux/amd64,linux/arm64")
    names = [f"{registry.address}/pushed/{name}" for name in ("list:1", "other:1")]
    built = cli("build", *both, "--push", "-t", names[0], "-o", f"type=registry,name={names[1]}", str(place))
    assert re.fullmatch(r"[0-9a-f]{64}\n", built.stdout)
    for name in names:
        assert platforms(cli, name) == ["linux/amd64", "linux/arm64"]
        cli("manifest", "rm", name)
        assert platforms(cli, f"docker://{name}") == ["linux/amd64", "linux/arm64"]
    cli("image", "prune", "--force")


def test_an_image_is_put_on_a_list(cli: Cli, place: Path, tmp_path: Path) -> None:
    for platform in ("linux/amd64", "linux/s390x"):
        cli(
            "build",
            "--platform",
            platform,
            "--manifest",
            "gathered:1",
            "--iidfile",
            f"{tmp_path}/iid",
            str(place),
        )
    assert platforms(cli, "gathered:1") == ["linux/amd64", "linux/s390x"]
    assert (tmp_path / "iid").read_text().startswith("sha256:")
    cli("manifest", "rm", "gathered:1")


def test_what_only_one_image_can_have_is_refused(cli: Cli, place: Path) -> None:
    both = ("--platform", "linux/amd64,linux/arm64")
    refused = cli("build", *both, "-o", f"type=oci,dest={place}/out", str(place), status=125)
    assert "an archive takes one image" in refused.stderr
    text = (place / "Dockerfile").read_text()
    assert "can be read once" in cli("build", *both, "-", input=text, status=125).stderr
    assert (
        "is not a platform"
        in cli("build", "--platform", "linux/amd64,no/such/thing/x", str(place), status=125).stderr
    )
