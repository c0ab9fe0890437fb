"""Throw away now, delete later.

Deleting a tree takes as long as it has files, and files made soon after on the same file system
take longer still (ext4 avoids inodes it has just freed). So a removal is one rename into trash/,
and a detached process at low priority deletes, as root of the user's id map because files there
belong to subordinate ids.
"""

from __future__ import annotations

import fcntl
import os

from daemonless import syscalls
from daemonless.errors import DaemonlessError
from daemonless.files import make_private_directory
from daemonless.isolation.userns import load_id_map, start_mapped

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ENOTEMPTY = 39
# A mount that somebody left below is not emptied: what is on it is not ours.
_STAY = syscalls.RESOLVE_NO_XDEV | syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_BENEATH


def discard(data: str, path: str) -> None:
    """Move a file or directory of the data directory out of sight.

    Raises FileNotFoundError if it is gone already, and other OSErrors.
    """
    target = f"{data}/trash/{os.urandom(8).hex()}"
    try:
        os.rename(path, target)
    except FileNotFoundError:
        make_private_directory(f"{data}/trash")
        os.rename(path, target)


def empty_here(data: str) -> None:
    """Delete in this process, which nobody waits for, and leave to another what belongs to other ids.

    Most containers leave files of the caller alone; a user namespace with its helpers would cost
    ten times what their deletion does.
    """
    try:
        trash_fd = os.open(f"{data}/trash", _OPEN_DIRECTORY)
    except FileNotFoundError:
        return
    os.nice(10)
    empty(trash_fd)
    os.close(trash_fd)
    empty_in_background(data)


def empty_in_background(data: str) -> None:
    """Start deleting what is in trash/ and return; nothing to delete costs one directory read.

    The process that deletes is nobody's child, has no terminal and keeps none of the caller's
    files open. One at a time works; what it cannot delete stays for the next.
    """
    path = f"{data}/trash"
    try:
        if not os.listdir(path):
            return
    except FileNotFoundError:
        return
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            if os.fork() == 0:
                _detach(path)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def _detach(path: str) -> None:
    """Let go of all the caller has, and empty the directory in a user namespace."""
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    syscalls.close_range(3)
    os.nice(10)
    trash_fd = os.open(path, _OPEN_DIRECTORY)
    os.chdir("/")

    def work() -> int:
        empty(trash_fd)
        return 0

    while os.listdir(trash_fd):
        try:
            fcntl.flock(trash_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # another one looks once more after it has let go of the lock
        try:
            os.waitpid(start_mapped(work, load_id_map(os.getuid(), os.getgid())), 0)
        except DaemonlessError:
            empty(trash_fd)  # no user namespace here: then nothing belongs to other ids either
        stuck = os.listdir(trash_fd)
        fcntl.flock(trash_fd, fcntl.LOCK_UN)
        if set(os.listdir(trash_fd)) <= set(stuck):
            return


def empty(trash_fd: int) -> None:
    """Delete all that can be deleted below the directory `trash_fd`.

    Never recurses, and holds two descriptors at most: containers make trees of any depth. A
    directory inside a doomed one is first moved up into `trash_fd`.
    """
    stuck: set[str] = set()
    while names := set(os.listdir(trash_fd)) - stuck:
        for name in names:
            try:
                _delete(trash_fd, name)
            except FileNotFoundError:
                pass  # deleted by somebody else
            except OSError:
                stuck.add(name)


def _delete(trash_fd: int, name: str) -> None:
    if _unlink_or_rmdir(trash_fd, name):
        return
    fd = _open(trash_fd, os.fsencode(name))
    try:
        for child in os.listdir(fd):
            if not _unlink_or_rmdir(fd, child):
                os.close(_open(fd, os.fsencode(child)))  # to be moved it has to be writable
                os.rename(child, os.urandom(8).hex(), src_dir_fd=fd, dst_dir_fd=trash_fd)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=trash_fd)


def _unlink_or_rmdir(dir_fd: int, name: str) -> bool:
    """Delete a file or an empty directory; False for a directory that is not empty."""
    try:
        os.unlink(name, dir_fd=dir_fd)
        return True
    except IsADirectoryError:
        pass
    try:
        os.rmdir(name, dir_fd=dir_fd)
        return True
    except OSError as error:
        if error.errno != _ENOTEMPTY:
            raise
        return False


def _open(trash_fd: int, name: bytes) -> int:
    """Open a directory to empty it, also one whose owner, we, took all permissions from it.

    overlayfs leaves such: work/work, and work/incompat of a volatile mount.
    """
    try:
        return syscalls.openat2(trash_fd, name, _OPEN_DIRECTORY, 0, _STAY)
    except PermissionError:
        fd = syscalls.openat2(trash_fd, name, _OPEN_DIRECTORY | os.O_PATH, 0, _STAY)
        try:
            os.chmod(f"/proc/self/fd/{fd}", 0o700)  # fchmod(2) refuses an O_PATH descriptor
        finally:
            os.close(fd)
        return syscalls.openat2(trash_fd, name, _OPEN_DIRECTORY, 0, _STAY)
