"""Unpack layers in parallel, as root of the user's id map.

    caller (any thread) --- socket: {"ticket", "diffId", "mediaType"} + blob ---> server
    caller (wait)       <-- socket: {"ticket", "warnings"} or an error ---------- server
                                                     server --- fork ---> one child per layer

The server is cloned while the caller still has a single thread, into namespaces of its own: it
has no network, no file system but the descriptors it was given, and as first process of its pid
namespace it takes its children with it. It ends when the caller's socket does, however that
comes about. A child unpacks into a staging directory, verifies the diff_id and publishes.
"""

from __future__ import annotations

import os
import socket
from threading import Lock
from types import TracebackType
from typing import Any

from daemonless import jsonio, syscalls
from daemonless.errors import DaemonlessError, InvalidData, SetupFailed, Unsupported
from daemonless.files import make_private_directory
from daemonless.isolation.userns import IdMap, start_mapped, to_inside
from daemonless.layers import staging, trash
from daemonless.layers.server import MAX_MESSAGE, serve
from daemonless.oci.digest import Digest
from daemonless.oci.image import layer_compression

_ERRORS: dict[str, type[DaemonlessError]] = {
    kind.__name__: kind for kind in (DaemonlessError, InvalidData, SetupFailed, Unsupported)
}


class UnpackPool:
    """Unpacks the blobs it is given into the layer store below `data`.

    Use as a context manager, entered before the first thread is started; `submit` may then be
    called from any thread, `wait` from one at a time. Leaving it stops what is still running,
    and throws away what that has written.
    """

    def __init__(self, data: str, id_map: IdMap) -> None:
        self.warnings: list[str] = []  # of the layers that `wait` has seen finished
        self._data = data
        self._id_map = id_map
        self._lock = Lock()
        self._next_ticket = 0
        self._pending: dict[int, Digest] = {}
        self._pid = 0

    def __enter__(self) -> UnpackPool:
        """Start the server. Raises SetupFailed, or OSError if the data directory is unusable."""
        layers = f"layers/{self._id_map.key}"
        for directory in (layers, "tmp", "trash"):
            make_private_directory(f"{self._data}/{directory}")
        data_fd = os.open(self._data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        staging.sweep(data_fd)
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        owner = (
            _inside(self._id_map.uids, os.geteuid()),
            _inside(self._id_map.gids, os.getegid()),
        )

        def run() -> int:
            return serve(theirs.fileno(), data_fd, layers, self._id_map, owner)

        namespaces = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWPID
        try:
            self._pid = start_mapped(run, self._id_map, namespaces | syscalls.CLONE_NEWIPC)
        except BaseException:
            self._socket.close()
            raise
        finally:
            theirs.close()
            os.close(data_fd)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        os.waitpid(self._pid, 0)
        if kind is not None:
            trash.empty_in_background(self._data)

    def submit(self, blob: str, diff_id: str, media_type: str) -> int:
        """Have the blob at the path `blob` unpacked; return a ticket, and do not wait.

        Raises Unsupported for an unknown media type, OSError if the blob cannot be read.
        """
        compression = layer_compression(media_type)
        digest = Digest(diff_id)
        fd = os.open(blob, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            with self._lock:
                ticket = self._next_ticket
                self._next_ticket += 1
                self._pending[ticket] = digest
                job = {"ticket": ticket, "diffId": digest, "compression": compression}
                socket.send_fds(self._socket, [jsonio.dumps(job).encode()], [fd])
        except (BrokenPipeError, ConnectionResetError):
            raise _server_died() from None
        finally:
            os.close(fd)
        return ticket

    def wait(self) -> None:
        """Wait until everything submitted is unpacked; raise the first error there is.

        Raises InvalidData, Unsupported or SetupFailed about a layer, OSError about the disk.
        """
        while self._pending:
            data = self._receive()
            answer = jsonio.loads(data, what="the unpacker's answer")
            with self._lock:
                diff_id = self._pending.pop(answer["ticket"])
            if "error" in answer:
                raise _error(answer, diff_id)
            self.warnings += [f"layer {diff_id.short}: {line}" for line in answer["warnings"]]

    def _receive(self) -> bytes:
        try:
            data = self._socket.recv(MAX_MESSAGE)
        except ConnectionResetError:
            data = b""
        if not data:
            raise _server_died()
        return data


def _server_died() -> DaemonlessError:
    return DaemonlessError("the process that unpacks layers ended unexpectedly", "is there enough memory?")


def _error(answer: dict[str, Any], diff_id: Digest) -> Exception:
    """Return the exception that a child's answer describes."""
    if answer["error"] == "OSError":
        return OSError(answer["errno"], os.strerror(answer["errno"]))
    kind = _ERRORS.get(answer["error"], DaemonlessError)
    return kind(f"cannot unpack layer {diff_id.short}: {answer['message']}", answer["hint"])


def _inside(ranges: tuple[tuple[int, int, int], ...], number: int) -> int:
    """Return the id inside that stands for the caller."""
    inside = to_inside(ranges, number)
    if inside is None:
        raise SetupFailed(f"the id map leaves out your own id {number}")
    return inside
