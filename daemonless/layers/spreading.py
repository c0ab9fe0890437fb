"""Where a tree of files goes on an ext4 disk.

ext4 gives out no inode that was freed within the last minutes (it may still be in its journal) and looks
for another in the same block group, one by one: after a large removal a new file there costs hundreds of
microseconds, ten times as much as otherwise. It puts what is made in a directory near that directory;
but for a directory marked as the top of a hierarchy (chattr(1), attribute T) it looks for a group with
room for each directory made in it, wherever that is.
"""

from __future__ import annotations

import fcntl

_FS_IOC_GETFLAGS, _FS_IOC_SETFLAGS = 0x80086601, 0x40086602  # ioctl_iflags(2)
_FS_TOPDIR_FL = 0x00020000
_FLAGS_SIZE = 8


def spread(fd: int) -> None:
    """Mark the directory `fd`, which is about to get a large tree; does nothing on other file systems."""
    try:
        flags = fcntl.ioctl(fd, _FS_IOC_GETFLAGS, bytes(_FLAGS_SIZE))
        marked = int.from_bytes(flags, "little") | _FS_TOPDIR_FL
        fcntl.ioctl(fd, _FS_IOC_SETFLAGS, marked.to_bytes(_FLAGS_SIZE, "little"))
    except OSError:  # another file system, or one that does not let us
        pass
