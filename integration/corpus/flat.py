"""Flattened file systems: of an OCI layout's layers, and of a directory; both as entries by path.

Run as a program in a user namespace that maps the owners, it is the judge: it builds with buildah what its
standard input asks for, and answers with the configuration and the files of each image.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

SHORT = 300  # bytes of content that are shown as they are, so that a difference can be read
KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
}
TYPES = {
    tarfile.DIRTYPE: "dir",
    tarfile.SYMTYPE: "link",
    tarfile.FIFOTYPE: "fifo",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
}
# what overlayfs and container tools keep for themselves
PRIVATE = ("user.overlay.", "user.fuseoverlayfs.", "user.containers.", "security.selinux")


def shown(data: bytes) -> str:
    """Return content, or its digest if it is long or no text."""
    if len(data) <= SHORT:
        try:
            return data.decode()
        except UnicodeDecodeError:
            pass
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _finish(found: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Put the names that share an inode in the place of it, at the end of each entry."""
    groups: dict[Any, list[str]] = {}
    for name, entry in found.items():
        groups.setdefault(entry[-1], []).append(name)
    for entry in found.values():
        same = sorted(groups[entry[-1]]) if entry[-1] is not None else []
        entry[-1] = same if len(same) > 1 else []
    return found


def of_directory(top: str) -> dict[str, list[Any]]:
    """Return the entries below a directory: kind, mode, owner, content, xattrs, names."""
    found: dict[str, list[Any]] = {}
    for directory, names, files in os.walk(os.fsencode(top)):
        for name in names + files:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            kind = KINDS.get(stat.S_IFMT(status.st_mode), "?")
            content = ""
            if kind == "file":
                content = shown(Path(os.fsdecode(path)).read_bytes())
            elif kind == "link":
                content = os.fsdecode(os.readlink(path))
            xattrs = [] if kind == "link" else list(_xattrs(path))
            mode = 0o777 if kind == "link" else stat.S_IMODE(status.st_mode)
            inode = None if kind == "dir" else status.st_ino
            owner = [status.st_uid, status.st_gid]
            where = os.fsdecode(os.path.relpath(path, os.fsencode(top)))
            found[where] = [kind, mode, owner, content, xattrs, inode]
    return _finish(found)


def _xattrs(path: bytes) -> Iterator[list[str]]:
    for name in sorted(os.listxattr(path, follow_symlinks=False)):
        if not name.startswith(PRIVATE):
            yield [name, shown(os.getxattr(path, name, follow_symlinks=False))]


def of_layout(layout: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, list[Any]]]:
    """Return manifest, configuration and entries of the only image of an OCI layout."""

    def blob(descriptor: dict[str, Any]) -> Path:
        return layout / "blobs" / descriptor["digest"].replace(":", "/")

    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = json.loads(blob(entry).read_text())
    config = json.loads(blob(manifest["config"]).read_text())
    found: dict[str, list[Any]] = {}
    for number, layer in enumerate(manifest["layers"]):
        with tarfile.open(blob(layer)) as tar:
            apply(tar, found, number)
    return manifest, config, _finish(found)


def apply(tar: tarfile.TarFile, found: dict[str, list[Any]], layer: int) -> None:
    """Apply a layer (OCI image-spec, layer.md): what it hides of the layers below, then what it has."""
    new: dict[str, list[Any]] = {}
    for number, entry in enumerate(tar):
        name = os.path.normpath(entry.name).lstrip("/")
        directory, base = os.path.split(name)
        if base == ".wh..wh..opq":
            _remove_below(found, directory)
        elif base.startswith(".wh."):
            hidden = os.path.join(directory, base.removeprefix(".wh."))
            found.pop(hidden, None)
            _remove_below(found, hidden)
        elif name != ".":
            new[name] = _member(tar, entry, new, (layer, number))
    for name, made in new.items():
        if made[0] != "dir":
            _remove_below(found, name)
        parent = os.path.dirname(name)
        while parent and parent not in new and parent not in found:
            found[parent] = ["dir", 0o755, [0, 0], "", [], None]
            parent = os.path.dirname(parent)
        found[name] = made


def _member(
    tar: tarfile.TarFile, entry: tarfile.TarInfo, new: dict[str, list[Any]], inode: tuple[int, int]
) -> list[Any]:
    if entry.type == tarfile.LNKTYPE:
        return list(new[os.path.normpath(entry.linkname).lstrip("/")])
    kind = TYPES.get(entry.type, "file")
    content = entry.linkname if kind == "link" else ""
    if kind == "file":
        data = tar.extractfile(entry)
        assert data
        content = shown(data.read())
    xattrs = [
        [key.removeprefix("SCHILY.xattr."), shown(value.encode("utf-8", "surrogateescape"))]
        for key, value in sorted(entry.pax_headers.items())
        if key.startswith("SCHILY.xattr.")
    ]
    mode = 0o777 if kind == "link" else entry.mode & 0o7777
    return [kind, mode, [entry.uid, entry.gid], content, xattrs, None if kind == "dir" else inode]


def _remove_below(found: dict[str, list[Any]], directory: str) -> None:
    for name in [name for name in found if name.startswith(f"{directory}/")]:
        del found[name]


# --- the judge ------------------------------------------------------------------------------


class Buildah:
    """buildah with storage of its own."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.command = ["buildah", "--root", f"{place}/r", "--runroot", f"{place}/s"]
        self.command.append("--storage-driver=overlay")

    def load(self, archive: str) -> None:
        command = [*self.command, "pull", "-q", f"oci-archive:{archive}"]
        subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL)

    def build(self, request: dict[str, Any]) -> dict[str, Any]:
        """Build one case; return how it ended, its configuration and its files."""
        # docker's format has what buildah leaves out of OCI's: HEALTHCHECK, ONBUILD, SHELL
        name = f"localhost/judged/{request['name']}"
        build = ["build", "--format=docker", "--layers=false", "--isolation=chroot", "--pull-never"]
        standard_input = request["standard_input"] or os.devnull
        with open(standard_input, "rb") as stdin:
            done = subprocess.run(
                [*self.command, *build, "-t", name, *request["arguments"]],
                stdin=stdin,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=120,
                check=False,
                env={**os.environ, **request["env"]},
                cwd=request["directory"],
            )
        answer = {"name": request["name"], "status": done.returncode, "output": done.stdout + done.stderr}
        return answer if done.returncode else {**answer, **self._read(f"{name}:latest")}

    def _read(self, name: str) -> dict[str, Any]:
        """Read the image where containers-storage(5) keeps it: a process for that would take longer."""
        kept = Path(self.place, "r/overlay-images")
        images = json.loads((kept / "images.json").read_text())
        image = next(image for image in images if name in image.get("names", ()))
        key = base64.b64encode(f"sha256:{image['id']}".encode()).decode()
        config = json.loads((kept / image["id"] / f"={key}").read_text())
        overlay = Path(self.place, "r/overlay")
        layers = [f"{image['layer']}/diff"]
        if (lower := overlay / image["layer"] / "lower").exists():
            layers += lower.read_text().split(":")
        top = tempfile.mkdtemp(dir=self.place)
        if len(layers) == 1:
            return {"config": config, "tree": of_directory(str(overlay / layers[0]))}
        options = f"ro,userxattr,lowerdir={':'.join(layers)}"
        mount = ["mount", "-t", "overlay", "-o", options, "none", top]
        for left in range(20, -1, -1):
            # "failed to clone lowerpath", says the kernel while the other thread's buildah mounts below it
            if subprocess.run(mount, check=not left, cwd=overlay).returncode == 0:
                break
            time.sleep(0.1)
        try:
            return {"config": config, "tree": of_directory(top)}
        finally:
            subprocess.run(["umount", top], check=True)


def main() -> None:
    """Build what standard input asks for, a line of JSON each, two at a time."""
    place, base = sys.argv[1:]
    buildah = Buildah(place)
    buildah.load(base)

    lock = threading.Lock()  # two threads answer, and a long line is written in pieces

    def answer(line: str) -> None:
        request = json.loads(line)
        try:
            found = buildah.build(request)
        except Exception as error:  # of this case: the others are to be judged all the same
            found = {"name": request["name"], "status": 125, "output": repr(error)}
        data = json.dumps(found).encode() + b"\n"
        with lock:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(answer, sys.stdin):
            pass


if __name__ == "__main__":
    main()
