"""Unpack layers in parallel, as root of the user's id map.

    caller (any thread) --- socket: a job and its blob ---> server
    caller (wait)       <-- socket: an answer ------------- server
                                server --- fork ---> one child per layer

The server is cloned while the caller still has a single thread, into namespaces of its own: it
has no network, no file system but the descriptors it was given, and as first process of its pid
namespace it takes its children with it. It ends when the caller's socket does, however that
comes about. A child unpacks into a staging directory, verifies the diff_id and publishes.

It gets ready by itself: its ids are mapped, and it imports what it needs, on a second core, while
the caller goes on.
"""

from __future__ import annotations

import os
import socket
from threading import Lock
from types import TracebackType

from daemonless import jsonio, syscalls
from daemonless.errors import DaemonlessError
from daemonless.files import make_private_directory
from daemonless.isolation.userns import IdMap, MappedChild, to_inside
from daemonless.layers import staging, trash
from daemonless.layers.jobs import MAX_MESSAGE, reported
from daemonless.oci.digest import Digest, new_hash
from daemonless.oci.image import layer_compression


class UnpackPool:
    """Unpacks the blobs it is given into the layer store below `data`.

    Use as a context manager, entered before the first thread is started; `submit` may then be
    called from any thread, `wait` from one at a time. Leaving it stops what is still running,
    and throws away what that has written.
    """

    def __init__(self, data: str, id_map: IdMap) -> None:
        self.warnings: list[str] = []  # of the layers that `wait` has seen finished
        self._data = data
        self.id_map = id_map
        self._lock = Lock()
        self._next_ticket = 0
        self._pending: dict[int, Digest] = {}
        self._runs = False

    def __enter__(self) -> UnpackPool:
        """Make the server. Raises SetupFailed, or OSError if the data directory is unusable."""
        layers = f"layers/{self.id_map.key}"
        for directory in (layers, "tmp", "trash"):
            make_private_directory(f"{self._data}/{directory}")
        data_fd = os.open(self._data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        staging.sweep(data_fd)
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        reaching = self.id_map.with_own(os.geteuid(), os.getegid())
        uid, gid = to_inside(reaching.uids, os.geteuid()), to_inside(reaching.gids, os.getegid())
        assert uid is not None and gid is not None  # with_own has seen to it

        def run() -> int:
            from daemonless.layers.server import serve  # noqa: PLC0415 - see _load_server

            return serve(theirs.fileno(), data_fd, layers, self.id_map, (uid, gid))

        namespaces = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWPID
        try:
            self._server = MappedChild(run, reaching, namespaces | syscalls.CLONE_NEWIPC, _load_server)
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
        self._server.kill()  # if it was not needed
        if self._runs:
            os.waitpid(self._server.pid, 0)
        if kind is not None:
            trash.empty_in_background(self._data)

    def start(self) -> None:
        """Have it run, as the first `submit` does otherwise. Raises SetupFailed if there can be none."""
        with self._lock:
            if not self._runs:
                self._server.go()
                self._runs = True

    def submit(self, blob: str, diff_id: str, media_type: str) -> int:
        """Have the blob at the path `blob` unpacked; return a ticket, and do not wait.

        Raises Unsupported for an unknown media type, OSError if the blob cannot be read, SetupFailed
        if there can be no unpacker.
        """
        compression = layer_compression(media_type)
        digest = Digest(diff_id)
        fd = os.open(blob, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            self.start()
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

        Raises InvalidData or Unsupported about a layer, OSError about the disk.
        """
        while self._pending:
            data = self._receive()
            answer = jsonio.loads(data, what="the unpacker's answer")
            with self._lock:
                diff_id = self._pending.pop(answer["ticket"])
            if "error" in answer:
                raise reported(answer, diff_id)
            self.warnings += [f"layer {diff_id.short}: {line}" for line in answer["warnings"]]

    def _receive(self) -> bytes:
        try:
            data = self._socket.recv(MAX_MESSAGE)
        except ConnectionResetError:
            data = b""
        if not data:
            raise _server_died()
        return data


def _load_server() -> None:
    import daemonless.layers.server  # noqa: F401, PLC0415 - the caller needs none of what it imports

    new_hash("sha256")  # which takes 2 ms when it is first asked for


def _server_died() -> DaemonlessError:
    return DaemonlessError("the process that unpacks layers ended unexpectedly", "is there enough memory?")
