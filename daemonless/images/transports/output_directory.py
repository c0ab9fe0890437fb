"""A directory that an image is written to: each file appears complete, under its name.

The directory is the user's; what is in it already is not followed anywhere.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterable

from daemonless.errors import UsageError, printable
from daemonless.files import write_all

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class OutputDirectory:
    """The directory at `path`, made if it is missing; locked against others who write to it."""

    def __init__(self, path: str) -> None:
        self.name = printable(path)
        try:
            os.makedirs(path, exist_ok=True)
            self.fd = os.open(path, _DIRECTORY)
        except OSError as error:
            raise UsageError(f"cannot write to {self.name}: {error.strerror}") from None
        fcntl.flock(self.fd, fcntl.LOCK_EX)

    def names(self) -> list[str]:
        """Return what is in the directory."""
        return os.listdir(self.fd)

    def has(self, name: str, size: int) -> bool:
        """Return whether there is a file of that size."""
        try:
            status = os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except OSError:
            return False
        return stat.S_ISREG(status.st_mode) and status.st_size == size

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write a file, whose directory is made if it is missing, and give it its name at the end."""
        directory, last = self._enter(name)
        temporary = f".{last}.{os.urandom(4).hex()}"
        try:
            fd = os.open(temporary, _NEW, 0o666, dir_fd=directory)
            try:
                for chunk in chunks:
                    write_all(fd, chunk)
                os.fsync(fd)
                os.rename(temporary, last, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                os.unlink(temporary, dir_fd=directory)
                raise
            finally:
                os.close(fd)
        finally:
            os.close(directory)

    def remove(self, name: str) -> None:
        """Remove a file."""
        os.unlink(name, dir_fd=self.fd)

    def discard(self, name: str) -> None:
        """Remove a file, which may be gone already, as may its directory."""
        try:
            self.remove(name)
        except FileNotFoundError:
            pass

    def close(self) -> None:
        """Make the names durable, and let others write."""
        os.fsync(self.fd)
        os.close(self.fd)

    def _enter(self, name: str) -> tuple[int, str]:
        *parents, last = name.split("/")
        fd = os.dup(self.fd)
        for parent in parents:
            try:
                os.mkdir(parent, 0o777, dir_fd=fd)
            except FileExistsError:
                pass
            inner = os.open(parent, _DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
            os.close(fd)
            fd = inner
        return fd, last
