"""A container's writable layer as an image layer (image-spec, layer.md).

What overlayfs keeps as devices and attributes becomes files named .wh.* again; what starts made to
mount on is left out. The same layer gives the same bytes.
"""

from __future__ import annotations

import os
import stat

from daemonless.layers import whiteout
from daemonless.layers.archive import ArchiveWriter, describe
from daemonless.layers.changes import lookup
from daemonless.layers.tar_header import REGULAR, Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_IMPLIED_ROOT = (0o755, 0, 0)  # mode and owner of a layer's root that has no entry


class LayerWriter(ArchiveWriter):
    """Writes the layer whose top directory is `top_fd`, above the merged view `below_fd` (-1: none).

    `debris` are paths to leave out (layers.changes.left_by_mounts). With `becomes_layer` the directory is
    to be the unpacked layer, also of images that have other layers below it: it is made to hide nothing
    there that the archive does not hide.
    """

    def __init__(
        self,
        sink: Callable[[bytes], object],
        top_fd: int,
        below_fd: int,
        debris: frozenset[bytes] = frozenset(),
        *,
        becomes_layer: bool = False,
    ) -> None:
        super().__init__(sink)
        self._top_fd = top_fd
        self._below_fd = below_fd
        self._debris = debris
        self._becomes_layer = becomes_layer

    def write(self) -> None:
        """Write the whole archive."""
        root = os.fstat(self._top_fd)
        if (stat.S_IMODE(root.st_mode), root.st_uid, root.st_gid) != _IMPLIED_ROOT:
            entry = describe(b"./", root)
            entry.mtime_ns = 0  # when the container was made says nothing about its files
            self.write_member(entry)
        self.add_content(self._top_fd)
        self.finish()

    def translate(self, dir_fd: int, name: bytes, member: bytes, status: os.stat_result) -> bool:
        """Turn whiteouts into files, and leave out what a layer cannot or should not hold."""
        if member in self._debris:
            return True
        if whiteout.is_whiteout(status):
            if lookup(self._below_fd, member) is not None:
                self.write_member(_marker(whiteout.name_of_whiteout(member)))
            return True
        if name.startswith(whiteout.PREFIX):
            self.omitted.add("files were left out whose names mean deletion in a layer", member)
            return True
        return False

    def entered(self, fd: int, member: bytes) -> None:
        """Say of a directory that hides one of the layers below that it does."""
        if whiteout.is_opaque(fd):
            below = lookup(self._below_fd, member)
            if below is not None and stat.S_ISDIR(below.st_mode):
                self.write_member(_marker(member + b"/" + whiteout.OPAQUE))
            elif self._becomes_layer:  # the kernel marks what has taken the place of a file, too
                whiteout.remove_opaque(fd)


def _marker(name: bytes) -> Entry:
    entry = Entry()
    entry.name, entry.kind, entry.mode, entry.link = name, REGULAR, 0, b""
    entry.uid = entry.gid = entry.mtime_ns = entry.major = entry.minor = 0
    entry.xattrs = {}
    return entry
