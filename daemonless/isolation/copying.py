"""Copying a tree between two directory descriptors: what an image holds below a tmpfs or a new volume.

Links are copied, never followed, and no other mount is entered. Owners, modes, times, extended
attributes, hard links and holes are kept. Device nodes and sockets are left out.
"""

from __future__ import annotations

import os

_REGULAR, _DIRECTORY, _LINK, _FIFO = 0o100000, 0o040000, 0o120000, 0o010000
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ENODATA, _ENXIO, _EOPNOTSUPP, _EPERM, _EINVAL = 61, 6, 95, 1, 22

TYPE_CHECKING = False
if TYPE_CHECKING:
    Linked = dict[tuple[int, int], str]  # device and inode of a file with several names: its path in the copy


def copy_content(source: int, target: int) -> None:
    """Copy what is in the directory `source` into the directory `target`, which nobody else uses yet.

    Does not recurse, but holds two descriptors for each level: a tree too deep for that is an OSError.
    """
    top = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=target)
    device = os.fstat(source).st_dev
    linked: Linked = {}
    stack = [(source, top, "", os.listdir(source))]
    try:
        while stack:
            here, there, path, names = stack[-1]
            if names:
                inner = _copy_entry(here, there, names.pop(), path, top, device, linked)
                if inner:
                    stack.append(inner)
                continue
            stack.pop()
            if here != source:
                copy_attributes(here, there)
                os.close(here)
                os.close(there)
    finally:
        for here, there, _, _ in stack[1:]:
            os.close(here)
            os.close(there)
        os.close(top)


def _copy_entry(
    source: int, target: int, name: str, path: str, top: int, device: int, linked: Linked
) -> tuple[int, int, str, list[str]] | None:
    """Copy one entry of a directory; return what is to be copied next, if it is a directory."""
    entry = os.stat(name, dir_fd=source, follow_symlinks=False)
    kind = entry.st_mode & 0o170000
    if kind == _DIRECTORY:
        if entry.st_dev != device:
            return None
        os.mkdir(name, 0o700, dir_fd=target)
        inner = os.open(name, _OPEN | os.O_DIRECTORY, dir_fd=source)
        copy = os.open(name, _OPEN | os.O_DIRECTORY, dir_fd=target)
        return inner, copy, f"{path}{name}/", os.listdir(inner)
    identity = (entry.st_dev, entry.st_ino)
    if entry.st_nlink > 1 and identity in linked:
        os.link(linked[identity], name, src_dir_fd=top, dst_dir_fd=target, follow_symlinks=False)
        return None
    if kind == _REGULAR:
        _copy_file(source, target, name)
    elif kind == _LINK:
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
    elif kind == _FIFO:
        os.mkfifo(name, 0o600, dir_fd=target)
        os.chmod(name, entry.st_mode & 0o7777, dir_fd=target)
    else:
        return None
    if kind != _REGULAR:
        os.chown(name, entry.st_uid, entry.st_gid, dir_fd=target, follow_symlinks=False)
        times = (entry.st_atime_ns, entry.st_mtime_ns)
        os.utime(name, ns=times, dir_fd=target, follow_symlinks=False)
    if entry.st_nlink > 1:
        linked[identity] = path + name
    return None


def _copy_file(source: int, target: int, name: str) -> None:
    reader = os.open(name, _OPEN, dir_fd=source)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    writer = os.open(name, flags, 0o600, dir_fd=target)
    try:
        size = os.fstat(reader).st_size
        os.ftruncate(writer, size)  # what is not written stays a hole
        offset = 0
        while offset < size:
            offset, end = next_data(reader, offset, size)
            os.lseek(writer, offset, os.SEEK_SET)
            while offset < end and (sent := os.sendfile(writer, reader, offset, min(end - offset, 1 << 24))):
                offset += sent
            if offset < end:
                break  # it has shrunk
        copy_attributes(reader, writer)
    finally:
        os.close(reader)
        os.close(writer)


def next_data(fd: int, position: int, size: int) -> tuple[int, int]:
    """Return where the next data of the file begins and ends, both at most `size` (lseek(2))."""
    try:
        start = os.lseek(fd, position, os.SEEK_DATA)
        end = os.lseek(fd, start, os.SEEK_HOLE)
    except OSError as error:
        if error.errno == _ENXIO:  # nothing but a hole up to the end, or the file has shrunk
            return size, size
        return position, size  # a file system that does not know
    return min(start, size), min(end, size)


def copy_attributes(source: int, target: int) -> None:
    """Give an open file or directory the owner, mode, extended attributes and times of another."""
    status = os.fstat(source)
    os.fchown(target, status.st_uid, status.st_gid)
    os.fchmod(target, status.st_mode & 0o7777)
    for name in os.listxattr(source):
        try:
            os.setxattr(target, name, os.getxattr(source, name))
        except OSError as error:
            # gone meanwhile; or what this filesystem does not keep, or a namespace's root may not set
            if error.errno not in (_ENODATA, _EOPNOTSUPP, _EPERM, _EINVAL):
                raise
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
