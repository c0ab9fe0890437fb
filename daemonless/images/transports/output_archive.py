"""A tar archive that images are written to. The same images give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable

from daemonless.layers.archive import ArchiveWriter, descriptor_sink
from daemonless.layers.tar_header import DIRECTORY, REGULAR, Entry

_FILE_MODE = 0o444
_DIRECTORY_MODE = 0o755


class OutputArchive:
    """Members of an archive that is written to `fd`; `name` is how messages call it."""

    def __init__(self, fd: int, name: str) -> None:
        self.name = name
        self.written: set[str] = set()
        self._writer = ArchiveWriter(descriptor_sink(fd))

    def write(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        """Write a member of `size` bytes, and the directories above it before the first one there.

        A directory without a member of its own is one that some readers may not make (skopeo, if it
        is not root).
        """
        above = name.rpartition("/")[0]
        if above and f"{above}/" not in self.written:
            parts = above.split("/")
            for count in range(len(parts)):
                directory = "/".join(parts[: count + 1]) + "/"
                if directory not in self.written:
                    self._writer.write_member(_entry(directory, DIRECTORY, _DIRECTORY_MODE))
                    self.written.add(directory)
        self._writer.write_stream(_entry(name, REGULAR, _FILE_MODE, size), chunks)
        self.written.add(name)

    def finish(self) -> None:
        """Write the end of the archive."""
        self._writer.finish()


def _entry(name: str, kind: int, mode: int, size: int = 0) -> Entry:
    entry = Entry()
    entry.name, entry.kind, entry.mode, entry.size = name.encode(), kind, mode, size
    entry.uid = entry.gid = entry.mtime_ns = entry.major = entry.minor = 0
    entry.link, entry.xattrs = b"", {}
    return entry
