"""Whiteouts: how a layer says what of the layers below is gone, on both sides.

In the archive a file `.wh.NAME` hides NAME and `.wh..wh..opq` hides all of a directory
(image-spec, layer.md "Whiteouts"). For overlayfs a hidden name is a character device 0:0 and a
hidden directory has the attribute `user.overlay.opaque` (kernel, Documentation/filesystems/
overlayfs.rst; with the mount option `userxattr`). Both touch lower layers only, wherever in the
archive they stand.
"""

from __future__ import annotations

import os
import stat

from daemonless.errors import InvalidData

PREFIX = b".wh."
_META_PREFIX = b".wh..wh."  # aufs's own bookkeeping
OPAQUE = b".wh..wh..opq"

PLAIN, IGNORED, HIDES_NAME, HIDES_CONTENT = range(4)


def classify(path: bytes) -> tuple[int, bytes]:
    """Return what a normalised path means, and the path it is about.

    PLAIN: itself. IGNORED: left over by aufs, never created. HIDES_NAME: a whiteout of the
    returned path. HIDES_CONTENT: the returned directory is opaque. Raises InvalidData.
    """
    if PREFIX not in path:
        return PLAIN, path
    parent, slash, name = path.rpartition(b"/")
    for part in parent.split(b"/"):
        if part.startswith(_META_PREFIX):
            return IGNORED, path
        if part.startswith(PREFIX):
            raise InvalidData("it lies below a whiteout")
    if name == OPAQUE:
        return HIDES_CONTENT, parent
    if name.startswith(_META_PREFIX):
        return IGNORED, path
    if name.startswith(PREFIX):
        hidden = name[len(PREFIX) :]
        if hidden in (b"", b".", b".."):
            raise InvalidData("it is a whiteout of nothing")
        return HIDES_NAME, parent + slash + hidden
    return PLAIN, path


def name_of_whiteout(path: bytes) -> bytes:
    """Return the name of the file that hides `path` in an archive."""
    parent, slash, name = path.rpartition(b"/")
    return parent + slash + PREFIX + name


def make_whiteout(dir_fd: int, name: bytes) -> None:
    """Create overlayfs's whiteout; Linux 5.8 and later let anybody (mknod(2)). Raises OSError."""
    os.mknod(name, stat.S_IFCHR, 0, dir_fd=dir_fd)


def is_whiteout(status: os.stat_result) -> bool:
    """Return whether `status` is that of overlayfs's whiteout."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def make_opaque(fd: int) -> None:
    """Make the directory `fd` hide what the lower layers have in it. Raises OSError."""
    os.setxattr(fd, "user.overlay.opaque", b"y")


def remove_opaque(fd: int) -> None:
    """Undo `make_opaque`. Raises OSError."""
    os.removexattr(fd, "user.overlay.opaque")


def is_opaque(fd: int) -> bool:
    """Return whether the directory `fd` hides what the lower layers have in it."""
    try:
        return os.getxattr(fd, "user.overlay.opaque") == b"y"
    except OSError:
        return False  # no such attribute
