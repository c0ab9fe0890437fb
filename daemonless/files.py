"""Durable writes, locks and descriptor-relative opens.

Nothing else in the package writes state (a lint test guards it): a reader sees the old file or
the new one, never a part (shared invariant S-1). Directories and files are private to the user.
"""

from __future__ import annotations

import fcntl
import os

from daemonless import syscalls
from daemonless.errors import InvalidData

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_F_OFD_GETLK, _F_OFD_SETLK, _F_OFD_SETLKW = 36, 37, 38
_F_RDLCK, _F_WRLCK, _F_UNLCK = 0, 1, 2


def write_atomic(path: str, data: bytes, *, durable: bool = True, mode: int = 0o600) -> None:
    """Replace the file at `path` (a path of ours) with `data`.

    `durable` adds the fsyncs that make the new content survive a power loss; volatile state on
    a tmpfs does without. Raises OSError; then the old file is untouched, unless all that failed
    was to sync the directory, and no temporary file stays behind.
    """
    directory, _, name = path.rpartition("/")
    temporary = f"{directory}/.{name}.{os.getpid():x}.{os.urandom(4).hex()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            write_all(fd, data)
            if mode != 0o600:
                os.fchmod(fd, mode)
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        unlink_if_there(temporary)
        raise
    if durable:
        sync(directory)


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`, however many calls it takes."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def sync(path: str) -> None:
    """Make a file's content, or a directory's renames and unlinks, durable (fsync(2), NOTES)."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def read_file(path: str, limit: int = 4 << 20, *, what: str = "") -> bytes:
    """Read a file of ours; raises OSError, or InvalidData past `limit` bytes."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return read_fd(fd, limit, what=what or path)
    finally:
        os.close(fd)


def read_fd(fd: int, limit: int, *, what: str = "file") -> bytes:
    """Read `fd` from its start to its end, at most `limit` bytes; only regular files are read.

    Raises InvalidData for anything else: a FIFO would block, a device may never end.
    """
    status = os.fstat(fd)
    if status.st_mode & 0o170000 != 0o100000:
        raise InvalidData(f"{what} is not a regular file")
    if status.st_size > limit:
        raise InvalidData(f"{what} is larger than {limit} bytes")
    parts = []
    offset = 0
    # What is asked for is allocated: no more than the file has, or than one that grows may get.
    while part := os.pread(fd, min(max(status.st_size + 1 - offset, 1 << 16), limit + 1 - offset), offset):
        parts.append(part)
        offset += len(part)
        if offset > limit:
            raise InvalidData(f"{what} is larger than {limit} bytes")
    return b"".join(parts)


def read_stream(read: Callable[[int], bytes], limit: int, what: str) -> bytes:
    """Return all that `read` gives, called with how much at the most, until b"".

    Raises InvalidData past `limit` bytes, and what `read` raises.
    """
    parts, total = [], 0
    while part := read(min(1 << 16, limit + 1 - total)):
        parts.append(part)
        total += len(part)
        if total > limit:
            raise InvalidData(f"{what} is larger than {limit} bytes")
    return b"".join(parts)


def list_if_there(path: str) -> list[str]:
    """Return the names in a directory of ours; none if it is not there."""
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []


def unlink_if_there(path: str) -> None:
    """Remove a file of ours; one that is gone already is fine."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def remove_flat_directory(path: str) -> None:
    """Remove a directory of ours and the files in it; what is gone already is fine."""
    try:
        names = os.listdir(path)
    except FileNotFoundError:
        return
    for name in names:
        try:
            os.unlink(f"{path}/{name}")
        except FileNotFoundError:
            pass
        except IsADirectoryError:  # none of ours
            os.rmdir(f"{path}/{name}")
    try:
        os.rmdir(path)
    except OSError:  # somebody made a file meanwhile; the next removal finds it
        pass


def boot_id() -> str:
    """Return the kernel's random id of this boot (random(4))."""
    return read_file("/proc/sys/kernel/random/boot_id", 64).decode("ascii").strip()


def process_start_time(pid: int) -> int:
    """Return when a process started, in clock ticks since boot (field 22 of proc_pid_stat(5)).

    Raises FileNotFoundError or ProcessLookupError if it is gone.
    """
    stat = read_file(f"/proc/{pid}/stat", 4096, what="stat").rpartition(b")")[2]
    return int(stat.split()[19])


def make_private_directory(path: str) -> None:
    """Create `path` and its parents, mode 0700; an existing one must be ours and a directory."""
    try:
        os.mkdir(path, 0o700)
        return
    except FileExistsError:
        return
    except FileNotFoundError:
        parent = path.rpartition("/")[0]
        make_private_directory(parent)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return


def move_directory(source: str, target: str) -> None:
    """Rename a directory of ours into another one, even if it may not be written to; raises OSError.

    rename(2) asks for that, as the new parent is noted in it.
    """
    mode = os.stat(source).st_mode & 0o7777
    os.chmod(source, 0o700)
    os.rename(source, target)
    os.chmod(target, mode)


def open_in_root(root_fd: int, path: bytes, flags: int, mode: int = 0) -> int:
    """Open `path` as a process whose root is `root_fd` would see it (openat2, RESOLVE_IN_ROOT).

    For rootfs, layers and volumes: absolute and upward links stay inside. Raises OSError.
    """
    resolve = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
    return _openat2(root_fd, path, flags, mode, resolve)


def open_beneath(dir_fd: int, path: bytes, flags: int, mode: int = 0) -> int:
    """Open `path` below `dir_fd`; any step out of it fails with EXDEV (openat2, RESOLVE_BENEATH).

    For build contexts, caches and state directories.
    """
    resolve = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_MAGICLINKS
    return _openat2(dir_fd, path, flags, mode, resolve)


def _openat2(dir_fd: int, path: bytes, flags: int, mode: int, resolve: int) -> int:
    for _ in range(64):  # EAGAIN: a rename raced with the walk (openat2(2)); try again
        try:
            return syscalls.openat2(dir_fd, path, flags, mode, resolve)
        except BlockingIOError:
            continue
    return syscalls.openat2(dir_fd, path, flags, mode, resolve)


class Lock:
    """A lock on a file that is never unlinked, held by an open file description; exclusive, as a rule.

    OFD locks (fcntl(2)) end with the last descriptor, so the kernel frees them however their
    holder dies; `held` asks without taking, so that a reader never disturbs a holder.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = -1

    def _open(self) -> int:
        if self.fd < 0:
            self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        return self.fd

    def acquire(self) -> None:
        """Wait for the lock and take it."""
        fcntl.fcntl(self._open(), _F_OFD_SETLKW, _flock(_F_WRLCK))

    def share(self) -> None:
        """Wait for a share of the lock and take it; whoever has all of it keeps a share."""
        fcntl.fcntl(self._open(), _F_OFD_SETLKW, _flock(_F_RDLCK))

    def try_acquire(self, *, shared: bool = False) -> bool:
        """Take the lock, or a share of it, if it is free; return whether it was taken."""
        try:
            fcntl.fcntl(self._open(), _F_OFD_SETLK, _flock(_F_RDLCK if shared else _F_WRLCK))
        except (BlockingIOError, PermissionError):
            return False
        return True

    def is_in_place(self) -> bool:
        """Return whether the locked file is still the one at the path."""
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self.fd))

    def release(self) -> None:
        """Give the lock up by closing the descriptor."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Lock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def make_locked_file(prefix: str) -> Lock:
    """Make a new file whose path begins with `prefix`, and return the lock on it, taken."""
    while True:
        lock = Lock(f"{prefix}{os.getpid():x}.{os.urandom(6).hex()}")
        lock.acquire()
        if os.fstat(lock.fd).st_nlink:  # not swept between its creation and its locking
            return lock
        lock.release()


def sweep_unlocked(directory: str, prefix: str) -> int:
    """Remove what makers of `make_locked_file` who died have left in a directory; return its bytes."""
    size = 0
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return size
    for name in names:
        if name.startswith(prefix):
            lock = Lock(f"{directory}/{name}")
            try:
                if lock.try_acquire() and lock.is_in_place():  # a living maker holds it
                    size += os.fstat(lock.fd).st_size
                    os.unlink(lock.path)
            finally:
                lock.release()
    return size


def lock_is_held(path: str) -> bool:
    """Return whether some process holds the Lock at `path`; a missing file is not held."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # it is not there, or not a lock: then nobody can have locked it
        return False
    try:
        answer = fcntl.fcntl(fd, _F_OFD_GETLK, _flock(_F_WRLCK))
    finally:
        os.close(fd)
    return int.from_bytes(answer[:2], "little") != _F_UNLCK


def _flock(kind: int) -> bytes:
    """Lay out struct flock for the whole file: short type, short whence, off_t, off_t, pid_t."""
    return kind.to_bytes(2, "little") + bytes(30)
