"""The conversation between the two halves of a start.

    launch (supervisor)                    init (becomes the container's process)
      clone3 ──────────────────────────────▶
      write id maps
      MAPPED ──────────────────────────────▶ become root of the namespace
      start the network helper               mounts, devices, host name
             ◀────────────── CONSOLE + the pty's master, only with a terminal
             ◀────────────── READY           in the new root; nothing left but the last steps
      network ready, state recorded
      START ───────────────────────────────▶ drop privileges, execve
             ◀────────────── end of file     execve succeeded: the socket is close-on-exec
             ◀────────────── FAILED          at any time: what failed; init then exits

Messages are packets: one byte of kind, then the payload. Either side treats an unexpected kind
as a failure of the other.
"""

from __future__ import annotations

import _socket
import os

from daemonless import jsonio
from daemonless.errors import CommandNotExecutable, CommandNotFound, DaemonlessError, SetupFailed

MAPPED = b"M"
CONSOLE = b"C"
READY = b"R"
START = b"S"
FAILED = b"F"

_LIMIT = 65536


class Channel:
    """One end of the conversation."""

    def __init__(self, socket: _socket.socket) -> None:
        self._socket = socket
        self.fileno = socket.fileno

    def send(self, kind: bytes, payload: bytes = b"", fd: int = -1) -> None:
        """Send one message, with a descriptor if `fd` is one."""
        ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(4, "little"))] if fd >= 0 else []
        self._socket.sendmsg([kind + payload], ancillary)

    def receive(self) -> tuple[bytes, bytes, int]:
        """Return kind, payload and descriptor (or -1); kind is empty at the end of the stream."""
        data, ancillary, _, _ = self._socket.recvmsg(_LIMIT, 64, _socket.MSG_CMSG_CLOEXEC)
        fd = int.from_bytes(ancillary[0][2][:4], "little") if ancillary else -1
        return data[:1], data[1:], fd

    def close(self) -> None:
        """Close this end."""
        self._socket.close()


def channel_pair() -> tuple[Channel, Channel]:
    """Return the two ends; both are close-on-exec."""
    left, right = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    return Channel(left), Channel(right)


def pack_error(error: BaseException, step: str) -> bytes:
    """Describe `error`, met during `step`, for the other side; needs no import and no codec."""
    if isinstance(error, DaemonlessError):
        message, hint, status = error.message, error.hint, error.exit_status
    elif isinstance(error, OSError):
        name = error.filename
        if isinstance(name, bytes):
            name = name.decode("utf-8", "surrogateescape")
        about = f" {name}" if name else ""
        message = f"cannot {step}{about}: {os.strerror(error.errno or 0)}"
        hint, status = "", 125
    else:
        message, hint, status = f"cannot {step}: {type(error).__name__}: {error}", "", 125
    return jsonio.dumps({"message": message, "hint": hint, "status": status}).encode("ascii")


def unpack_error(payload: bytes) -> DaemonlessError:
    """Return the error described by a FAILED message."""
    said = jsonio.loads(payload, what="message of the container's init")
    kind = {126: CommandNotExecutable, 127: CommandNotFound}.get(said["status"], SetupFailed)
    return kind(said["message"], said["hint"])
