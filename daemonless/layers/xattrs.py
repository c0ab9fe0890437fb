"""Extended attributes of layer members: which are kept, on the way in and on the way out.

Kept are `security.capability` and `user.*`. Dropped are those that would speak to this machine's
kernel instead of the container: `user.overlay.*`, which a rootless overlayfs obeys, `trusted.*`,
labels of security modules and integrity measurements, and podman's ownership notes.
"""

from __future__ import annotations

import errno
import os

from daemonless.errors import printable
from daemonless.layers.omitted import Omissions
from daemonless.layers.tar_header import Entry

_CAPABILITY = b"security.capability"
_USER = b"user."
_NOT_OURS = (b"user.overlay.", b"user.rootlesscontainers")
_REVISION_2, _REVISION_3 = 0x02000000, 0x03000000  # of struct vfs_cap_data, linux/capability.h
_REVISION_2_SIZE, _REVISION_3_SIZE = 20, 24
_MAX_TOTAL = 1 << 19  # bytes of one file's attributes; readers bound an extended header to 1 MiB
_UNSUPPORTED = frozenset((errno.ENOTSUP, errno.EPERM, errno.EACCES, errno.ENOSPC, errno.E2BIG, errno.ERANGE))


def apply(fd: int, entry: Entry, omitted: Omissions) -> None:
    """Set the attributes of `entry` that are kept on `fd`, and warn of the others."""
    for name, value in entry.xattrs.items():
        kept = _capability(value) if name == _CAPABILITY else value if _is_kept(name) else None
        if kept is None:
            _dropped(name, entry, omitted)
            continue
        try:
            os.setxattr(fd, name, kept)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            _dropped(name, entry, omitted)


def read(fd: int, member: bytes, omitted: Omissions) -> dict[bytes, bytes]:
    """Return the attributes of `fd` that an archive carries; warn of those it cannot hold."""
    found: dict[bytes, bytes] = {}
    room = _MAX_TOTAL
    try:
        names = os.listxattr(fd)
    except OSError:
        return found  # the file system has none
    for text in names:
        name = os.fsencode(text)
        if name != _CAPABILITY and not _is_kept(name):
            continue
        try:
            value = os.getxattr(fd, name)
        except OSError:
            continue  # removed meanwhile
        room -= len(name) + len(value)
        if b"=" in name or room < 0:
            omitted.add(f"the attribute {printable(name, 60)} was dropped", member)
            continue
        found[name] = value
    return found


def ignore(entry: Entry, omitted: Omissions) -> None:
    """Warn of all attributes of a link or FIFO, which can have none of the kept kinds (xattr(7))."""
    for name in entry.xattrs:
        _dropped(name, entry, omitted)


def remove_default_acl(fd: int) -> None:
    """Remove inherited ACLs, which would change the mode of everything created below `fd`."""
    for name in ("system.posix_acl_default", "system.posix_acl_access"):
        try:
            os.removexattr(fd, name)
        except OSError:
            pass  # there is none, or the file system knows no ACLs


def _is_kept(name: bytes) -> bool:
    return (
        name.startswith(_USER)
        and len(name) > len(_USER)
        and b"\0" not in name
        and not name.startswith(_NOT_OURS)
    )


def _capability(value: bytes) -> bytes | None:
    """Return file capabilities in revision 2, to which the kernel adds the container's root.

    Revision 3 names the root of the user namespace it counts in; only 0 can mean the container's.
    """
    word = int.from_bytes(value[:4], "little")
    if len(value) == _REVISION_2_SIZE and word & 0xFF000000 == _REVISION_2:
        return value
    if len(value) == _REVISION_3_SIZE and word & 0xFF000000 == _REVISION_3 and not any(value[20:]):
        return (word & 0xFFFFFF | _REVISION_2).to_bytes(4, "little") + value[4:20]
    return None


def _dropped(name: bytes, entry: Entry, omitted: Omissions) -> None:
    omitted.add(f"the attribute {printable(name, 60)} was dropped", entry.name)
