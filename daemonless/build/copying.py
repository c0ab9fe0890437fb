"""COPY and ADD: put a selection into a root filesystem, by docker's rules.

    a file       goes into a destination that is a directory or ends in a slash, under its own
                 name; else it becomes the destination, in the place of another file or link
    a directory  has its content put into the destination, which is made if it is missing
    what is      stays, unless something else of that name is copied; directories are merged and
    there        take over the attributes of those copied into them, except for the destination
    parents      that are missing are made, with mode 0755 and the owner of what is copied
    an archive   that ADD has as a source is unpacked into the destination

Links in the destination's own path are followed inside the root; below it none is. Files of a
context belong to 0:0, those of a stage or image keep their owner; times, extended attributes,
holes and hard links are kept.

Runs as root of the user namespace that the files are for, and needs nothing but descriptors. It
changes the umask of the process for its duration.
"""

from __future__ import annotations

import errno
import os
import stat

from daemonless.build.archives import is_unpacked, open_root_file, unpack
from daemonless.build.contents import (
    copy_content,
    create,
    open_file,
    open_source,
    put,
    replaced,
)
from daemonless.build.destination import Destination
from daemonless.build.index import is_same
from daemonless.build.owners import resolve_owner
from daemonless.build.permissions import parse_mode
from daemonless.build.trees import (
    OPEN_DIRECTORY,
    open_directory,
    resolve,
    status,
)
from daemonless.errors import Conflict, DaemonlessError, printable
from daemonless.files import write_all
from daemonless.isolation.volumes import not_mapped
from daemonless.layers import xattrs
from daemonless.layers.incoming import reader
from daemonless.layers.omitted import Omissions
from daemonless.layers.spreading import spread
from daemonless.layers.tar_header import Entry
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.build.selection import Directory, Root, Selection
    from daemonless.dockerfile.steps import CopyWork

_INLINE_MODE = 0o644
_MANY = 50  # directories of a tree that is worth a place of its own on the disk


class Copied(Record):
    """What came of a copy."""

    changed: tuple[str, ...]  # files that are not what they were when they were selected
    warnings: tuple[str, ...]


def copy_into(
    root_fd: int,
    selection: Selection,
    work: CopyWork,
    *,
    now_ns: int,
    single_id: bool = False,
    names_fd: int = -1,
) -> Copied:
    """Copy `selection` to where `work` says below `root_fd`.

    `now_ns` is the time of what is made without a source: parents and here-documents. With
    `single_id` everything belongs to the only user. Names in --chown are those of `names_fd`, or of
    `root_fd`. Raises Conflict if something is in the way, UsageError for a bad --chown or --chmod,
    DaemonlessError for what cannot be read or written.
    """
    owner = None
    if work.chown:
        owner = resolve_owner(root_fd if names_fd < 0 else names_fd, work.chown)
    if single_id:
        owner = os.geteuid(), os.getegid()
    copier = _Copier(root_fd, selection, work, owner, now_ns)
    umask = os.umask(0)
    try:
        copier.copy()
    except OSError as error:
        if owner and error.errno == errno.EINVAL:
            raise not_mapped(*owner) from error
        at = f" ({printable(error.filename, 60)})" if error.filename else ""
        raise DaemonlessError(
            f"cannot copy to {printable(work.destination, 60)}: {error.strerror}{at}"
        ) from error
    finally:
        os.umask(umask)
    return Copied(
        changed=tuple(copier.changed),
        warnings=(
            *(f"{printable(pattern)} matches no file" for pattern in selection.unmatched),
            *(*selection.omitted.lines(), *copier.omitted.lines(), *copier.warnings),
        ),
    )


class _Copier:
    def __init__(
        self, root_fd: int, selection: Selection, work: CopyWork, owner: tuple[int, int] | None, now_ns: int
    ) -> None:
        self.changed: list[str] = []
        self.omitted = Omissions()
        self.warnings: list[str] = []
        self._root_fd = root_fd
        self._destination = Destination(root_fd, now_ns)
        self._selection = selection
        self._source_fd = -1  # of the tree that the current root is in
        self._work = work
        self._given = owner
        self._owner = owner  # of what is in the current root; None is its own
        self._change = parse_mode(work.chmod) if work.chmod else None
        self._now_ns = now_ns
        self._own = (os.geteuid(), os.getegid())
        self._linked: dict[tuple[int, int], str] = {}  # files with several names: where each was put

    def copy(self) -> None:
        roots = self._selection.roots
        path = self._work.destination
        must_be_directory = path.endswith("/") or path.rpartition("/")[2] in (".", "..")
        at = resolve(self._root_fd, path)
        found = status(self._root_fd, at)
        is_directory = found is not None and stat.S_ISDIR(found.st_mode)
        if must_be_directory:
            if found and not is_directory:
                raise Conflict(f"{printable(path)} is not a directory")
            is_directory = True
        archives = [root for root in roots if is_unpacked(root, self._work)]
        content = [root for root in roots if root.is_directory or root in archives]
        is_directory = is_directory or bool(content)
        files = len(roots) - len(content) + len(self._selection.inline)
        if files > 1 and not is_directory:
            raise Conflict(
                f"{files} files cannot become the one file {printable(path)}",
                f"to put them into a directory, end it with a slash: {printable(path)}/",
            )
        for root in roots:
            self._source_fd = root.tree.fd
            self._owner = self._given or (None if root.tree.owners else (0, 0))
            if root in archives:
                self._unpack(root, at)
            elif root.is_directory:
                self._copy_directory(root, at)
            else:
                self._copy_root_file(root, *self._place(at, root.name, is_directory))
        self._owner = self._given or (0, 0)
        for name, text in self._selection.inline:
            self._write_inline(text, *self._place(at, name.rpartition("/")[2], is_directory))

    def _place(self, at: str, name: str, is_directory: bool) -> tuple[str, str]:
        """Return the directory that a file goes into, and what it is called there."""
        if is_directory:
            return at, name
        parent, _, own = at.rpartition("/")
        return parent, own

    # --- archives -----------------------------------------------------------------------------

    def _unpack(self, root: Root, at: str) -> None:
        directory = root.directories[0]
        name, expected = directory.files[0]
        target = self._destination.open_or_make(at, self._owner or (0, 0))
        try:
            fd = open_root_file(root)
            try:
                given = self._given
                self.warnings += unpack(
                    reader(fd),
                    target,
                    directory.path_of(name),
                    lambda entry: given or (entry.uid, entry.gid),
                )
                if not is_same(expected, os.fstat(fd)):
                    self.changed.append(directory.path_of(name))
            finally:
                os.close(fd)
        finally:
            os.close(target)

    # --- directories --------------------------------------------------------------------------

    def _copy_directory(self, root: Root, at: str) -> None:
        os.close(self._destination.open_or_make(at, self._owner or (0, 0)))
        if len(root.directories) > _MANY:
            top = open_directory(self._root_fd, at, OPEN_DIRECTORY)
            spread(top)
            os.close(top)
        finish = []
        for directory in root.directories:
            path = f"{at}/{directory.path}" if at and directory.path else at or directory.path
            if directory.path:
                created = self._destination.make_directory(path)
                if created or not root.keeps_existing:
                    finish.append((path, directory))
            self._copy_files(directory, path)
        for path, directory in reversed(finish):
            self._finish_directory(path, directory)

    def _copy_files(self, directory: Directory, path: str) -> None:
        if not directory.files:
            return
        source = open_source(self._source_fd, directory)
        try:
            target = open_directory(self._root_fd, path)
            try:
                inherits = bool(os.fstat(target).st_mode & stat.S_ISGID)
                for name, expected in directory.files:
                    self._copy_entry(source, name, directory, expected, target, name, path, inherits)
            finally:
                os.close(target)
        finally:
            os.close(source)

    def _finish_directory(self, path: str, directory: Directory) -> None:
        """Give a directory its attributes, once nothing more is put into it."""
        fd = open_directory(self._root_fd, path, OPEN_DIRECTORY)
        try:
            before = os.fstat(fd)
            wanted = directory.status
            owner = self._owner or (wanted.st_uid, wanted.st_gid)
            if owner != (before.st_uid, before.st_gid):
                os.fchown(fd, *owner)
            self._copy_xattrs_of(directory, fd)
            mode = self._mode(wanted.st_mode)
            if mode != stat.S_IMODE(before.st_mode):
                os.fchmod(fd, mode)
            os.utime(fd, ns=(wanted.st_mtime_ns, wanted.st_mtime_ns))
        finally:
            os.close(fd)

    def _copy_xattrs_of(self, directory: Directory, target: int) -> None:
        try:
            source = open_directory(self._source_fd, directory.source, OPEN_DIRECTORY)
        except OSError:
            return  # it may be entered but not read
        try:
            self._copy_xattrs(source, target, directory.source)
        finally:
            os.close(source)

    # --- files --------------------------------------------------------------------------------

    def _copy_root_file(self, root: Root, parent: str, name: str) -> None:
        directory = root.directories[0]
        target = self._destination.open_or_make(parent, self._owner or (0, 0))
        try:
            inherits = bool(os.fstat(target).st_mode & stat.S_ISGID)
            source = open_source(self._source_fd, directory)
            try:
                for base, expected in directory.files:
                    self._copy_entry(source, base, directory, expected, target, name, parent, inherits)
            finally:
                os.close(source)
        finally:
            os.close(target)

    def _copy_entry(
        self,
        source: int,
        base: str,
        directory: Directory,
        expected: os.stat_result,
        target: int,
        name: str,
        path: str,
        inherits: bool,
    ) -> None:
        """Copy one file, link or FIFO as `name` into the directory `target`, which is at `path`."""
        kind = stat.S_IFMT(expected.st_mode)
        several = expected.st_nlink > 1
        if several and self._link(target, name, path, expected):
            return
        if kind == stat.S_IFREG:
            self._copy_file(source, base, directory, expected, target, name, inherits)
        elif kind == stat.S_IFLNK:
            try:
                aim = os.readlink(base, dir_fd=source)
            except OSError:
                raise replaced(directory, base) from None
            put(target, name, lambda: os.symlink(aim, name, dir_fd=target))
            self._finish_special(target, name, expected)
        else:
            mode = self._mode(expected.st_mode) & 0o777
            put(target, name, lambda: os.mkfifo(name, mode, dir_fd=target))
            self._finish_special(target, name, expected)
        if several:
            self._linked[expected.st_dev, expected.st_ino] = f"{path}/{name}" if path else name

    def _link(self, target: int, name: str, path: str, expected: os.stat_result) -> bool:
        """Make a further name of a file that is copied already; False if it is not."""
        first = self._linked.get((expected.st_dev, expected.st_ino))
        if first is None:
            return False
        if first == (f"{path}/{name}" if path else name):
            return True  # two sources were the same
        parent, _, base = first.rpartition("/")
        fd = open_directory(self._root_fd, parent)
        try:
            put(
                target,
                name,
                lambda: os.link(base, name, src_dir_fd=fd, dst_dir_fd=target, follow_symlinks=False),
            )
        except FileNotFoundError:
            return False  # a later file has taken its place
        finally:
            os.close(fd)
        return True

    def _copy_file(
        self,
        source: int,
        base: str,
        directory: Directory,
        expected: os.stat_result,
        target: int,
        name: str,
        inherits: bool,
    ) -> None:
        reader = open_file(source, directory, base)
        try:
            mode = self._mode(expected.st_mode)
            writer = create(target, name, mode & 0o777)
            try:
                self._fill(reader, writer, expected, directory, base)
                owner = self._owner or (expected.st_uid, expected.st_gid)
                if inherits or owner != self._own:  # in this order: chown(2) clears what follows
                    os.fchown(writer, *owner)
                self._copy_xattrs(reader, writer, base)
                if mode > 0o777:
                    os.fchmod(writer, mode)
                os.utime(writer, ns=(expected.st_mtime_ns, expected.st_mtime_ns))
            finally:
                os.close(writer)
        finally:
            os.close(reader)

    def _fill(
        self, reader: int, writer: int, expected: os.stat_result, directory: Directory, base: str
    ) -> None:
        """Copy a file's content, and note if it is not what was selected."""
        after = copy_content(reader, writer, expected)
        if not is_same(expected, after):
            if not stat.S_ISREG(after.st_mode):
                raise replaced(directory, base)
            self.changed.append(directory.path_of(base))

    def _write_inline(self, content: str, parent: str, name: str) -> None:
        target = self._destination.open_or_make(parent, self._owner or (0, 0))
        try:
            mode = self._mode(stat.S_IFREG | _INLINE_MODE)
            writer = create(target, name, mode & 0o777)
            try:
                write_all(writer, content.encode("utf-8", "surrogateescape"))
                os.fchown(writer, *(self._owner or (0, 0)))
                os.fchmod(writer, mode)
                os.utime(writer, ns=(self._now_ns, self._now_ns))
            finally:
                os.close(writer)
        finally:
            os.close(target)

    # --- attributes ---------------------------------------------------------------------------

    def _mode(self, mode: int) -> int:
        if self._change:
            return self._change(mode, stat.S_ISDIR(mode))
        return mode & 0o7777

    def _copy_xattrs(self, reader: int, writer: int, name: str) -> None:
        if found := xattrs.read(reader, os.fsencode(name), self.omitted):
            entry = Entry()
            entry.name, entry.xattrs = os.fsencode(name), found
            xattrs.apply(writer, entry, self.omitted)

    def _finish_special(self, target: int, name: str, expected: os.stat_result) -> None:
        """Give a link or FIFO, which is not to be opened, its owner and time."""
        owner = self._owner or (expected.st_uid, expected.st_gid)
        os.chown(name, *owner, dir_fd=target, follow_symlinks=False)
        times = (expected.st_mtime_ns, expected.st_mtime_ns)
        os.utime(name, ns=times, dir_fd=target, follow_symlinks=False)
