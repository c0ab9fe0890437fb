"""The files of a directory or of a tar archive, by the names that their formats give them.

Nothing is extracted: an archive is read once for the places of its members, a directory is only
opened below itself. Both are foreign: what is asked for is a bounded, regular file or an error.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Protocol

from daemonless.errors import DaemonlessError, InvalidData, NotFound, printable
from daemonless.files import open_beneath, write_all
from daemonless.layers.compression import LONGEST, detect
from daemonless.layers.decompress import decompress
from daemonless.layers.incoming import decompressed, reader
from daemonless.layers.tar import TarReader
from daemonless.layers.tar_header import HARD_LINK, REGULAR, SYMLINK
from daemonless.oci.digest import Digest, VerifiedReader
from daemonless.oci.image import Descriptor

_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY  # never wait for a FIFO's other end
_CHUNK = 1 << 18
_MAX_MEMBERS = 100_000
_MAX_LINKS = 8  # followed from one member to another
_RESERVE = 64 << 20  # bytes to leave free where an archive is decompressed
_EXDEV, _ELOOP = 18, 40


class Part:
    """A range of a file, as a context manager; closes the file only if it is its own."""

    def __init__(self, fd: int, start: int, size: int, *, owned: bool) -> None:
        self.size = size
        self._fd = fd
        self._next = start
        self._end = start + size
        self._owned = owned

    def read(self, size: int = _CHUNK, /) -> bytes:
        """Return up to `size` bytes; b"" at the end, or where the file has become shorter."""
        data = os.pread(self._fd, min(size, self._end - self._next), self._next)
        self._next += len(data)
        return data

    def __enter__(self) -> Part:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owned and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class FileBlob:
    """A blob in a file: verified while it is read."""

    def __init__(self, part: Part, descriptor: Descriptor, what: str) -> None:
        self._part = part
        if part.size != descriptor.size:
            part.__exit__(None, None, None)
            raise InvalidData(
                f"{what}: blob {descriptor.digest} has {part.size} bytes instead of {descriptor.size}"
            )
        self._reader = VerifiedReader(part, descriptor.digest, descriptor.size, what=f"{what}: blob")

    def read(self, size: int = 1 << 20, /) -> bytes:
        """Return up to `size` bytes; b"" once all have been read and verified."""
        return self._reader.read(size)

    def read_all(self) -> bytes:
        """Return the whole verified content."""
        return self._reader.read_all()

    def __enter__(self) -> FileBlob:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._part.__exit__(kind, value, trace)


class Files(Protocol):
    """Files by name."""

    @property
    def name(self) -> str:
        """How messages call the whole."""

    def has(self, name: str) -> bool:
        """Return whether there is such a file."""

    def open(self, name: str) -> Part:
        """Open a file; raises NotFound or InvalidData."""

    def close(self) -> None:
        """Close what is open."""


def read(files: Files, name: str, limit: int) -> bytes:
    """Return the content of a small file; raises NotFound, or InvalidData past `limit` bytes."""
    with files.open(name) as part:
        if part.size > limit:
            raise InvalidData(f"{printable(name, 80)} in {files.name} is larger than {limit} bytes")
        parts = []
        while data := part.read():
            parts.append(data)
    return b"".join(parts)


def blob_name(digest: Digest) -> str:
    """Return the name of a blob in an OCI image layout."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


class Directory:
    """The files below the directory `fd`; `name` is how messages call it."""

    def __init__(self, fd: int, name: str) -> None:
        self.name = name
        self._fd = fd

    @classmethod
    def at(cls, path: str) -> Directory:
        """Open the directory at a path; raises NotFound."""
        name = printable(path)
        try:
            return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), name)
        except OSError as error:
            raise NotFound(f"cannot open {name}: {error.strerror}") from None

    def has(self, name: str) -> bool:
        """Return whether there is such a file."""
        try:
            self.open(name).__exit__(None, None, None)
        except NotFound:
            return False
        return True

    def open(self, name: str) -> Part:
        """Open a file below the directory; a link that leads out of it is an error."""
        try:
            fd = open_beneath(self._fd, os.fsencode(name), _OPEN)
        except FileNotFoundError:
            raise NotFound(f"{printable(name, 80)} is not in {self.name}") from None
        except OSError as error:
            what = f"{printable(name, 80)} in {self.name}"
            if error.errno in (_EXDEV, _ELOOP):
                raise InvalidData(f"{what} is a link that leads out of it") from None
            raise DaemonlessError(f"cannot open {what}: {error.strerror}") from None
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            raise InvalidData(f"{printable(name, 80)} in {self.name} is not a regular file")
        return Part(fd, 0, status.st_size, owned=True)

    def close(self) -> None:
        """Close the directory."""
        os.close(self._fd)


class Archive:
    """The members of a tar archive, which may be compressed, or come from a pipe.

    What is not a plain file with a plain archive in it is written to a temporary file without a
    name, in TMPDIR or /var/tmp.
    """

    def __init__(self, path: str, fd: int = -1) -> None:
        """Read the file at `path`, or `fd`, which is taken over and called `path`."""
        self.name = printable(path)
        try:
            self._fd = fd if fd >= 0 else os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
        except OSError as error:
            raise NotFound(f"cannot open {self.name}: {error.strerror}") from None
        try:
            self._make_seekable()
            self._members, self._links, self._twice = self._scan()
        except OSError as error:
            os.close(self._fd)
            raise DaemonlessError(f"cannot read {self.name}: {error.strerror}") from None
        except DaemonlessError as error:
            os.close(self._fd)
            raise type(error)(f"{self.name}: {error.message}", error.hint) from None

    def has(self, name: str) -> bool:
        """Return whether there is such a member."""
        return name in self._members or name in self._links

    def open(self, name: str) -> Part:
        """Open a file of the archive, through links from one member to another."""
        target = name
        for _ in range(_MAX_LINKS):
            if target in self._twice:
                raise InvalidData(f"{self.name} is ambiguous: it has {printable(target, 80)} twice")
            if target in self._members:
                start, size = self._members[target]
                return Part(self._fd, start, size, owned=False)
            if target not in self._links:
                break
            target = self._links[target]
        raise NotFound(f"{printable(name, 80)} is not in {self.name}")

    def close(self) -> None:
        """Close the archive."""
        os.close(self._fd)

    def _make_seekable(self) -> None:
        """Put a plain archive in a regular file in place of what was opened."""
        status = os.fstat(self._fd)
        if stat.S_ISDIR(status.st_mode):
            raise InvalidData("it is a directory", "for a directory there is oci:DIRECTORY")
        if not stat.S_ISREG(status.st_mode):
            self._replace(decompressed(reader(self._fd)))
        if compression := detect(os.pread(self._fd, LONGEST, 0)):
            self._replace(decompress(self._fd, compression, _room(), what="the archive"))

    def _replace(self, chunks: Iterator[bytes]) -> None:
        with tempfile.TemporaryFile(dir=_scratch()) as file:
            for chunk in chunks:
                write_all(file.fileno(), chunk)
            os.dup2(file.fileno(), self._fd, inheritable=False)

    def _scan(self) -> tuple[dict[str, tuple[int, int]], dict[str, str], set[str]]:
        chunks = _Chunks(self._fd)
        reader = TarReader(chunks, skip=chunks.skip)
        members: dict[str, tuple[int, int]] = {}
        links: dict[str, str] = {}
        twice: set[str] = set()
        for entry in reader:
            if reader.count > _MAX_MEMBERS:
                raise InvalidData(f"it has more than {_MAX_MEMBERS} members")
            name = _resolve("", entry.name)
            if entry.kind not in (REGULAR, HARD_LINK, SYMLINK):
                continue
            if name in members or name in links:
                twice.add(name)
            if entry.kind == REGULAR:
                members[name] = (reader.position, entry.size)
            elif entry.kind == HARD_LINK:
                links[name] = _resolve("", entry.link)
            else:
                links[name] = _resolve(name.rpartition("/")[0], entry.link)
        return members, links, twice


class _Chunks:
    """The bytes of a file from its start, of which some may be passed over."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._next = 0

    def __iter__(self) -> _Chunks:
        return self

    def __next__(self) -> bytes:
        data = os.pread(self._fd, _CHUNK, self._next)
        if not data:
            raise StopIteration
        self._next += len(data)
        return data

    def skip(self, count: int) -> None:
        """Pass over the next `count` bytes."""
        self._next += count


def _resolve(directory: str, path: bytes) -> str:
    """Return the member that a path means, seen from a directory of the archive.

    It is only ever looked up among the members' names, so "" may stand for what is none of them.
    """
    text = os.fsdecode(path)
    parts = [] if text.startswith("/") else [part for part in directory.split("/") if part]
    for part in text.split("/"):
        if part == "..":
            if not parts:
                return ""
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _scratch() -> str:
    return os.environ.get("TMPDIR") or "/var/tmp"


def _room() -> int:
    status = os.statvfs(_scratch())
    return max(0, status.f_bavail * status.f_frsize - _RESERVE)
