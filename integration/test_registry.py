"""Pulling from Debian's docker-registry what skopeo and buildah have pushed there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

CREDENTIALS = "u:p"


def tool(*words: str | Path, **env: str) -> str:
    """Run skopeo, buildah ... with a HOME of its own."""
    done = subprocess.run(
        [str(word) for word in words], env={**os.environ, **env}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def write_blob(layout: Path, data: bytes) -> dict[str, object]:
    digest = digest_of(data)
    (layout / "blobs/sha256").mkdir(parents=True, exist_ok=True)
    (layout / "blobs/sha256" / digest[7:]).write_bytes(data)
    return {"digest": digest, "size": len(data)}


def write_layout(layout: Path, layers: list[Path], architecture: str = "amd64") -> Path:
    """Write an OCI image layout of plain tar layers."""
    blobs = [path.read_bytes() for path in layers]
    config = {
        "os": "linux",
        "architecture": architecture,
        "created": "2026-01-02T03:04:05Z",
        "config": {"Cmd": ["/bin/busybox", "echo", "started"], "Labels": {"made.for": "tests"}},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(blob) for blob in blobs]},
    }
    described = write_blob(layout, json.dumps(config).encode())
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **described},
        "layers": [
            {"mediaType": "application/vnd.oci.image.layer.v1.tar", **write_blob(layout, blob)} for blob in blobs
        ],
    }
    entry = {
        "mediaType": manifest["mediaType"],
        **write_blob(layout, json.dumps(manifest).encode()),
        "annotations": {"org.opencontainers.image.ref.name": "it"},
    }
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return layout


@pytest.fixture(scope="session")
def layers(scratch: Path) -> list[Path]:
    """Two layers: busybox, then a file and a whiteout."""
    base, top = scratch / "base.tar", scratch / "top.tar"
    with tarfile.open(base, "w") as archive:
        archive.add("/bin/busybox", "bin/busybox")
        for name in ("kept", "removed"):
            _add(archive, f"data/{name}", b"from below\n")
    with tarfile.open(top, "w") as archive:
        _add(archive, "data/.wh.removed", b"")
        _add(archive, "data/added", b"from above\n")
    return [base, top]


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    path = tarfile.TarInfo(name)
    path.size = len(data)
    import io

    archive.addfile(path, io.BytesIO(data))


@pytest.fixture(scope="session")
def layout(scratch: Path, layers: list[Path]) -> Path:
    return write_layout(scratch / "layout", layers)


def push(layout: Path, address: str, *options: str) -> None:
    tool("skopeo", "copy", "-q", "--dest-tls-verify=false", *options, f"oci:{layout}:it", f"docker://{address}")


def run_echo(cli, name: str) -> None:
    """The image runs, and its layers were applied in order."""
    shown = cli("run", "--rm", "--network=none", name, "/bin/busybox", "ls", "/data")
    assert shown.stdout.split() == ["added", "kept"]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("plain", ["--dest-decompress", "--preserve-digests"]),
        ("gzip", ["--dest-compress-format", "gzip", "--dest-compress"]),
        ("zstd", ["--dest-compress-format", "zstd", "--dest-compress"]),
        ("v2s2", ["--format", "v2s2"]),
    ],
)
def test_pull_what_skopeo_pushed(fresh, registry, layout, kind, options):
    name = f"{registry.address}/{kind}/app:1"
    if kind == "plain":
        options = ["--preserve-digests"]
    push(layout, name, *options)
    done = fresh("pull", name)
    image_id = done.stdout.strip()
    assert len(image_id) == 64
    assert done.stdout == f"{image_id}\n"
    assert name in done.stderr
    run_echo(fresh, name)
    listed = json.loads(fresh("images", "--format", "json").stdout)
    assert [entry["Names"] for entry in listed] == [[name]]
    assert listed[0]["Labels"] == {"made.for": "tests"}
