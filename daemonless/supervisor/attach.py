"""The command's side of an attached container: terminal, streams, signals, exit status."""

from __future__ import annotations

import _signal
import _socket
import fcntl
import os
import select
import sys
import termios
import tty

from daemonless import jsonio
from daemonless.errors import DaemonlessError, NotFound
from daemonless.files import write_all
from daemonless.isolation.sync import unpack_error
from daemonless.record import Record
from daemonless.supervisor import protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

DETACHED = -1  # in place of an exit status
_SIGINT, _SIGKILL, _SIGWINCH = 2, 9, 28
# all that can be caught but job control, faults, SIGCHLD, SIGPIPE and the terminal's own
_PROXIED_SIGNALS = (1, 2, 3, 10, 12, 14, 15)


class Streams(Record):
    """How a command takes part in a container."""

    terminal: bool = False
    stdin: bool = False
    shown: tuple[int, ...] = (1, 2)  # which of the output streams
    detach_keys: bytes = b""
    proxy_signals: bool = True


def connect(run_directory: str) -> _socket.socket:
    """Connect to the supervisor of the container; raises NotFound if none is there.

    The socket is reached through a descriptor of its directory, because an address holds no
    more than 108 bytes.
    """
    socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    try:
        directory = os.open(run_directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            socket.connect(f"/proc/self/fd/{directory}/{protocol.SOCKET_NAME}")
        finally:
            os.close(directory)
    except OSError:
        socket.close()
        raise NotFound("the container is not running") from None
    return socket


def kill_supervisor(run_directory: str) -> None:
    """Kill the supervisor, and with it the container; raises NotFound if none listens.

    The kernel tells whose socket it is (SO_PEERCRED, unix(7)); no file has to be believed.
    """
    socket = connect(run_directory)
    pid = int.from_bytes(socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)[:4], sys.byteorder)
    try:
        # opened while the connection stands, so that it is the listener's process and no successor's
        pidfd = os.pidfd_open(pid)
        hung_up = select.poll()
        hung_up.register(socket.fileno(), 0)  # POLLHUP needs no asking
        if not hung_up.poll(0):
            _signal.pidfd_send_signal(pidfd, _SIGKILL)
        os.close(pidfd)
    except OSError:
        pass  # it has just ended
    finally:
        socket.close()


def wait_ready(socket: _socket.socket) -> int:
    """Return the pid of the container's process once it runs; raises what the start reported."""
    packet = socket.recv(protocol.CHUNK + 1)
    if packet[:1] == protocol.READY:
        pid: int = jsonio.loads(packet[1:])["pid"]
        return pid
    if packet[:1] == protocol.FAILED:
        raise unpack_error(packet[1:])
    raise DaemonlessError("the supervisor ended while it started the container", "see --log-level debug")


def wait_exit(socket: _socket.socket) -> dict[str, Any] | None:
    """Wait without taking part; return the exit record, or None if the supervisor was killed."""
    socket.send(protocol.WATCH)
    while packet := socket.recv(protocol.CHUNK + 1):
        if packet[:1] == protocol.EXIT:
            record: dict[str, Any] = jsonio.loads(packet[1:])
            return record
    return None


def probe(socket: _socket.socket) -> int | None:
    """Have the container's health checked now; return the exit status of the check.

    None if there was nothing to check, or the container has ended.
    """
    socket.send(protocol.WATCH)
    socket.send(protocol.PROBE)
    while packet := socket.recv(protocol.CHUNK + 1):
        if packet[:1] == protocol.HEALTH:
            result = jsonio.loads(packet[1:])
            return None if result is None else int(result["exitCode"])
        if packet[:1] == protocol.EXIT:
            break
    return None


def take_part(socket: _socket.socket, pidfd: int, streams: Streams) -> int:
    """Connect this process's standard streams to the container until it ends.

    Returns its exit status, or DETACHED. `pidfd` takes the signals this process gets.
    """
    terminal = streams.terminal and streams.stdin and os.isatty(0)
    saved = termios.tcgetattr(0) if terminal else None
    session = _Session(socket, pidfd, streams)
    try:
        if terminal:
            tty.setraw(0)
        if streams.terminal:
            follow_window(session.send_size)
        return session.run()
    finally:
        if saved:
            termios.tcsetattr(0, termios.TCSADRAIN, saved)


def hold_signals(*, but_interrupt: bool = False) -> None:
    """Have the signals that are passed on wait until there is a process to pass them to.

    With `but_interrupt` SIGINT still ends what goes before, which may take long.
    """
    numbers = [number for number in _PROXIED_SIGNALS if number != _SIGINT or not but_interrupt]
    _signal.pthread_sigmask(_signal.SIG_BLOCK, numbers)


def pass_signals_on(pidfd: int) -> int:
    """Hand the signals this process gets, and those held, to the process of `pidfd` from now on.

    Returns what to poll beside everything else, and to `wake` from: a signal that comes just before
    poll(2) does not interrupt it, and its handler would wait as long as nothing else happens. A process
    that has ended already, -1 among them, gets none.
    """

    def proxy(number: int, _frame: object) -> None:
        try:
            if pidfd >= 0:
                _signal.pidfd_send_signal(pidfd, number)
        except ProcessLookupError:
            pass

    for number in _PROXIED_SIGNALS:
        _signal.signal(number, proxy)
    woken, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    _signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, _PROXIED_SIGNALS)
    return woken


def wake(woken: int) -> None:
    """Empty what `pass_signals_on` returned: the handlers have run."""
    try:
        while os.read(woken, 512):
            pass
    except BlockingIOError:
        pass


def follow_window(copy_size: Callable[[int], None]) -> None:
    """Call `copy_size` with the descriptor of this terminal, now and whenever its size changes."""
    for fd in (0, 1, 2):
        if os.isatty(fd):
            copy_size(fd)
            _signal.signal(_SIGWINCH, lambda _number, _frame, fd=fd: copy_size(fd))
            return


class DetachKeys:
    """Finds the detach keys in what is typed, and holds back only a beginning of them."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._matched = 0

    def filter(self, data: bytes) -> tuple[bytes, bool]:
        """Return what to pass on, and whether the whole sequence was typed."""
        if not self._keys:
            return data, False
        passed = bytearray()
        for byte in data:
            if byte != self._keys[self._matched] and self._matched:
                passed += self._keys[: self._matched]
                self._matched = 0
            if byte != self._keys[self._matched]:
                passed.append(byte)
                continue
            self._matched += 1
            if self._matched == len(self._keys):
                self._matched = 0
                return bytes(passed), True
        return bytes(passed), False


class _Session:
    def __init__(self, socket: _socket.socket, pidfd: int, streams: Streams) -> None:
        self.socket = socket
        self.streams = streams
        self.reading = streams.stdin
        self.pending = b""  # a packet of input the supervisor has no room for yet
        self.keys = DetachKeys(streams.detach_keys if streams.terminal else b"")
        self.status: int | None = None
        socket.setblocking(False)
        self.woken = pass_signals_on(pidfd) if streams.proxy_signals else -1

    def send_size(self, fd: int) -> None:
        """Give the container the size of the terminal `fd`."""
        size = fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8))
        try:
            self.socket.send(protocol.RESIZE + size[1::-1] + size[3:1:-1])
        except OSError:
            pass

    def run(self) -> int:
        poll = select.poll()
        if self.woken >= 0:
            poll.register(self.woken, select.POLLIN)
        while self.status is None:
            poll.register(self.socket.fileno(), select.POLLIN | (select.POLLOUT if self.pending else 0))
            if self.reading and not self.pending:
                poll.register(0, select.POLLIN)
            elif self.streams.stdin:
                try:
                    poll.unregister(0)
                except KeyError:
                    pass
            events = dict(poll.poll())
            if self.woken in events:
                wake(self.woken)
            if self.pending and events.get(self.socket.fileno(), 0) & select.POLLOUT:
                self._send_input(self.pending)
            if events.get(self.socket.fileno(), 0) & ~select.POLLOUT:
                self._receive()
            if 0 in events and self._read_input():
                return DETACHED
        return self.status

    def _receive(self) -> None:
        try:
            packet = self.socket.recv(protocol.CHUNK + 1)
        except BlockingIOError:
            return
        kind, payload = packet[:1], packet[1:]
        if kind in (protocol.STDOUT, protocol.STDERR):
            self._write(1 if kind == protocol.STDOUT else 2, payload)
        elif kind == protocol.EXIT:
            record = jsonio.loads(payload)
            self.status = record["exitCode"]
            if record["oomKilled"]:
                os.write(2, b"Warning: the container ran out of memory, and a process of it was killed\n")
        elif not kind:
            raise DaemonlessError(
                "the connection to the container's supervisor is lost",
                "it was killed, or nothing was read here for too long; see daemonless ps --all",
            )

    def _write(self, fd: int, data: bytes) -> None:
        if fd not in self.streams.shown:
            return
        try:
            write_all(fd, data)
        except BlockingIOError:  # somebody made our output non-blocking
            os.set_blocking(fd, True)
            self._write(fd, data)
        except OSError:  # EPIPE, or a terminal that is gone: nobody reads this stream any more
            try:
                self.socket.send(protocol.BROKEN + bytes([fd]))
            except OSError:
                pass

    def _read_input(self) -> bool:
        """Pass on what was typed or piped; True if it holds the detach keys."""
        try:
            data = os.read(0, protocol.CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self.reading = False
            self._send_input(b"")
            return False
        data, detached = self.keys.filter(data)
        if data:
            self._send_input(protocol.INPUT + data)
        return detached

    def _send_input(self, packet: bytes) -> None:
        """Send a packet of input (empty: its end), or keep it until the supervisor has room."""
        self.pending = packet or protocol.CLOSE
        try:
            self.socket.send(self.pending)
        except BlockingIOError:
            return
        except OSError:
            self.reading = False
        self.pending = b""
