"""Unpack one layer archive into a directory, in the form overlayfs wants it.

No path of the archive is ever resolved outside of the layer's root, links are stored as they
are, and what a later member replaces is moved to an attic, so that nothing here walks or deletes
trees (`daemonless.layers.tree`).

Runs as the root of a user namespace (`daemonless.layers.server`), or as anybody with a single-id
map. It changes the umask of the process for its duration.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from daemonless.errors import DaemonlessError, InvalidData, printable
from daemonless.files import open_in_root
from daemonless.isolation.userns import IdMap, is_mapped
from daemonless.layers import whiteout, xattrs
from daemonless.layers.decompress import read_ahead
from daemonless.layers.holes import write_content
from daemonless.layers.names import normalise
from daemonless.layers.omitted import Omissions
from daemonless.layers.tar import TarReader
from daemonless.layers.tar_header import CHARACTER, DIRECTORY, FIFO, HARD_LINK, REGULAR, SYMLINK, Entry
from daemonless.layers.tree import OPEN_DIRECTORY, Tree
from daemonless.oci.digest import Digest, new_hash
from daemonless.record import Record

MAX_ENTRIES = 1_000_000
_MAX_ID = (1 << 32) - 2  # (uid_t)-1 means "leave as it is" to chown(2)
_SMALLEST_HOLE = 1 << 14  # bytes
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# These say something about the machine; every other errno was caused by the archive's content.
_OUR_ERRORS = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
)


class Unpacked(Record):
    """What an archive turned out to be."""

    diff_id: Digest  # of the whole stream, what follows the end marker included
    size: int  # bytes of file data
    entries: int
    warnings: tuple[str, ...]


def unpack(
    chunks: Iterator[bytes],
    root_fd: int,
    attic_fd: int,
    id_map: IdMap,
    *,
    budget: int,
    algorithm: str = "sha256",
    threaded: bool = True,
) -> Unpacked:
    """Unpack the tar archive `chunks` into the empty directory `root_fd`.

    `attic_fd` is another empty directory on the same file system. Owners must be ids inside
    `id_map`; a single-id map gives everything to its one id and warns. The archive may have
    `budget` bytes; `threaded` reads it in a second thread. Raises InvalidData naming the member
    (the directory then holds a part and is to be thrown away), or OSError if the machine is at
    fault, e.g. its disk is full.
    """
    digest = new_hash(algorithm)

    def hashed() -> Iterator[bytes]:
        for chunk in chunks:
            digest.update(chunk)
            yield chunk

    reader = TarReader(read_ahead(hashed()) if threaded else hashed(), budget)
    writer = _Writer(root_fd, attic_fd, id_map)
    umask = os.umask(0)
    try:
        _unpack_all(reader, writer)
    finally:
        os.umask(umask)
        writer.tree.close()
    return Unpacked(
        diff_id=Digest(f"{algorithm}:{digest.hexdigest()}"),
        size=writer.size,
        entries=reader.count,
        warnings=writer.omitted.lines(),
    )


def _unpack_all(reader: TarReader, writer: _Writer) -> None:
    """Add all members, and name the one that an error is about."""
    entry: Entry | None = None
    try:
        for entry in reader:
            if reader.count > MAX_ENTRIES:
                raise InvalidData(f"the layer has more than {MAX_ENTRIES} entries")
            writer.add(entry, reader)
            entry = None  # the reader goes on to the next header
        writer.finish()
    except DaemonlessError as error:
        raise type(error)(f"{_where(entry, reader)}: {error.message}", error.hint) from None
    except OSError as error:
        if error.errno in _OUR_ERRORS:
            raise
        raise InvalidData(f"{_where(entry, reader)}: {error.strerror}") from None


def _where(entry: Entry | None, reader: TarReader) -> str:
    return f"layer entry {printable(entry.name) if entry else reader.count + 1}"


class _Directory:
    """What a directory gets once nothing more is put into it."""

    __slots__ = ("depth", "entry", "owner", "path")

    def __init__(self, path: bytes, entry: Entry, owner: tuple[int, int]) -> None:
        self.path = path
        self.depth = path.count(b"/") + bool(path)
        self.entry = entry
        self.owner = owner


class _Writer:
    """Turns members into files."""

    def __init__(self, root_fd: int, attic_fd: int, id_map: IdMap) -> None:
        self.tree = Tree(root_fd, attic_fd)
        self.omitted = Omissions()
        self.size = 0
        self._id_map = id_map
        self._own = (os.geteuid(), os.getegid())
        self._known_owners: set[tuple[int, int]] = set()
        self._directories: dict[int, _Directory] = {}  # by inode, so two names are one directory

    def add(self, entry: Entry, reader: TarReader) -> None:
        """Create what `entry` describes. Raises DaemonlessError or OSError."""
        self.tree.tidy()
        path = normalise(entry.name)
        meaning, path = whiteout.classify(path)
        if meaning != whiteout.PLAIN:
            if meaning != whiteout.IGNORED:
                self._hide(path, entry, meaning)
            return
        owner = (entry.uid, entry.gid)
        if owner not in self._known_owners:
            self._check_owner(entry)
        if self._id_map.is_single:
            owner = self._own
        kind = entry.kind
        if not path:
            if kind != DIRECTORY:
                raise InvalidData("the root of a layer can only be a directory")
            self._remember(self.tree.root_fd, path, entry, owner)
            return
        parent, _, name = path.rpartition(b"/")
        dir_fd = self.tree.directory(parent)
        if kind == REGULAR:
            self._add_file(dir_fd, name, entry, owner, reader)
        elif kind == DIRECTORY:
            self._add_directory(dir_fd, name, path, entry, owner)
        elif kind == SYMLINK:
            self._add_symlink(dir_fd, name, entry, owner)
        elif kind == HARD_LINK:
            self._add_hard_link(dir_fd, name, entry)
        elif kind == FIFO:
            self._add_fifo(dir_fd, name, entry, owner)
        else:
            self._skip_device(dir_fd, name, entry)

    def finish(self) -> None:
        """Give the directories their owners, modes and times, the deepest first."""
        for inode, directory in sorted(self._directories.items(), key=lambda item: -item[1].depth):
            try:
                fd = open_in_root(self.tree.root_fd, directory.path or b".", OPEN_DIRECTORY)
            except OSError:
                continue  # replaced by a later member
            try:
                status = os.fstat(fd)
                if status.st_ino == inode:
                    self._finish_directory(fd, status, directory)
            finally:
                os.close(fd)

    def _check_owner(self, entry: Entry) -> None:
        """Refuse an owner outside the map; a map of one id loses all but itself, with a warning."""
        owner = (entry.uid, entry.gid)
        if max(owner) > _MAX_ID:
            raise InvalidData(f"the owner {entry.uid}:{entry.gid} is no user and group")
        if self._id_map.is_single:
            if owner != (0, 0):
                self.omitted.add("owners were lost, because only one user id is mapped", entry.name)
                return  # to count the next one, too
        elif not (is_mapped(self._id_map.uids, entry.uid) and is_mapped(self._id_map.gids, entry.gid)):
            raise InvalidData(
                f"the owner {entry.uid}:{entry.gid} is beyond the ids that you may use",
                "give your user a larger range in /etc/subuid and /etc/subgid",
            )
        self._known_owners.add(owner)

    # --- members -----------------------------------------------------------------------------

    def _add_file(
        self, dir_fd: int, name: bytes, entry: Entry, owner: tuple[int, int], reader: TarReader
    ) -> None:
        mode = entry.mode
        try:
            fd = os.open(name, _CREATE, mode & 0o777, dir_fd=dir_fd)
        except FileExistsError:
            self.tree.make_room(dir_fd, name)
            fd = os.open(name, _CREATE, mode & 0o777, dir_fd=dir_fd)
        try:
            if entry.size:
                self.size += entry.size
                write_content(fd, reader.data(), entry.size, smallest=_SMALLEST_HOLE)
            # In this order: chown(2) clears capabilities and the setuid and setgid bits.
            if owner != self._own:
                os.fchown(fd, *owner)
            if entry.xattrs:
                xattrs.apply(fd, entry, self.omitted)
            if mode > 0o777:
                os.fchmod(fd, mode)
            os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(fd)

    def _add_directory(
        self, dir_fd: int, name: bytes, path: bytes, entry: Entry, owner: tuple[int, int]
    ) -> None:
        mode = entry.mode & 0o777 | 0o700  # ours to fill for now
        try:
            self.tree.make_directory(dir_fd, name, mode)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(name, dir_fd=dir_fd).st_mode):
                # What it replaces hid the lower layers, and a directory would merge with them.
                self.tree.make_room(dir_fd, name)
                os.mkdir(name, mode, dir_fd=dir_fd)
                self.tree.make_opaque(dir_fd, name)
        fd = os.open(name, OPEN_DIRECTORY, dir_fd=dir_fd)
        self.tree.keep(path, fd)
        self._remember(fd, path, entry, owner)

    def _remember(self, fd: int, path: bytes, entry: Entry, owner: tuple[int, int]) -> None:
        self._directories[os.fstat(fd).st_ino] = _Directory(path, entry, owner)

    def _finish_directory(self, fd: int, status: os.stat_result, directory: _Directory) -> None:
        entry = directory.entry
        if directory.owner != (status.st_uid, status.st_gid):
            os.fchown(fd, *directory.owner)
        if entry.xattrs:
            xattrs.apply(fd, entry, self.omitted)
        if stat.S_IMODE(status.st_mode) != entry.mode:
            os.fchmod(fd, entry.mode)
        os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))

    def _add_symlink(self, dir_fd: int, name: bytes, entry: Entry, owner: tuple[int, int]) -> None:
        if not entry.link:
            raise InvalidData("it is a symbolic link to nothing")
        try:
            os.symlink(entry.link, name, dir_fd=dir_fd)
        except FileExistsError:
            self.tree.make_room(dir_fd, name)
            os.symlink(entry.link, name, dir_fd=dir_fd)
        self._finish_special(dir_fd, name, entry, owner)

    def _add_hard_link(self, dir_fd: int, name: bytes, entry: Entry) -> None:
        """Link to a file of this layer; the member's own metadata would be the file's, and is ignored."""
        target = normalise(entry.link) if entry.link else b""
        parent, _, target_name = target.rpartition(b"/")
        if not target_name:
            raise InvalidData("it is a hard link to nothing")
        try:
            target_fd = self.tree.existing_directory(parent)
            status = os.lstat(target_name, dir_fd=target_fd)
        except (FileNotFoundError, NotADirectoryError):
            raise InvalidData(
                f"it is a hard link to {printable(target)}, which is not in the layer"
            ) from None
        if stat.S_ISDIR(status.st_mode) or stat.S_ISCHR(status.st_mode):  # the latter: a whiteout
            raise InvalidData(f"it is a hard link to {printable(target)}, which is not a file")
        try:
            _link(target_fd, target_name, dir_fd, name)
        except FileExistsError:
            existing = os.lstat(name, dir_fd=dir_fd)
            if existing.st_ino == status.st_ino and existing.st_nlink == 1:
                raise InvalidData("it is a hard link to itself") from None
            self.tree.make_room(dir_fd, name)
            _link(target_fd, target_name, dir_fd, name)

    def _add_fifo(self, dir_fd: int, name: bytes, entry: Entry, owner: tuple[int, int]) -> None:
        mode = entry.mode & 0o777
        try:
            os.mkfifo(name, mode, dir_fd=dir_fd)
        except FileExistsError:
            self.tree.make_room(dir_fd, name)
            os.mkfifo(name, mode, dir_fd=dir_fd)
        self._finish_special(dir_fd, name, entry, owner)

    def _finish_special(self, dir_fd: int, name: bytes, entry: Entry, owner: tuple[int, int]) -> None:
        """Give a link or FIFO, which is not to be opened, its owner and time."""
        if entry.xattrs:
            xattrs.ignore(entry, self.omitted)
        if owner != self._own:
            os.chown(name, *owner, dir_fd=dir_fd, follow_symlinks=False)
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=dir_fd, follow_symlinks=False)

    def _skip_device(self, dir_fd: int, name: bytes, entry: Entry) -> None:
        if entry.kind == CHARACTER and not entry.major and not entry.minor:
            raise InvalidData("the character device 0:0 would hide a file of the layers below")
        try:
            self.tree.make_room(dir_fd, name)  # the last member of a name wins, even by its absence
        except FileNotFoundError:
            pass
        self.omitted.add("device nodes were left out: rootless containers cannot have them", entry.name)

    # --- whiteouts ---------------------------------------------------------------------------

    def _hide(self, path: bytes, entry: Entry, meaning: int) -> None:
        """Hide a name, or what is in a directory, of the layers below; this layer's stays."""
        if entry.kind not in (REGULAR, HARD_LINK):  # aufs made hard links of them
            raise InvalidData("a whiteout must be a file")
        parent, _, name = path.rpartition(b"/")
        if meaning == whiteout.HIDES_CONTENT:
            self.tree.directory(path)
            fd = open_in_root(self.tree.root_fd, path or b".", os.O_RDONLY | os.O_DIRECTORY)
            try:
                whiteout.make_opaque(fd)
            finally:
                os.close(fd)
            return
        dir_fd = self.tree.directory(parent)
        try:
            whiteout.make_whiteout(dir_fd, name)
        except FileExistsError:
            if stat.S_ISDIR(os.lstat(name, dir_fd=dir_fd).st_mode):
                self.tree.make_opaque(dir_fd, name)


def _link(from_fd: int, from_name: bytes, to_fd: int, to_name: bytes) -> None:
    os.link(from_name, to_name, src_dir_fd=from_fd, dst_dir_fd=to_fd, follow_symlinks=False)
