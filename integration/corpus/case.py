"""What a case of the corpus is: a Dockerfile, a context, options, and who says what is right."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

STARTER = "daemonless.local/starter-busybox"


class Entry(NamedTuple):
    """A file of a context or of an image. Of an image's, the owner is that within the container."""

    kind: str  # file, dir, link, fifo, char
    mode: int
    owner: tuple[int, int]
    content: str = ""  # of a file its text (or its digest), of a link its target
    xattrs: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ()  # of a file with several names: all of them

    def __str__(self) -> str:
        more = "".join(f" {each}" for each in (dict(self.xattrs), list(self.names)) if each)
        return f"{self.kind} {self.mode:04o} {self.owner[0]}:{self.owner[1]} {self.content!r}{more}"


def file(
    content: str = "",
    mode: int = 0o644,
    owner: tuple[int, int] = (0, 0),
    *,
    xattrs: Mapping[str, str] | None = None,
    names: tuple[str, ...] = (),
) -> Entry:
    """Return a file; `names` are those it shares its inode with, its own among them."""
    return Entry("file", mode, owner, content, tuple(sorted((xattrs or {}).items())), tuple(sorted(names)))


def folder(mode: int = 0o755, owner: tuple[int, int] = (0, 0)) -> Entry:
    return Entry("dir", mode, owner)


def link(target: str, owner: tuple[int, int] = (0, 0)) -> Entry:
    return Entry("link", 0o777, owner, target)


def fifo(mode: int = 0o644) -> Entry:
    return Entry("fifo", mode, (0, 0))


Files = Mapping[str, "Entry | str | bytes"]


@dataclass(frozen=True)
class Case:
    """One build. Options and the context may name {case}, {http} and {registry}.

    `buildah` is empty where the installed buildah is the judge; otherwise it says what buildah lacks, and
    `tree` and `config` are what must come of it: files beside those of the base image, files of the base
    that are `gone`, and what the configuration has beside the base image's.
    """

    name: str
    dockerfile: str
    files: Files = field(default_factory=dict)  # of the context
    options: tuple[str, ...] = ()
    buildah: str = ""
    tree: Mapping[str, Entry] | None = None
    gone: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    beside: Files = field(default_factory=dict)  # files beside the context
    context: str = "{case}/context"
    standard_input: str = ""  # "Dockerfile", or "context" for a tar archive of it
    dockerfile_name: str = "Dockerfile"  # in the context
    warns: str = ""  # what the build must say without failing
    env: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name

    def write(self, directory: Path, places: Mapping[str, str]) -> None:
        """Make the context and what is beside it; `places` are what {case} and the like stand for."""
        text = filled(self.dockerfile, places)
        write_files(directory, {"context": folder(), **self.beside})
        write_files(directory / "context", self.files)
        if self.standard_input == "Dockerfile":
            (directory / "stdin").write_text(text)
            return
        write_files(directory / "context", {self.dockerfile_name: text})
        if self.standard_input == "context":
            with tarfile.open(directory / "stdin", "w") as tar:
                tar.add(directory / "context", ".")

    def arguments(self, places: Mapping[str, str]) -> list[str]:
        """Return the options and the context as arguments of `build`."""
        return [filled(word, places) for word in (*self.options, self.context)]


def filled(text: str, places: Mapping[str, str]) -> str:
    for name, value in places.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def write_files(directory: Path, files: Files) -> None:
    """Write files as they are described; their owner is who runs this, their parents are made."""
    for name, entry in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(entry, (str, bytes)):
            entry = entry if isinstance(entry, bytes) else entry.encode()
            path.write_bytes(entry)
            path.chmod(0o644)
            continue
        first = next((name for name in entry.names if (directory / name).exists()), "")
        if entry.kind == "link":
            path.symlink_to(entry.content)
            continue
        if entry.kind == "dir":
            path.mkdir(exist_ok=True)
        elif entry.kind == "fifo":
            os.mkfifo(path)
        elif first:
            path.hardlink_to(directory / first)
        else:
            path.write_text(entry.content)
        path.chmod(entry.mode)
        for key, value in entry.xattrs:
            os.setxattr(path, key, value.encode())


def archive(members: Mapping[str, Entry], compression: str = "", form: int = tarfile.PAX_FORMAT) -> bytes:
    """Return a tar archive; `compression` as tarfile names it: gz, bz2, xz."""
    buffer = io.BytesIO()
    mode: Any = f"w:{compression}"
    kinds = {
        "file": tarfile.REGTYPE,
        "dir": tarfile.DIRTYPE,
        "link": tarfile.SYMTYPE,
        "fifo": tarfile.FIFOTYPE,
    }
    with tarfile.open(fileobj=buffer, mode=mode, format=form) as tar:
        for name, entry in members.items():
            info = tarfile.TarInfo(name)
            info.mode, info.mtime = entry.mode, 1_600_000_000
            info.uid, info.gid = entry.owner
            info.type = kinds[entry.kind]
            data = b""
            if entry.kind == "link":
                info.linkname = entry.content
            elif entry.names and name != entry.names[0]:
                info.type, info.linkname = tarfile.LNKTYPE, entry.names[0]
            else:
                data = entry.content.encode()
            info.pax_headers = {f"SCHILY.xattr.{key}": value for key, value in entry.xattrs}
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
