"""The images that are pulled: small, a Debian root, many layers; and the registry that serves them."""

from __future__ import annotations

import io
import random
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "integration"))

from layouts import busybox_layer, make_layout

LAYERS, FILES_PER_LAYER = 20, 2000
REGISTRY = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {directory}}}}}
http: {{addr: 127.0.0.1:{port}}}
"""


def small() -> list[bytes]:
    """One layer: busybox."""
    return [busybox_layer()]


def debian(directory: Path) -> list[bytes]:
    """One layer: a minimal Debian, from the mirrors this machine uses."""
    archive = directory / "debian.tar"
    sources = [
        str(path)
        for path in (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
        if path.is_file() and path.stat().st_size
    ]
    command = ["mmdebstrap", "--quiet", "--variant=apt", "--include=perl,python3,git,binutils", "stable"]
    subprocess.run([*command, str(archive), *sources[:1]], check=True, timeout=900)
    return [archive.read_bytes()]


def layered() -> list[bytes]:
    """Twenty layers of two thousand small files each."""
    chance = random.Random(7)  # the same content at every run
    layers = [busybox_layer()]
    for layer in range(LAYERS - 1):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for number in range(FILES_PER_LAYER):
                data = chance.randbytes(1500) + bytes(chance.randrange(1500))
                entry = tarfile.TarInfo(f"data/{layer}/{number % 20}/{number}")
                entry.size, entry.mode = len(data), 0o644
                archive.addfile(entry, io.BytesIO(data))
        layers.append(buffer.getvalue())
    return layers


class Registry:
    """A docker-registry on loopback with the images in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        config = directory / "registry.yml"
        config.write_text(REGISTRY.format(directory=directory / "registry", port=port))
        self.process = subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError("docker-registry does not answer")

    def push(self, name: str, layers: list[bytes]) -> str:
        """Push an image; return its name."""
        layout = make_layout(self.directory / f"layout-{name}", layers)
        target = f"{self.address}/bench/{name}"
        command = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]
        subprocess.run([*command, f"oci:{layout}:latest", f"docker://{target}"], check=True, timeout=600)
        return target

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)
