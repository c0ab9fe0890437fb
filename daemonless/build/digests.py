"""The content of a selection as one digest, for the build cache's key.

What counts is what the copy would be made from: names, types, permission bits, links, the files'
bytes and extended attributes, and owners where they are kept. Times do not, nor in which order a
directory lists its files, nor whether two names are one file.
"""

from __future__ import annotations

import os
import stat
from hashlib import sha256

from daemonless.build.contents import open_file, open_source, replaced
from daemonless.build.permissions import is_absolute
from daemonless.errors import DaemonlessError
from daemonless.layers import xattrs
from daemonless.layers.omitted import Omissions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import _Hash

    from daemonless.build.index import ContentIndex
    from daemonless.build.selection import Directory, Selection
    from daemonless.dockerfile.steps import CopyWork

_CHUNK = 1 << 18  # bytes
_VERSION = b"daemonless selection 1\0"


def digest_selection(selection: Selection, work: CopyWork, index: ContentIndex) -> str:
    """Return the digest of what `work` copies, in hex; `index` knows files that have not changed.

    Raises DaemonlessError for a file that cannot be read.
    """
    try:
        return _Digester(selection, work, index).digest()
    except OSError as error:
        raise DaemonlessError(f"cannot read what is to be copied: {error.strerror}") from error


class _Digester:
    def __init__(self, selection: Selection, work: CopyWork, index: ContentIndex) -> None:
        self._selection = selection
        self._index = index
        self._keeps_owners = not work.chown
        self._has_owner = False
        self._has_mode = not is_absolute(work.chmod)
        self._unheard = Omissions()  # the copy says what is left out
        self._hash = sha256(_VERSION)

    def digest(self) -> str:
        for root in self._selection.roots:
            self._has_owner = root.tree.owners and self._keeps_owners
            self._add(b"R", root.name.encode("utf-8", "surrogateescape"), b"d" if root.is_directory else b"f")
            if root.tree.identity:
                self._add(b"T", root.tree.identity.encode("utf-8", "surrogateescape"))
                continue
            for directory in root.directories:
                self._add_directory(root.tree.fd, directory, named=root.is_directory)
        for name, content in self._selection.inline:
            self._add(b"I", os.fsencode(name), content.encode("utf-8", "surrogateescape"))
        return self._hash.hexdigest()

    def _add(self, *parts: bytes) -> None:
        """Add parts so that no other sequence of parts gives the same bytes."""
        self._hash.update(b"".join(b"%d:%b" % (len(part), part) for part in parts))

    def _attributes(self, status: os.stat_result) -> bytes:
        mode = status.st_mode if self._has_mode else stat.S_IFMT(status.st_mode)
        return b"%o %d:%d" % ((mode, status.st_uid, status.st_gid) if self._has_owner else (mode, 0, 0))

    def _add_directory(self, tree_fd: int, directory: Directory, *, named: bool) -> None:
        """Add a directory, if it has a name of its own in the copy, and the files in it."""
        fd = open_source(tree_fd, directory)
        try:
            if named:
                self._add(
                    b"D",
                    os.fsencode(directory.path),
                    self._attributes(directory.status),
                    self._attributes_of_directory(fd),
                )
            for name, status in directory.files:
                # the name of a file that is copied by itself is its root's
                shown = os.fsencode(name) if named else b""
                self._add(b"F", shown, self._attributes(status), self._content(fd, directory, name, status))
        finally:
            os.close(fd)

    def _attributes_of_directory(self, path_fd: int) -> bytes:
        try:
            fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=path_fd)
        except OSError:
            return b""
        try:
            return self._xattrs(fd)
        finally:
            os.close(fd)

    def _xattrs(self, fd: int) -> bytes:
        found = xattrs.read(fd, b"", self._unheard)
        if not found:
            return b""
        inner = sha256()
        for name in sorted(found):
            value = found[name]
            inner.update(b"%d:%b%d:%b" % (len(name), name, len(value), value))
        return inner.digest()

    def _content(self, dir_fd: int, directory: Directory, name: str, status: os.stat_result) -> bytes:
        """Return what stands for a link's target, a file's bytes and attributes; nothing for a FIFO."""
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFREG:
            return self._index.get(status) or self._read(dir_fd, directory, name, status)
        if kind == stat.S_IFLNK:
            try:
                return os.fsencode(os.readlink(name, dir_fd=dir_fd))
            except OSError:
                raise replaced(directory, name) from None
        return b""

    def _read(self, dir_fd: int, directory: Directory, name: str, status: os.stat_result) -> bytes:
        fd = open_file(dir_fd, directory, name)
        try:
            content = _hash_file(fd, status.st_size)
            attributes = self._xattrs(fd)
            result = sha256(content.digest() + attributes).digest() if attributes else content.digest()
            after = os.fstat(fd)
            if not stat.S_ISREG(after.st_mode):
                raise replaced(directory, name)
            self._index.put(status, after, result)
            return result
        finally:
            os.close(fd)


def _hash_file(fd: int, size: int) -> _Hash:
    """Return the hash of what is in a file that had `size` bytes; a small one takes one call."""
    data = os.read(fd, min(size, _CHUNK) + 1)
    digest = sha256(data)
    total = len(data)
    while data and total != size:
        data = os.read(fd, _CHUNK)
        digest.update(data)
        total += len(data)
    return digest
