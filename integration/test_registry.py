"""Pulling from Debian's docker-registry, in every form in which skopeo and buildah push.

What happens to images after that is in test_images.py and test_image_commands.py; what goes wrong
with a pull on the command line is in test_bad_input.py.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from layouts import busybox_layer, layer, make_layout, stargz

LIST = ("run", "--rm", "--network=none", "--pull=never")
INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture(scope="session")
def layers() -> list[bytes]:
    """Busybox with two files, and above it a new file and a whiteout."""
    below = busybox_layer({"data/kept": b"", "data/removed": b""})
    return [below, layer({"data/.wh.removed": b"", "data/added": b""})]


@pytest.fixture(scope="session")
def layout(scratch: Path, layers: list[bytes]) -> Path:
    return make_layout(scratch / "layout-listing", layers, config={"Cmd": ["ls", "/data"]})


def tool(*words: str | Path, **env: str) -> str:
    """Run skopeo or buildah to its end."""
    done = subprocess.run(
        [str(word) for word in words], env={**os.environ, **env}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def copy(layout: Path, name: str, *options: str) -> str:
    """Push with skopeo's `options` and return the name."""
    tool(
        *("skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false", *options),
        *(f"oci:{layout}:latest", f"docker://{name}"),
    )
    return name


def manifest_entry(layout: Path) -> dict[str, object]:
    """Return the descriptor of the layout's manifest."""
    [entry] = json.loads((layout / "index.json").read_text())["manifests"]
    return {name: entry[name] for name in ("mediaType", "digest", "size")}


def manifest(layout: Path) -> dict[str, object]:
    document: dict[str, object] = json.loads(
        (layout / "blobs/sha256" / str(manifest_entry(layout)["digest"])[7:]).read_text()
    )
    return document


def image_id(layout: Path) -> str:
    return str(manifest(layout)["config"]["digest"])[7:]


def put_index(address: str, repository: str, entries: list[dict[str, object]]) -> str:
    """Upload an index, tagged latest, of manifests that are there already; return its digest."""
    data = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    request = urllib.request.Request(
        f"http://{address}/v2/{repository}/manifests/latest",
        data=data,
        method="PUT",
        headers={"Content-Type": INDEX},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return str(answer.headers["Docker-Content-Digest"])


def stored_by(registry, digest: str) -> Path:
    """Where docker-registry keeps a blob."""
    return registry.directory / f"data/docker/registry/v2/blobs/sha256/{digest[7:9]}/{digest[7:]}/data"


# --- what can be pulled -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("plain", ["--preserve-digests"]),
        ("gzip", []),
        ("zstd", ["--dest-compress-format", "zstd"]),
        ("v2s2", ["--format", "v2s2"]),
    ],
)
def test_what_skopeo_pushed(fresh, registry, scratch, kind, options):
    # layers of its own: skopeo uses what the registry has in any form
    own = [busybox_layer({f"data/{kind}": b""}), layer({"data/kind": kind.encode()})]
    layout = make_layout(scratch / kind, own, config={"Cmd": ["cat", "/data/kind"]})
    source = uncompressed(layout, scratch / f"{kind}-plain")
    name = copy(source, f"{registry.address}/{kind}/app:1", *options)
    done = fresh("pull", name)
    assert done.stdout == f"{image_id(layout)}\n"
    assert done.stderr.startswith(f"Pulling {name}\n")
    assert fresh(*LIST, name).stdout == kind
    pulled = json.loads((fresh.root / "images/index.json").read_text())["manifests"]
    types = [entry["mediaType"] for entry in json.loads(_blob(fresh, pulled[0]["digest"]))["layers"]]
    expected = {"plain": "tar", "gzip": "tar+gzip", "zstd": "tar+zstd", "v2s2": "diff.tar.gzip"}[kind]
    assert all(each.endswith(expected) for each in types), types
    assert not list((fresh.root / "tmp").iterdir())


def test_estargz_is_gzip(fresh, registry, scratch):
    table = layer({"stargz.index.json": b'{"version": 1, "entries": []}'})  # an ordinary file to others
    layout = make_layout(
        scratch / "estargz", [busybox_layer(), table], config={"Cmd": ["ls", "/"]}, compress=stargz
    )
    name = registry.push(layout, "estargz/app:1")
    fresh("pull", "--quiet", name)
    assert fresh(*LIST, name).lines[-2:] == ["sys", "tmp"]
    assert "stargz.index.json" in fresh(*LIST, name).lines


def _blob(cli, digest: str) -> bytes:
    return (cli.root / "images/blobs/sha256" / digest[7:]).read_bytes()


@pytest.mark.parametrize("kind", ["oci", "v2s2"])
def test_what_buildah_pushed(fresh, registry, scratch, kind):
    name = f"{registry.address}/buildah/{kind}:1"
    place = scratch / f"buildah-{kind}"
    place.mkdir(mode=0o700)
    env = {"HOME": str(place), "XDG_RUNTIME_DIR": str(place)}
    buildah = ("buildah", "--root", place / "root", "--runroot", place / "run", "--storage-driver", "vfs")
    container = tool(*buildah, "from", "scratch", **env).strip()
    tool(*buildah, "add", "-q", container, "/bin/busybox", "/bin/busybox", **env)
    tool(*buildah, "config", "--cmd", '["/bin/busybox","echo","built"]', container, **env)
    tool(
        *buildah, "commit", "-q", "--format", "docker" if kind == "v2s2" else kind, container, "built", **env
    )
    tool(*buildah, "push", "-q", "--tls-verify=false", "--format", kind, "built", f"docker://{name}", **env)
    fresh("pull", "--quiet", name)
    assert fresh(*LIST, name).lines == ["built"]


def test_an_index_is_chosen_from_by_platform(fresh, registry, layout, scratch, layers):
    repository = f"{registry.address}/multi/app"
    other = make_layout(scratch / "arm64", layers[:1], architecture="arm64")
    copy(layout, f"{repository}:amd64", "--preserve-digests")
    copy(other, f"{repository}:arm64", "--preserve-digests")
    arm = {"os": "linux", "architecture": "arm64", "variant": "v8"}
    digest = put_index(
        registry.address,
        "multi/app",
        [
            {**manifest_entry(other), "platform": arm},
            {**manifest_entry(layout), "platform": {"os": "linux", "architecture": "amd64"}},
        ],
    )
    assert fresh("pull", "-q", repository).stdout.strip() == image_id(layout)
    assert fresh("pull", "-q", "--platform", "arm64", repository).stdout.strip() == image_id(other)
    refused = fresh("pull", "--platform", "linux/s390x", repository, status=125)
    assert "does not exist for linux/s390x: it offers linux/amd64, linux/arm64/v8" in refused.stderr
    # by the digest of the index; a tag beside a digest does not count
    fresh("pull", "-q", f"{repository}:nonesuch@{digest}")
    assert fresh(*LIST, f"{repository}@{digest}").lines == ["added", "kept"]
    assert "nonesuch" not in fresh("images").stdout


def test_a_digest_reference_stays_what_it_is(fresh, registry, layout, scratch, layers):
    name = copy(layout, f"{registry.address}/pinned:1", "--preserve-digests")
    pinned = f"{registry.address}/pinned@{manifest_entry(layout)['digest']}"
    fresh("pull", "-q", name)
    copy(make_layout(scratch / "newer", layers[:1], config={"Cmd": ["echo", "newer"]}), name)
    fresh("pull", "-q", name)
    assert fresh(*LIST, name).lines == ["newer"]
    assert fresh(*LIST, pinned, status=125).stderr.startswith(f"Error: no such image: {pinned}")
    fresh("pull", "-q", pinned)
    assert fresh(*LIST, pinned).lines == ["added", "kept"]
    assert fresh(*LIST, name).lines == ["newer"]


def test_a_second_pull_fetches_no_layer(fresh, registry, layout):
    name = copy(layout, f"{registry.address}/again:1")
    fresh("pull", "-q", name)
    files = [stored_by(registry, entry["digest"]) for entry in manifest(layout)["layers"]]
    for file in files:
        file.rename(f"{file}.away")
    try:
        again = fresh("pull", name)
    finally:
        for file in files:
            Path(f"{file}.away").rename(file)
    assert again.stderr.count("already here") == 2


def test_several_images_of_which_one_is_missing(fresh, registry, layout):
    name = copy(layout, f"{registry.address}/several:1")
    done = fresh("pull", "-q", f"{registry.address}/nonesuch", name, status=125)
    assert done.stdout == f"{image_id(layout)}\n"
    assert done.stderr.count("Error: ") == 1


def test_a_layer_that_is_not_what_the_config_says(fresh, registry, scratch):
    source = make_layout(scratch / "lying", [busybox_layer({"lie": b""})])
    config = source / "blobs/sha256" / image_id(source)
    document = json.loads(config.read_text())
    document["rootfs"]["diff_ids"] = ["sha256:" + "0" * 64]
    liar = scratch / "liar"
    name = f"{registry.address}/lying:1"
    lying = _with_config(source, liar, json.dumps(document).encode())
    copy(lying, name, "--preserve-digests")
    assert "Error: cannot unpack layer 000000000000" in fresh("pull", "-q", name, status=125).stderr
    assert fresh("images", "-q").stdout == ""
    assert not list((fresh.root / "layers").glob("*/0000*"))


def uncompressed(source: Path, target: Path) -> Path:
    """Copy a layout with its layers as plain archives; skopeo then compresses them as it is told."""
    tool("cp", "-r", source, target)
    changed = manifest(source)
    for entry in changed["layers"]:
        data = gzip.decompress((source / "blobs/sha256" / entry["digest"][7:]).read_bytes())
        entry |= {"mediaType": "application/vnd.oci.image.layer.v1.tar", **_add_blob(target, data)}
    return _with_manifest(source, target, changed)


def _with_config(source: Path, target: Path, config: bytes) -> Path:
    """Copy a layout with another config in it."""
    tool("cp", "-r", source, target)
    changed = manifest(source)
    changed["config"] = {**changed["config"], **_add_blob(target, config)}
    return _with_manifest(source, target, changed)


def _with_manifest(source: Path, target: Path, changed: dict[str, object]) -> Path:
    [entry] = json.loads((source / "index.json").read_text())["manifests"]
    entry |= _add_blob(target, json.dumps(changed).encode())
    (target / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return target


def _add_blob(layout: Path, data: bytes) -> dict[str, object]:
    digest = hashlib.sha256(data).hexdigest()
    (layout / "blobs/sha256" / digest).write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def test_the_memory_of_a_pull_does_not_follow_the_size_of_a_layer(fresh, registry, scratch):
    random = [layer({"random": os.urandom(64 << 20)}) for _ in range(2)]
    name = copy(make_layout(scratch / "large", random), f"{registry.address}/large:1")
    # asked in a small process: exec counts the memory of the process that forked as one's own
    script = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    measured = subprocess.run(
        [sys.executable, "-c", script, fresh.program, "pull", "--quiet", name],
        env=fresh.environment(),
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    assert int(measured.stdout.split()[-1]) < 100 << 10  # KiB


# --- TLS and credentials ----------------------------------------------------------------------


@pytest.fixture
def private(private_registry, layout: Path) -> str:
    return copy(layout, f"{private_registry.address}/private/app:1", "--dest-creds=u:p")


def test_tls_and_basic_authentication(fresh, private_registry, private):
    ca = private_registry.directory / "ca.pem"
    trusting = {"SSL_CERT_FILE": str(ca)}
    untrusted = fresh("pull", "--creds=u:p", private, status=125)
    assert "its certificate is not trusted" in untrusted.stderr
    assert "certs.d" in untrusted.stderr
    anonymous = fresh("pull", private, status=125, env=trusting)
    assert f"registry {private_registry.address} demands credentials" in anonymous.stderr
    assert "--creds" in anonymous.stderr
    wrong = fresh("pull", "--creds=u:wrong", private, status=125, env=trusting)
    assert 'refused the credentials of "u"' in wrong.stderr
    assert "wrong" not in wrong.stderr
    fresh("pull", "-q", "--creds=u:p", private, env=trusting)
    fresh("pull", "-q", "--creds=u:p", "--tls-verify=false", private)


def test_certs_d_and_stored_credentials(fresh, private_registry, private):
    home = Path(fresh.env["HOME"])
    directory = home / ".config/containers/certs.d" / private_registry.address
    directory.mkdir(parents=True)
    (directory / "ca.crt").write_bytes((private_registry.directory / "ca.pem").read_bytes())
    authfile = home / ".config/containers/auth.json"
    login = ("skopeo", "login", "-u", "u", "-p", "p", "--tls-verify=false", "--authfile", authfile)
    tool(*login, private_registry.address)
    fresh("pull", "-q", private)
    authfile.rename(home / "elsewhere.json")
    assert "demands credentials" in fresh("pull", private, status=125).stderr
    fresh("pull", "-q", "--authfile", str(home / "elsewhere.json"), private)
    assert fresh(*LIST, private).lines == ["added", "kept"]


def test_secrets_are_written_nowhere(fresh, private_registry, private):
    trusting = {"SSL_CERT_FILE": str(private_registry.directory / "ca.pem")}
    done = fresh("--log-level=debug", "pull", "--creds=u:p", private, env=trusting)
    assert "Debug: GET https://" in done.stderr
    assert "dTpw" not in done.stderr  # u:p in base64
    for directory, _, files in os.walk(fresh.root / "images"):
        for file in files:
            if (Path(directory) / file).stat().st_size < 1 << 16:
                assert b"dTpw" not in (Path(directory) / file).read_bytes()


def test_the_library_as_the_documentation_shows_it(registry, tmp_path):
    page = (Path(__file__).parent.parent / "docs" / "registry.md").read_text()
    code = page.partition("```python\n")[2].partition("```")[0]
    assert '"127.0.0.1:5000"' in code
    code = code.replace("127.0.0.1:5000", registry.address)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "anything can be an artifact\n['first'] 0\n"
