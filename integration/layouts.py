"""OCI image layouts made by hand, so that a test can say exactly what is in them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def layer(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """Return a tar archive of files (those below bin and lib executable), links, and their parents."""
    buffer = io.BytesIO()
    parents = {parent.as_posix() for name in (*files, *(links or {})) for parent in Path(name).parents}
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(parents - {"."}):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755 if name.startswith(("bin/", "lib")) else 0o644
            archive.addfile(entry, io.BytesIO(data))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return buffer.getvalue()


def busybox_layer(extra: dict[str, bytes] | None = None) -> bytes:
    """Return a layer with /bin/busybox under some of its names, and the files of `extra`."""
    names = ("sh", "cat", "echo", "id", "ls", "sleep", "stty", "true")
    return layer(
        {"bin/busybox": Path("/bin/busybox").read_bytes(), "tmp/.keep": b"", **(extra or {})},
        {f"bin/{name}": "busybox" for name in names},
    )


def program_layer(program: str) -> bytes:
    """Return a layer with a program of this machine and the libraries it is linked with (ldd(1))."""
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    libraries = re.findall(r"(/\S+) \(0x", listing)
    return layer({path.lstrip("/"): Path(path).read_bytes() for path in (program, *libraries)})


def make_layout(
    directory: Path,
    layers: list[bytes],
    *,
    architecture: str = "amd64",
    config: dict[str, Any] | None = None,
) -> Path:
    """Write an OCI layout with one image, named "latest", and return its directory."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def add(data: bytes, media_type: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    document = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/usr/bin:/bin"], **(config or {})},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(x).hexdigest()}" for x in layers]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": add(json.dumps(document).encode(), CONFIG),
        "layers": [add(gzip.compress(layer, 1, mtime=0), LAYER) for layer in layers],
    }
    entry = add(json.dumps(manifest).encode(), MANIFEST)
    entry["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    entry["platform"] = {"architecture": architecture, "os": "linux"}
    index = {"schemaVersion": 2, "manifests": [entry]}
    (directory / "index.json").write_text(json.dumps(index))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return directory
