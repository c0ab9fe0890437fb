"""The supervisor's ends of a container's standard streams, for one run after the other.

Without a terminal these are pipes, with one it is the master of a pseudo-terminal, which takes what is
typed and gives what is shown. None of them blocks. What the container has not read yet is kept, and
whoever sends more has to wait.
"""

from __future__ import annotations

import fcntl
import os
import select
import termios

from daemonless.supervisor import protocol
from daemonless.supervisor.logs import STDERR, STDOUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_F_SETPIPE_SZ = 1031
_WIDE_PIPE, _WIDE_CHUNK = 1 << 20, 1 << 18  # bytes, for a container that prints a lot
READABLE = select.POLLIN | select.POLLHUP | select.POLLERR
_WRITABLE = select.POLLOUT | select.POLLHUP | select.POLLERR


class Streams:
    """`make`, then `begin` when the container's process has its own ends, and `close` after it."""

    def __init__(self, take: Callable[[int, bytes], None]) -> None:
        """`take` gets what the container writes: the number of its stream, and bytes."""
        self._take = take
        self._outputs: dict[int, int] = {}  # descriptor to read: stream number
        self._chunk = protocol.CHUNK  # bytes to read at once
        self._console = -1
        self._stdin = -1
        self._input: list[bytes] = []  # what the container has not taken yet
        self._input_ended = False

    def make(self, *, interactive: bool, open_to_all: bool = False) -> tuple[int, int, int]:
        """Make pipes and return the container's ends; its stdin is empty unless it is interactive.

        With `open_to_all` who does not own them may open them anew, as /dev/stdout.
        """
        if interactive:
            stdin, self._stdin = os.pipe()
        else:
            stdin = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        self._outputs = {out_read: STDOUT, err_read: STDERR}
        for fd in (out_write, err_write, *((stdin,) if interactive else ())) if open_to_all else ():
            os.fchmod(fd, 0o666)
        return stdin, out_write, err_write

    def begin(self, console: int) -> None:
        """Use the terminal's master in place of pipes, if there is one (else -1)."""
        if console >= 0:
            self._console = self._stdin = console
            self._outputs = {console: STDOUT}
        for fd in (*self._outputs, self._stdin):
            if fd >= 0:
                os.set_blocking(fd, False)

    @property
    def are_full(self) -> bool:
        """Whether the container is to read what it was sent before it is sent more."""
        return bool(self._input)

    def interest(self, *, paused: bool) -> dict[int, int]:
        """Return what to poll for; no output while those who take it are behind."""
        interest = dict.fromkeys(self._outputs, 0 if paused else select.POLLIN)
        if self._input:
            interest[self._stdin] = interest.get(self._stdin, 0) | select.POLLOUT
        return interest

    def serve(self, events: dict[int, int]) -> None:
        """Read and write what can be."""
        for fd in [fd for fd in self._outputs if events.get(fd, 0) & READABLE]:
            self._read(fd)
        if self._input and events.get(self._stdin, 0) & _WRITABLE:
            self._feed()

    def drain(self) -> None:
        """Take what the container wrote before it died; all its writers are gone by now."""
        for fd in list(self._outputs):
            while fd in self._outputs and self._read(fd):
                pass

    def close(self) -> None:
        """Close what is open of a run."""
        for fd in {*self._outputs, self._stdin} - {-1}:
            os.close(fd)
        self._outputs = {}
        self._console = self._stdin = -1
        self._input = []
        self._input_ended = False

    # --- output -----------------------------------------------------------------------------

    def _read(self, fd: int) -> bool:
        """Take one chunk of output; False when there is none now or ever again."""
        try:
            data = os.read(fd, self._chunk)
        except BlockingIOError:
            return False
        except OSError:  # EIO: the terminal's last writer is gone
            data = b""
        stream = self._outputs[fd]
        if not data:
            self._close_output(fd)
            return False
        if len(data) == protocol.CHUNK:
            self._widen(fd)
        self._take(stream, data)
        return True

    def _widen(self, fd: int) -> None:
        """Give a pipe that was full more room: the container and we then take turns less often.

        Not from the start: what a user's pipes may hold together is bounded (pipe(7)).
        """
        self._chunk = _WIDE_CHUNK
        try:
            fcntl.fcntl(fd, _F_SETPIPE_SZ, _WIDE_PIPE)
        except OSError:  # the bound is reached, or it is a terminal
            pass

    def _close_output(self, fd: int) -> None:
        del self._outputs[fd]
        if fd == self._stdin:
            self._stdin = -1
            self._input.clear()
        os.close(fd)

    def stop_reading(self, stream: bytes) -> None:
        """Let the container meet a broken pipe, as nobody reads the stream of that number (a byte)."""
        for fd in [fd for fd, number in self._outputs.items() if bytes([number]) == stream]:
            if fd != self._stdin:
                self._close_output(fd)

    # --- input ------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Hand bytes to the container's stdin, or keep them until it reads."""
        if self._stdin >= 0:
            self._input.append(data)
            self._feed()

    def _feed(self) -> None:
        while self._input and self._stdin >= 0:
            try:
                written = os.write(self._stdin, self._input[0])
            except BlockingIOError:
                return
            except OSError:  # the container closed its end
                self._input.clear()
                self._input_ended = True
                break
            self._input[0] = self._input[0][written:]
            if not self._input[0]:
                del self._input[0]
        if self._input_ended and not self._input:
            self._close_stdin()

    def end_input(self) -> None:
        """Close stdin once the container has read all; a terminal has no end but the one typed into it."""
        if self._console >= 0:
            return
        self._input_ended = True
        if not self._input:
            self._close_stdin()

    def _close_stdin(self) -> None:
        if self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1

    def resize(self, size: bytes) -> None:
        """Set the terminal's rows and columns, two bytes each, big-endian."""
        if self._console in self._outputs:
            rows, columns = size[:2], size[2:4]
            window = rows[::-1] + columns[::-1] + bytes(4)  # struct winsize is in host order
            fcntl.ioctl(self._console, termios.TIOCSWINSZ, window)
