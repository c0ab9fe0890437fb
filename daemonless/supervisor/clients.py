"""The supervisor's side of an attached command.

Output for a command that does not read is kept up to QUEUE_LIMIT; then the container waits, as it
would for the reader of a pipe. The command that started the container in the foreground may keep it
waiting: the two are a pipeline. Any other is dropped when it has not taken anything for PATIENCE
seconds, and the container goes on without it.
"""

from __future__ import annotations

import _socket
import time

QUEUE_LIMIT = 1 << 20  # bytes
PATIENCE = 10.0  # seconds
_OVERHEAD = 64  # bytes that a packet costs beside its content


class Client:
    """One attached command: its socket, what it has not taken yet, and whether it wants output."""

    def __init__(self, socket: _socket.socket, *, may_hold_up: bool = False) -> None:
        socket.setblocking(False)
        self.socket = socket
        self.pending: list[bytes] = []
        self.watches_only = False
        self.may_hold_up = may_hold_up  # it started the container in the foreground
        self._kept = 0  # bytes in `pending`
        self._deadline = 0.0  # monotonic; 0 while it keeps up

    @property
    def is_behind(self) -> bool:
        """Whether it must read before there is room for more output."""
        return self._kept >= QUEUE_LIMIT

    @property
    def deadline(self) -> float:
        """When it is dropped unless it reads (monotonic seconds), or 0."""
        return self._deadline

    def send(self, packet: bytes) -> bool:
        """Send, or keep for later what does not fit; False once the client is gone."""
        if not self.pending:
            try:
                self.socket.send(packet)
                return True
            except BlockingIOError:
                pass
            except OSError:
                return False
        self.pending.append(packet)
        self._kept += len(packet) + _OVERHEAD
        if self.is_behind and not self._deadline and not self.may_hold_up:
            self._deadline = time.monotonic() + PATIENCE
        return True

    def flush(self) -> bool:
        """Send what was kept; False once the client is gone."""
        sent = 0
        try:
            while sent < len(self.pending):
                self.socket.send(self.pending[sent])
                self._kept -= len(self.pending[sent]) + _OVERHEAD
                sent += 1
        except BlockingIOError:
            pass
        except OSError:
            return False
        if sent:
            del self.pending[:sent]
            self._deadline = time.monotonic() + PATIENCE if self._deadline and self.is_behind else 0.0
        return True

    def send_rest(self, seconds: float | None) -> None:
        """Send what was kept, waiting for each packet at most so long (None: as long as it takes)."""
        self.socket.settimeout(seconds)
        try:
            for packet in self.pending:
                self.socket.send(packet)
        except OSError:  # it is gone or does not read; the exit record is on disk
            pass
