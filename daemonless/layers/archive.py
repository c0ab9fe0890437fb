"""Write tar archives of directories that may change, or lie, while they are read.

    archive = ArchiveWriter(sink)              # sink: a function that takes bytes
    archive.add_content(root_fd)               # all that is in a directory, under its own names
    archive.add(dir_fd, b"log", b"backup")     # one file, link or tree, under a name of one's own
    archive.finish()
    archive.omitted.lines()                    # what could not be archived as it is

`descriptor_sink(fd)` makes a sink of a file descriptor. The format is POSIX pax (IEEE Std 1003.1,
"pax Interchange Format"): records for what ustar cannot hold - long or non-ASCII names, large ids
and sizes, fractions of seconds - and SCHILY.xattr.* for the attributes that layers keep
(`daemonless.layers.xattrs`). The same tree gives the same bytes: names are sorted, owners are
numbers only, and nothing depends on the time of writing. Files with several names inside the
archive are hard links. Holes are written as zeros, without being read: image-spec's layer.md
forbids sparse members, and an archive should be readable by everybody.

Everything is opened by descriptor, without following links and without ever waiting for a FIFO's
other end. A file that shrinks is filled up with zeros, one that grows is cut, one that vanishes
is left out, and all of that is told (shared invariant U-30).
"""

from __future__ import annotations

import os
import stat

from daemonless.errors import DaemonlessError, printable
from daemonless.files import write_all
from daemonless.isolation.copying import next_data
from daemonless.layers import xattrs
from daemonless.layers.omitted import Omissions
from daemonless.layers.tar_header import (
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    FIFO,
    HARD_LINK,
    REGULAR,
    SYMLINK,
    Entry,
    format_headers,
)
from daemonless.layers.walk import OPEN_DIRECTORY, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

BLOCK = 512
CHUNK = 1 << 18  # bytes read at once
_RECORD = 20 * BLOCK  # an archive is padded to a multiple of this, as tar(1) does
_BUFFER = 1 << 17  # bytes collected before the sink is called: a header is 512
_ZEROS = bytes(CHUNK)
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_ENXIO, _ELOOP = 6, 40
_KINDS = {
    stat.S_IFREG: REGULAR,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFIFO: FIFO,
    stat.S_IFCHR: CHARACTER,
    stat.S_IFBLK: BLOCK_DEVICE,
}


def descriptor_sink(fd: int) -> Callable[[bytes], None]:
    """Return a sink that writes to `fd`; it raises OSError."""
    return lambda data: write_all(fd, data)


class ArchiveWriter:
    """One archive; members appear in the order in which they are added.

    `devices` admits device nodes; without it they are left out, as sockets always are. A subclass
    may override `translate` and `entered`. Errors of the sink pass through; a file that may not be
    read raises DaemonlessError.
    """

    def __init__(self, sink: Callable[[bytes], object], *, devices: bool = False) -> None:
        self.omitted = Omissions()
        self.entries = 0
        self.size = 0  # bytes of the files' data
        self._sink = sink
        self._devices = devices
        self._buffer: list[bytes] = []  # small pieces that go to the sink together
        self._buffered = 0
        self._written = 0
        self._names: dict[tuple[int, int], bytes] = {}  # of files with several links: where each was put

    def add(self, dir_fd: int, name: bytes, member: bytes) -> None:
        """Archive the entry `name` of the directory `dir_fd` as `member`, with all that is in it.

        Raises FileNotFoundError if there is none.
        """
        fd = self._add_one(dir_fd, name, member, os.lstat(name, dir_fd=dir_fd))
        if fd >= 0:
            walk(fd, self._visit, member)

    def add_content(self, dir_fd: int, member: bytes = b"") -> None:
        """Archive what is in the directory `dir_fd` (O_PATH will do) below `member`, but not itself."""
        walk(os.open(".", OPEN_DIRECTORY, dir_fd=dir_fd), self._visit, member)

    def finish(self) -> None:
        """Write the end of the archive."""
        self._emit(bytes(2 * BLOCK))
        self._emit(bytes(-self._written % _RECORD))
        self._flush()

    def write_member(self, entry: Entry, data: bytes = b"") -> None:
        """Write one member that is described and not read; `entry.size` is set from `data`."""
        entry.size = len(data)
        self._begin(entry)
        if data:
            self._emit(data + bytes(-len(data) % BLOCK))

    def write_stream(self, entry: Entry, chunks: Iterable[bytes]) -> None:
        """Write one member whose `entry.size` bytes of data come in chunks."""
        self._begin(entry)
        for chunk in chunks:
            self._emit(chunk)
        self._emit(bytes(-entry.size % BLOCK))

    def translate(self, dir_fd: int, name: bytes, member: bytes, status: os.stat_result) -> bool:
        """Return whether the entry, found in a directory, has been dealt with and is not to be archived."""
        return False

    def entered(self, fd: int, member: bytes) -> None:
        """Be told that the directory `fd` has been archived, and its content follows."""

    def _visit(self, dir_fd: int, name: bytes, member: bytes) -> int:
        try:
            status = os.lstat(name, dir_fd=dir_fd)
            if self.translate(dir_fd, name, member, status):
                return -1
            return self._add_one(dir_fd, name, member, status)
        except FileNotFoundError:
            self.omitted.add("files vanished before they were read", member)
            return -1

    # --- members ------------------------------------------------------------------------------

    def _add_one(self, dir_fd: int, name: bytes, member: bytes, status: os.stat_result) -> int:
        """Archive one entry; return a descriptor if it is a directory to go into, else -1."""
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFREG:
            self._add_file(dir_fd, name, member)
        elif kind == stat.S_IFDIR:
            return self._add_directory(dir_fd, name, member)
        elif kind == stat.S_IFSOCK:
            self.omitted.add("sockets were left out", member)
        elif kind in (stat.S_IFCHR, stat.S_IFBLK) and not self._devices:
            self.omitted.add("device nodes were left out", member)
        elif not self._add_link(member, status):
            entry = describe(member, status)
            if kind == stat.S_IFLNK:
                entry.link = os.readlink(name, dir_fd=dir_fd)
            self._begin(entry)
        return -1

    def _add_directory(self, dir_fd: int, name: bytes, member: bytes) -> int:
        fd = self._open(dir_fd, name, member, OPEN_DIRECTORY)
        if fd >= 0:
            try:
                entry = describe(member + b"/", os.fstat(fd))
                entry.xattrs = xattrs.read(fd, member, self.omitted)
                self._begin(entry)
                self.entered(fd, member)
            except BaseException:
                os.close(fd)
                raise
        return fd

    def _add_file(self, dir_fd: int, name: bytes, member: bytes) -> None:
        fd = self._open(dir_fd, name, member, _OPEN_FILE)
        if fd < 0:
            return
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                self.omitted.add("files were replaced while being read, and left out", member)
            elif not self._add_link(member, status):
                entry = describe(member, status)
                entry.size = status.st_size
                entry.xattrs = xattrs.read(fd, member, self.omitted)
                self._begin(entry)
                self._copy(fd, entry)
        finally:
            os.close(fd)

    def _add_link(self, member: bytes, status: os.stat_result) -> bool:
        """Archive a further name of a file that is in the archive already; False if it is not."""
        if status.st_nlink < 2:
            return False
        first = self._names.setdefault((status.st_dev, status.st_ino), member)
        if first is member:
            return False
        entry = describe(member, status)
        entry.kind, entry.link = HARD_LINK, first
        self._begin(entry)
        return True

    def _open(self, dir_fd: int, name: bytes, member: bytes, flags: int) -> int:
        """Open an entry that was of the right kind a moment ago; -1 if it is not any more."""
        try:
            return os.open(name, flags, dir_fd=dir_fd)
        except FileNotFoundError:
            raise
        except PermissionError as error:
            raise DaemonlessError(f"cannot read {printable(member)}: {error.strerror}") from None
        except OSError as error:  # ELOOP, ENOTDIR: replaced by a link; ENXIO: by a socket
            if isinstance(error, NotADirectoryError) or error.errno in (_ENXIO, _ELOOP):
                self.omitted.add("files were replaced while being read, and left out", member)
                return -1
            raise

    def _copy(self, fd: int, entry: Entry) -> None:
        """Write exactly `entry.size` bytes of the file, zeros for its holes and for what is not there."""
        position, size = 0, entry.size
        while position < size:
            start, end = next_data(fd, position, size)
            self._zeros(start - position)
            position = start
            while position < end:
                data = os.pread(fd, min(CHUNK, end - position), position)
                if not data:  # it has shrunk
                    self._zeros(size - position)
                    position = end = size
                    break
                self._emit(data)
                position += len(data)
        self._zeros(-size % BLOCK)
        now = os.fstat(fd).st_size
        if now < size:
            self.omitted.add("files shrank while being read, and were filled up with zeros", entry.name)
        elif now > size:
            self.omitted.add("files grew while being read, and were cut", entry.name)

    def _zeros(self, count: int) -> None:
        while count > 0:
            self._emit(_ZEROS[:count])
            count -= CHUNK

    def _begin(self, entry: Entry) -> None:
        self.entries += 1
        self.size += entry.size
        self._emit(format_headers(entry))

    def _emit(self, data: bytes) -> None:
        self._written += len(data)
        self._buffer.append(data)
        self._buffered += len(data)
        if self._buffered >= _BUFFER:
            self._flush()

    def _flush(self) -> None:
        self._sink(b"".join(self._buffer) if len(self._buffer) != 1 else self._buffer[0])
        self._buffer.clear()
        self._buffered = 0


def describe(member: bytes, status: os.stat_result) -> Entry:
    """Return the entry of a file of this status; its link, data size and attributes are to be added."""
    entry = Entry()
    entry.name = member
    entry.kind = _KINDS[stat.S_IFMT(status.st_mode)]
    entry.mode = stat.S_IMODE(status.st_mode)
    entry.uid, entry.gid = status.st_uid, status.st_gid
    entry.size = 0
    entry.mtime_ns = status.st_mtime_ns
    entry.link = b""
    entry.major = entry.minor = 0
    if entry.kind in (CHARACTER, BLOCK_DEVICE):
        entry.major, entry.minor = os.major(status.st_rdev), os.minor(status.st_rdev)
    entry.xattrs = {}
    return entry
