"""Mount points that had to be made in a container's writable layer, and their removal after it.

What is mounted needs a file or a directory to be mounted on; where the image has none, the runtime
makes it, and a layer must not tell of that. When everything is mounted and the command has not
begun, a new writable layer holds just these, and copies of the directories they were made in.
"""

from __future__ import annotations

import os
import stat

from daemonless import jsonio
from daemonless.files import open_beneath
from daemonless.record import Record

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LIMIT = 1 << 16  # bytes, as a message of isolation.sync


class Made(Record):
    """An entry of the writable layer, as it was before the command began."""

    path: bytes  # relative to the layer's top
    mode: int
    uid: int  # inside
    gid: int
    mtime: int  # ns


def list_made(upper: str) -> list[Made]:
    """Return all that is in the directory `upper`, each directory before what is in it."""
    found: list[Made] = []
    _list(os.open(upper, _DIRECTORY), b"", found)
    return found


def _list(fd: int, prefix: bytes, found: list[Made]) -> None:
    try:
        for name in map(os.fsencode, sorted(os.listdir(fd))):
            status = os.lstat(name, dir_fd=fd)
            found.append(_describe(prefix + name, status))
            if stat.S_ISDIR(status.st_mode):
                _list(os.open(name, _DIRECTORY, dir_fd=fd), prefix + name + b"/", found)
    finally:
        os.close(fd)


def _describe(path: bytes, status: os.stat_result) -> Made:
    return Made(
        path=path, mode=status.st_mode, uid=status.st_uid, gid=status.st_gid, mtime=status.st_mtime_ns
    )


def pack(made: list[Made]) -> bytes:
    """Return the entries as the payload of a message; nothing for none."""
    rows = [[os.fsdecode(each.path), each.mode, each.uid, each.gid, each.mtime] for each in made]
    return jsonio.dumps(rows).encode("ascii") if rows else b""


def unpack(payload: bytes) -> tuple[Made, ...]:
    """Return the entries of a payload."""
    rows = jsonio.loads(payload, what="message of the container's init", limit=_LIMIT)
    return tuple(
        Made(path=os.fsencode(path), mode=mode, uid=uid, gid=gid, mtime=mtime)
        for path, mode, uid, gid, mtime in rows
    )


def remove_made(upper: str, made: tuple[Made, ...]) -> None:
    """Remove from the directory `upper` what is still as it was made, and holds nothing else.

    To be called as root of the user namespace, when nothing is mounted any more: a directory that
    the command has written to stays, and so does one with other owners or modes than it had.
    """
    top = os.open(upper, _DIRECTORY)
    try:
        for each in reversed(made):
            parent, _, name = each.path.rpartition(b"/")
            try:
                fd = open_beneath(top, parent or b".", _DIRECTORY)
            except OSError:  # the command has put something else there
                continue
            try:
                status = os.fstat(fd)
                _remove(fd, name, each)
                os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))  # that of the command's changes
            finally:
                os.close(fd)
    finally:
        os.close(top)


def _remove(fd: int, name: bytes, made: Made) -> None:
    try:
        status = os.lstat(name, dir_fd=fd)
        found = _describe(made.path, status)
        if stat.S_ISDIR(status.st_mode):
            if found.replace(mtime=0) == made.replace(mtime=0):
                os.rmdir(name, dir_fd=fd)
        elif found == made and status.st_size == 0:
            os.unlink(name, dir_fd=fd)
    except OSError:  # it is gone, or a directory that holds something
        pass
