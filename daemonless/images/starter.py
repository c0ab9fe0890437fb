"""The starter image: the machine's own static busybox as an image, made without any network.

One layer holds /bin/busybox, a link for each of its applets and the files a small system needs.
The same busybox gives the same image, byte for byte: all times are those of the program's file.
"""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import tempfile
import time
from typing import Any

from daemonless.config import Paths
from daemonless.errors import NotFound, Unsupported
from daemonless.images.build import add_image
from daemonless.images.store import STARTER, Image, ImageStore
from daemonless.oci.image import DEFAULT_PATH, host_platform

_PROGRAMS = ("/bin/busybox", "/usr/bin/busybox")
_DIRECTORIES = {
    **dict.fromkeys(("bin", "dev", "etc", "home", "proc", "run", "sbin", "sys", "usr", "var"), 0o755),
    **dict.fromkeys(("usr/bin", "usr/sbin"), 0o755),
    "root": 0o700,
    "tmp": 0o1777,
    "var/tmp": 0o1777,
}
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n"
    "daemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    "etc/group": "root:x:0:\ndaemon:x:1:\ntty:x:5:\nnogroup:x:65534:\n",
}


def ensure_starter(paths: Paths) -> Image:
    """Return the starter image, made first if it is missing.

    Raises NotFound if this machine has no static busybox.
    """
    try:
        return ImageStore(paths.data).resolve(STARTER)
    except NotFound:
        pass
    program = find_busybox()
    changed = int(os.stat(program).st_mtime)
    with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
        write_layer(archive, program, changed)
        archive.flush()
        return add_image(paths, STARTER, [archive.name], _config(changed))


def write_layer(file: Any, program: str, changed: int) -> None:
    """Write the layer's archive to `file`; `changed` is the time of all its entries."""
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, mode in sorted(_DIRECTORIES.items()):
            archive.addfile(_entry(name, changed, tarfile.DIRTYPE, mode))
        for name, text in sorted(_FILES.items()):
            entry = _entry(name, changed, tarfile.REGTYPE, 0o644)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
        with open(program, "rb") as busybox:
            entry = _entry("bin/busybox", changed, tarfile.REGTYPE, 0o755)
            entry.size = os.fstat(busybox.fileno()).st_size
            archive.addfile(entry, busybox)
        for name in _applets(program):
            entry = _entry(name, changed, tarfile.SYMTYPE, 0o777)
            entry.linkname = "/bin/busybox"
            archive.addfile(entry)


def _entry(name: str, changed: int, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mtime, entry.type, entry.mode = changed, kind, mode
    return entry


def _applets(program: str) -> list[str]:
    """Return where the program wants to be linked, e.g. bin/ls, below our directories only."""
    answer = subprocess.run([program, "--list-full"], capture_output=True, text=True, timeout=10, check=True)
    known = set(_DIRECTORIES)
    names = {name for name in answer.stdout.split() if name.rpartition("/")[0] in known}
    return sorted(names - {"bin/busybox"})


def find_busybox() -> str:
    """Return the path of this machine's static busybox. Raises NotFound if there is none."""
    dynamic = ""
    for program in _PROGRAMS:
        if os.path.exists(program):
            if is_static(program):
                return program
            dynamic = program
    reason = f"{dynamic} is not statically linked" if dynamic else "there is no busybox on this machine"
    raise NotFound(f"cannot make the starter image: {reason}", "sudo apt-get install busybox-static")


def is_static(program: str) -> bool:
    """Return whether an ELF program needs no loader: it has no PT_INTERP header (elf(5))."""
    with open(program, "rb") as file:
        header = file.read(64)
        if header[:5] != b"\x7fELF\x02":
            raise Unsupported(f"{program} is not a 64-bit ELF program")
        table = int.from_bytes(header[32:40], "little")
        entry_size = int.from_bytes(header[54:56], "little")
        count = int.from_bytes(header[56:58], "little")
        file.seek(table)
        entries = [file.read(entry_size) for _ in range(count)]
    return not any(int.from_bytes(entry[:4], "little") == 3 for entry in entries)


def _config(changed: int) -> dict[str, Any]:
    platform = host_platform()
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(changed))
    comment = "daemonless starter image: this machine's own busybox"
    return {
        "created": created,
        "os": platform.os,
        "architecture": platform.architecture,
        **({"variant": platform.variant} if platform.variant else {}),
        "config": {
            "Env": [f"PATH={DEFAULT_PATH}"],
            "Cmd": ["/bin/sh"],
            "Labels": {"org.opencontainers.image.title": comment},
        },
        "history": [{"created": created, "created_by": "daemonless.images.starter", "comment": comment}],
    }
