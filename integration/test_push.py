"""push: to docker-registry, and to files; what is sent, what is said, what a failure leaves.

That others read it is in test_interoperation.py; formats and compressions are unit tests.
"""

from __future__ import annotations

import json
import subprocess
import urllib.request
from pathlib import Path

import pytest
from layouts import busybox_layer, layer, make_layout


@pytest.fixture(scope="module")
def layout(scratch: Path) -> Path:
    layers = [busybox_layer(), layer({"data/word": b"pushed"})]
    return make_layout(scratch / "layout-push", layers, config={"Cmd": ["cat", "/data/word"]})


@pytest.fixture
def pushing(fresh, layout):
    """A user with one image, called app."""
    fresh("pull", "--quiet", f"oci:{layout}")
    fresh("tag", f"localhost{layout}", "app")
    return fresh


def manifest_of(registry, name: str, tag: str) -> tuple[str, dict]:
    request = urllib.request.Request(
        f"http://{registry.address}/v2/{name}/manifests/{tag}",
        headers={
            "Accept": "application/vnd.oci.image.manifest.v1+json, "
            "application/vnd.docker.distribution.manifest.v2+json"
        },
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return str(answer.headers["Docker-Content-Digest"]), json.load(answer)


def notes_of(done) -> set[str]:
    """Return what is said of the layers."""
    return {line.partition(" MB, ")[2] for line in done.stderr.splitlines()[1:]}


def test_push_and_pull_again(pushing, registry, tmp_path):
    name = f"{registry.address}/push/app:1"
    done = pushing("push", "--digestfile", f"{tmp_path}/digest", "app", name)
    digest, manifest = manifest_of(registry, "push/app", "1")
    assert done.lines == [digest]
    assert (tmp_path / "digest").read_text() == digest
    layers = [each["digest"][7:19] for each in manifest["layers"]]
    said = done.stderr.splitlines()
    assert said[0] == f"Pushing {name}"
    assert sorted(line.split(":")[0] for line in said[1:]) == sorted(f"Layer {each}" for each in layers)
    assert notes_of(done) == {"done"}
    again = pushing("push", "app", name)
    assert again.lines == [digest]
    assert notes_of(again) == {"already there"}
    pushing("rmi", "--force", "app")
    assert pushing("run", "--rm", "--network=none", "--quiet", name).stdout == "pushed"
    assert pushing("inspect", "--format", "{{.Digest}}", name).lines == [digest]


def test_the_bytes_that_were_pulled_are_pushed(fresh, registry, layout):
    name = registry.push(layout, "push/origin:1")
    fresh("pull", "--quiet", name)
    fresh("tag", name, f"{registry.address}/push/copy:1")
    done = fresh("push", f"{registry.address}/push/copy:1")
    assert done.lines == [manifest_of(registry, "push/origin", "1")[0]]
    assert notes_of(done) == {"mounted from push/origin"}


def test_another_repository_of_a_registry_gets_layers_from_the_first(pushing, registry):
    pushing("push", "--quiet", "--compression-format", "zstd", "app", f"{registry.address}/push/first")
    done = pushing("push", "--compression-format", "zstd", "app", f"{registry.address}/push/second")
    assert notes_of(done) == {"mounted from push/first"}


def test_all_tags(pushing, registry):
    name = f"{registry.address}/push/tags"
    for tag in ("1", "2"):
        pushing("tag", "app", f"{name}:{tag}")
    assert len(pushing("push", "--all-tags", name).lines) == 2
    assert [manifest_of(registry, "push/tags", tag)[0] for tag in ("1", "2")]
    assert "no image here is called" in pushing("push", "-a", f"{name}/none", status=125).stderr


def test_a_registry_that_wants_credentials(pushing, private_registry):
    name = f"{private_registry.address}/push/app:1"
    certificates = private_registry.directory / "certs.d"
    certificates.mkdir(exist_ok=True)
    (certificates / "ca.crt").write_bytes((private_registry.directory / "ca.pem").read_bytes())
    options = ("--cert-dir", str(certificates), "--retry", "0")
    assert pushing("push", *options, "--creds", "u:p", "app", name).lines[0].startswith("sha256:")
    assert pushing("push", "--tls-verify=false", "--creds", "u:p", "app", name).lines
    build = ("build", "--quiet", "--network", "none", *options)
    given = f"FROM {name}\nRUN true\n"
    assert pushing(*build, "--pull", "--creds", "u:p", "-", input=given).lines
    assert pushing(*build, "--pull", "-", input=given, status=125).stdout == ""
    wrong = pushing("push", *options, "--creds", "u:wrong", "app", name, status=125)
    assert wrong.stdout == "" and "wrong" not in wrong.stderr
    assert "Error: " in wrong.stderr
    assert pushing("push", "--retry", "0", "--creds", "u:p", "app", name, status=125).stdout == ""


def test_the_event(pushing, registry):
    name = f"{registry.address}/push/event:1"
    pushing("push", "--quiet", "app", name)
    options = ("--stream=false", "--filter", "event=push", "--format", "{{.Type}} {{.Name}}")
    assert pushing("events", *options).lines == [f"image {name}"]


@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive", "oci", "dir"])
def test_files_are_read_by_skopeo_and_by_ourselves(pushing, tmp_path, transport):
    place = f"{transport}:{tmp_path}/image"
    done = pushing("push", "--quiet", "app", place)
    assert done.stdout + done.stderr == ""
    identity = pushing("images", "--quiet", "--no-trunc", "app").lines[0].removeprefix("sha256:")
    command = ["skopeo", "inspect", "--config", "--raw", place]
    config = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert json.loads(config)["config"]["Cmd"] == ["cat", "/data/word"]
    pushing("rmi", "--force", identity)
    assert pushing("pull", "--quiet", place).lines == [identity]
    assert pushing("run", "--rm", "--network=none", identity).stdout == "pushed"


@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_an_archive_is_complete_or_as_it_was(pushing, tmp_path, transport):
    place = f"{transport}:{tmp_path}/image.tar"
    pushing("push", "--quiet", "app", place)
    before = (tmp_path / "image.tar").read_bytes()
    pushing("push", "--quiet", "app", place)
    assert (tmp_path / "image.tar").read_bytes() == before
    blobs = pushing.root / "images/blobs/sha256"
    for blob in blobs.iterdir():  # the last byte of a layer: it is met when most has been written
        data = blob.read_bytes()
        if data[:2] == b"\x1f\x8b":
            blob.write_bytes(data[:-9] + b"x" + data[-8:])
    done = pushing("push", "--quiet", "app", place, status=125)
    assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 2
    assert (tmp_path / "image.tar").read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["image.tar"]
    assert not list((pushing.root / "tmp").iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("missing",), "no such image: missing"),
        (("--format=v2s2", "--compression-format=zstd", "app", "dir:/x"), "has no layers of zstd"),
        (("--compression-level=10", "app"), "gzip has no level 10"),
        (("--compression-format=zstd:chunked", "app"), "invalid value"),
        (("-D", "--compression-format=gzip", "app"), "--disable-compression goes with no other option"),
        (("--all-tags", "app", "dir:/x"), "--all-tags"),
        (("app", "containers-storage:x"), "is podman's own storage"),
        (("app", "dir:/proc/none"), "cannot write to /proc/none"),
        (("app", "oci-archive:/proc/none"), "cannot write /proc/none"),
        (("--retry-delay=soon", "app", "127.0.0.1:1/x"), "invalid time"),
        (("--retry=0", "app", "127.0.0.1:1/x"), "cannot reach registry 127.0.0.1:1"),
    ],
)
def test_what_cannot_be_pushed(pushing, words, message):
    done = pushing("push", *words, status=125)
    assert message in done.stderr and done.stdout == ""


def test_all_tags_of_a_repository(pushing, registry):
    repository = f"{registry.address}/push/many"
    for tag in ("1", "2"):
        pushing("tag", "app", f"{repository}:{tag}")
    assert len(set(pushing("push", "-q", "--all-tags", repository).lines)) <= 1
    pushing("rmi", f"{repository}:1", f"{repository}:2")
    assert len(set(pushing("pull", "--all-tags", "-q", repository).lines)) == 1
    names = pushing("images", "--format={{.Repository}}:{{.Tag}}", repository).lines
    assert sorted(names) == [f"{repository}:1", f"{repository}:2"]
    assert "--all-tags takes a repository" in pushing("pull", "-a", f"{repository}:1", status=125).stderr


def test_when_to_pull(pushing, registry):
    name = f"{registry.address}/push/policy:1"
    assert pushing("pull", "--policy=never", name, status=125).stdout == ""
    pushing("push", "-q", "app", name)
    identity = pushing("pull", "-q", "--policy=missing", name).lines
    wrong = name.replace("/push/", "/elsewhere/")
    pushing("tag", "app", wrong)
    for policy in ("missing", "never"):
        assert pushing("pull", "-q", f"--policy={policy}", wrong).lines == identity
    assert "does not exist" in pushing("pull", "-q", "--retry=0", wrong, status=125).stderr
    newer = pushing("pull", "-q", "--retry=0", "--policy=newer", wrong)
    assert newer.lines == identity and newer.stderr.startswith("Warning: ")
    ran = pushing("run", "--rm", "--network=none", "--retry=0", "--pull=newer", wrong)
    assert ran.stdout == "pushed" and "\nWarning: " in ran.stderr
