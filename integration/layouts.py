"""OCI image layouts made by hand, so that a test can say exactly what is in them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Callable
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


def stargz(archive: bytes) -> bytes:
    """Compress a layer as eStargz does (stargz-snapshotter, docs/estargz.md).

    That is many gzip members, and at the end an empty one, which says where the table of contents is.
    """
    chunks = [archive[start : start + 4096] for start in range(0, len(archive), 4096)]
    data = b"".join(gzip.compress(chunk, 1, mtime=0) for chunk in chunks)
    extra = b"SG\x16\x00%016xSTARGZ" % len(data)
    header = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + len(extra).to_bytes(2, "little") + extra
    footer = header + b"\x01\0\0\xff\xff" + bytes(8)
    assert len(footer) == 51
    return data + footer


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
    compress: Callable[[bytes], bytes] = lambda data: gzip.compress(data, 1, mtime=0),
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
        "layers": [add(compress(layer), LAYER) for layer in layers],
    }
    entry = add(json.dumps(manifest).encode(), MANIFEST)
    entry["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    entry["platform"] = {"architecture": architecture, "os": "linux"}
    index = {"schemaVersion": 2, "manifests": [entry]}
    (directory / "index.json").write_text(json.dumps(index))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return directory
