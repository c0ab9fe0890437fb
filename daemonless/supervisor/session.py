"""The command's side of an exec: it feeds and drains the new process, its own child, directly."""

from __future__ import annotations

import fcntl
import os
import select
import termios
import tty

from daemonless.files import write_all
from daemonless.isolation.enter import Entered
from daemonless.supervisor.attach import DetachKeys, follow_window, pass_signals_on, wake
from daemonless.supervisor.protocol import CHUNK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Pipes:
    """Standard streams of a process without a terminal: its ends and ours.

    The container never holds the caller's own descriptors: a terminal among them would let it
    type into the caller's shell (CVE-2017-5226).
    """

    def __init__(self, *, interactive: bool, quiet: bool) -> None:
        self.stdin = -1  # our end to write to
        self.outputs: dict[int, int] = {}  # our ends to read from: where their data goes
        if interactive:
            stdin, self.stdin = os.pipe()
        else:
            stdin = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        if quiet:
            out = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
            self.theirs = (stdin, out, out)
            return
        out_read, out = os.pipe()
        err_read, err = os.pipe()
        self.outputs = {out_read: 1, err_read: 2}
        self.theirs = (stdin, out, err)

    def close_theirs(self) -> None:
        """Close the process's ends here, so that their end is seen."""
        for fd in set(self.theirs):
            os.close(fd)


def attend(
    entered: Entered, pipes: Pipes, *, interactive: bool, detach_keys: bytes, left: Callable[[], None]
) -> int | None:
    """Connect this process's streams to the entered process until it ends; return its exit status.

    The detach keys, typed into a terminal, leave the process running: the result is None, and `left`
    is called in the background once it has ended.
    """
    session = _Session(entered, pipes, interactive=interactive, detach_keys=detach_keys, left=left)
    saved = None
    if entered.console >= 0 and interactive and os.isatty(0):
        saved = termios.tcgetattr(0)
        tty.setraw(0)
    try:
        return session.run()
    finally:
        if saved:
            termios.tcsetattr(0, termios.TCSADRAIN, saved)


class _Session:
    def __init__(
        self,
        entered: Entered,
        pipes: Pipes,
        *,
        interactive: bool,
        detach_keys: bytes,
        left: Callable[[], None],
    ) -> None:
        self.keys = DetachKeys(detach_keys if entered.console >= 0 else b"")
        self.left = left
        self.pid = entered.pid
        self.pidfd = os.pidfd_open(entered.pid)
        self.console = entered.console
        self.outputs = {self.console: 1} if self.console >= 0 else dict(pipes.outputs)
        self.stdin = self.console if self.console >= 0 else pipes.stdin
        self.reading = interactive
        self.pending = b""
        for fd in {*self.outputs, self.stdin} - {-1}:
            os.set_blocking(fd, False)
        self.woken = pass_signals_on(self.pidfd)
        if self.console >= 0:
            follow_window(self._copy_size)

    def _copy_size(self, fd: int) -> None:
        size = fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8))
        fcntl.ioctl(self.console, termios.TIOCSWINSZ, size)

    def run(self) -> int | None:
        ended = False
        while not ended:
            poll = select.poll()
            poll.register(self.pidfd, select.POLLIN)
            poll.register(self.woken, select.POLLIN)
            for fd in self.outputs:
                poll.register(fd, select.POLLIN)
            if self.reading and not self.pending:
                poll.register(0, select.POLLIN)
            if self.pending:
                reads = select.POLLIN if self.stdin in self.outputs else 0
                poll.register(self.stdin, select.POLLOUT | reads)
            events = dict(poll.poll())
            ended = self.pidfd in events
            if self.woken in events:
                wake(self.woken)
            for fd in [fd for fd in self.outputs if events.get(fd, 0) & ~select.POLLOUT]:
                self._copy_output(fd)
            if self.pending and self.stdin in events:
                self._feed()
            if 0 in events and self.reading and self._read_input():
                self._leave_running()
                return None
        for fd in list(self.outputs):
            while fd in self.outputs and self._copy_output(fd):
                pass
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code

    def _copy_output(self, fd: int) -> bool:
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # EIO: the terminal's last writer is gone
            data = b""
        if data:
            try:
                write_all(self.outputs[fd], data)
                return True
            except OSError:  # nobody reads our output: let the process see that too
                pass
        del self.outputs[fd]
        if fd != self.console:
            os.close(fd)
        return False

    def _read_input(self) -> bool:
        """Pass on what was typed or piped; True if the detach keys were among it."""
        try:
            data = os.read(0, CHUNK)
        except OSError:
            data = b""
        if not data:
            self.reading = False
            self._close_stdin()
            return False
        self.pending, detached = self.keys.filter(data)
        if self.pending:
            self._feed()
        return detached

    def _leave_running(self) -> None:
        """Keep the terminal open in the background: its last master's end would hang it up."""
        if os.fork():
            return
        try:
            os.setsid()
            os.set_blocking(self.console, True)
            null = os.open("/dev/null", os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(null, number)
            try:
                while os.read(self.console, CHUNK):
                    pass
            except OSError:  # EIO: the terminal's last writer is gone
                pass
            poll = select.poll()
            poll.register(self.pidfd, select.POLLIN)
            poll.poll()
            self.left()
        finally:
            os._exit(0)

    def _feed(self) -> None:
        try:
            self.pending = self.pending[os.write(self.stdin, self.pending) :]
        except BlockingIOError:
            return
        except OSError:  # the process closed its end
            self.pending = b""
            self.reading = False
            self._close_stdin()

    def _close_stdin(self) -> None:
        if self.stdin >= 0 and self.stdin != self.console:
            os.close(self.stdin)
            self.stdin = -1
