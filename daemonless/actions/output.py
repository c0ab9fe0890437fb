"""Where a command writes an archive: standard output, or a file that is there when it is complete."""

from __future__ import annotations

import os
import stat

from daemonless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


class Output:
    """A descriptor to write to; as a context manager it leaves no half-written file behind."""

    def __init__(self, fd: int, *, temporary: str = "", path: str = "") -> None:
        self.fd = fd
        self._temporary = temporary
        self._path = path

    def keep(self) -> None:
        """Give the complete file its name."""
        if self._temporary:
            os.rename(self._temporary, self._path)
            self._temporary = ""

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._temporary:
            os.unlink(self._temporary)
        if self._path:
            os.close(self.fd)


def open_output(path: str | None, what: str) -> Output:
    """Return where to write `what`: the file `path`, or standard output.

    A file gets its name, and replaces an older one, by `keep` only; a device or FIFO is written
    to directly. Raises UsageError for a terminal, or a file that cannot be made.
    """
    if not path:
        _refuse_terminal(1, what)
        return Output(1)
    try:
        if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            _refuse_terminal(fd, what)
            return Output(fd, path=path)
        temporary = f"{path}.{os.urandom(4).hex()}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return Output(os.open(temporary, flags, 0o666), temporary=temporary, path=path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def _refuse_terminal(fd: int, what: str) -> None:
    if os.isatty(fd):
        raise UsageError(f"refusing to write {what} to a terminal", "use --output FILE, or redirect it")
