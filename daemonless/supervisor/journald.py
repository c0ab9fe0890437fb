"""The log driver journald: each line of output becomes an entry of systemd's journal.

The protocol is systemd's native one (https://systemd.io/JOURNAL_NATIVE_PROTOCOL): an entry is a
datagram of fields; one that is too large for a datagram comes in a sealed memfd. The journal is
somebody else's program: it may be slow, hang, or be restarted. A container waits for it as it would
for a disk, but only while it goes on taking entries; from then on lines are lost until it takes one.
"""

from __future__ import annotations

import _socket
import fcntl
import os
import select
import sys
import termios
import time

from daemonless.errors import SetupFailed
from daemonless.supervisor.logs import STDERR, STDOUT, Log

SOCKET = "/run/systemd/journal/socket"
_PATIENCE = 1.0  # seconds for it to take one entry
_LONGEST = 10.0  # seconds for all of a chunk
_PRIORITIES = {STDOUT: 6, STDERR: 3}  # of syslog(3): info and err
_WARNING = 4
_F_ADD_SEALS = 1033
_ALL_SEALS = 1 | 2 | 4 | 8  # no more seals, shrinking, growing, writing


def has_journal(path: str = SOCKET) -> bool:
    """Whether there is a journal to log to."""
    return os.access(path, os.W_OK)


def encode(fields: dict[str, str]) -> bytes:
    """Return fields as the protocol has them; a value with newlines is preceded by its length."""
    encoded = []
    for name, text in fields.items():
        value = text.encode("utf-8", "surrogateescape")
        if b"\n" in value:
            encoded.append(b"%s\n%s%s\n" % (name.encode(), len(value).to_bytes(8, "little"), value))
        else:
            encoded.append(b"%s=%s\n" % (name.encode(), value))
    return b"".join(encoded)


class JournalLog(Log):
    """Send output to the journal at `path`; `fields` go with each entry.

    Raises SetupFailed if there is none.
    """

    def __init__(self, fields: dict[str, str], path: str = SOCKET, patience: float = _PATIENCE) -> None:
        common = encode(fields)
        self._heads = {
            stream: b"%sPRIORITY=%d\n" % (common, priority) for stream, priority in _PRIORITIES.items()
        }
        self._warning = b"%sPRIORITY=%d\n" % (common, _WARNING)
        self._path = path
        self._patience = patience
        self._lost = 0  # lines, since it last took one
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise SetupFailed(
                f"cannot log to the journal at {path}: {error.strerror}",
                "is systemd-journald running? Containers with another --log-driver need none",
            ) from error

    def write(self, stream: int, data: bytes) -> None:
        """Log one chunk of output, a line an entry; one that goes on in the next is marked as docker does."""
        deadline = time.monotonic() + _LONGEST
        head = self._heads[stream] + b"MESSAGE="
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._log(head + line + b"\n", deadline)
        if rest:
            head = self._heads[stream] + b"CONTAINER_PARTIAL_MESSAGE=true\nMESSAGE="
            self._log(head + rest + b"\n", deadline)

    def close(self) -> None:
        """Return once the journal has all entries, so that whoever hears of the end can read them.

        It ignores an empty datagram, which it takes only when it is done with those before.
        """
        if not self._lost and self._send(b"", time.monotonic() + self._patience):
            deadline = time.monotonic() + self._patience
            while self._unread() and time.monotonic() < deadline:
                time.sleep(0.001)
        self._socket.close()

    def _unread(self) -> int:
        """Return how many bytes the journal has still to take (unix(7), SIOCOUTQ)."""
        return int.from_bytes(fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)

    def _log(self, entry: bytes, deadline: float) -> None:
        if not self._send(entry, 0.0 if self._lost else deadline):
            self._lost += 1
        elif self._lost:
            note = f"MESSAGE=daemonless: {self._lost} lines are lost here, which the journal did not take\n"
            if self._send(self._warning + note.encode(), 0.0):
                self._lost = 0

    def _send(self, entry: bytes, deadline: float) -> bool:
        """Send a datagram, waiting for room until `deadline` (monotonic); return whether it was taken."""
        reconnected = False
        while True:
            try:
                self._socket.send(entry, _socket.MSG_DONTWAIT)
                return True
            except BlockingIOError:
                if not self._wait_for_room(deadline):
                    return False
            except (ConnectionError, FileNotFoundError):  # it was restarted, or is not there
                if reconnected or not self._reconnect():
                    return False
                reconnected = True
            except OSError as error:
                if error.errno not in (90, 105):  # EMSGSIZE, ENOBUFS: too large for a datagram
                    return False
                return self._send_file(entry, deadline)

    def _wait_for_room(self, deadline: float) -> bool:
        left = min(deadline - time.monotonic(), self._patience)
        if left <= 0:
            return False
        poll = select.poll()
        poll.register(self._socket.fileno(), select.POLLOUT)
        return bool(poll.poll(left * 1000))

    def _reconnect(self) -> bool:
        try:
            self._socket.connect(self._path)
        except OSError:
            return False
        return True

    def _send_file(self, entry: bytes, deadline: float) -> bool:
        try:
            fd = os.memfd_create("journal-entry", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        except OSError:
            return False
        try:
            os.write(fd, entry)
            fcntl.fcntl(fd, _F_ADD_SEALS, _ALL_SEALS)
            rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(4, sys.byteorder))]
            while True:
                try:
                    self._socket.sendmsg([b""], rights, _socket.MSG_DONTWAIT)
                    return True
                except BlockingIOError:
                    if not self._wait_for_room(deadline):
                        return False
        except OSError:
            return False
        finally:
            os.close(fd)
