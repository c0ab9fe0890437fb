"""The process that unpacks, and its children: the other side of `daemonless.layers.worker`.

Everything is imported before `_confine`, by the caller's own ids; after that there is no file system
to import from.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import sys
from collections import deque
from typing import Any

from daemonless import jsonio, syscalls
from daemonless.errors import DaemonlessError, InvalidData
from daemonless.isolation.userns import IdMap
from daemonless.layers.decompress import decompress
from daemonless.layers.jobs import MAX_MESSAGE, failure
from daemonless.layers.staging import Staging
from daemonless.layers.unpack import unpack
from daemonless.oci.digest import Digest, new_hash

_THREAD_FROM = 4 << 20  # bytes of a blob: below, a second thread costs more than it saves
_RESERVE = 32 << 20  # bytes to leave free on the disk
_CPU_SECONDS = 4 * 3600  # of one layer
_MEMORY = 1 << 30  # bytes of one child: eight times the largest zstd window
_DESCRIPTORS = 4096


class _Job:
    """A layer to unpack, and the child at it."""

    def __init__(self, message: dict[str, Any], blob_fd: int) -> None:
        self.ticket: int = message["ticket"]
        self.diff_id = Digest(message["diffId"])
        self.compression: str = message["compression"]
        self.blob_fd = blob_fd
        self.pid = 0
        self.answer_fd = -1
        self.staging: Staging | None = None


def serve(socket_fd: int, data_fd: int, layers: str, id_map: IdMap, owner: tuple[int, int]) -> int:
    """Unpack what is asked for until the caller's end of the socket is closed."""
    socket_fd, data_fd = _confine(socket_fd, data_fd)
    return _Server(socket_fd, data_fd, layers, id_map, owner).run()


def _confine(socket_fd: int, data_fd: int) -> tuple[int, int]:
    """Give up all that unpacking does not need; return the descriptors' new numbers."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(ignored, signal.SIG_IGN)  # the caller decides, by closing its socket
    new_hash("sha256")  # imports hashlib, and OpenSSL reads its configuration
    null = os.open("/dev/null", os.O_RDWR)
    high = [os.dup(socket_fd), os.dup(data_fd)]  # out of the way of what follows
    for number, fd in enumerate((null, null, null, *high)):
        if fd != number:
            os.dup2(fd, number, inheritable=False)
    syscalls.close_range(5)
    # The root becomes an empty file system that nothing can be added to.
    empty = syscalls.fsopen(b"tmpfs")
    syscalls.fsconfig(empty, syscalls.FSCONFIG_CMD_CREATE)
    root = syscalls.fsmount(empty, syscalls.MOUNT_ATTR_RDONLY | syscalls.MOUNT_ATTR_NOEXEC)
    os.fchdir(root)
    os.chroot(".")
    os.close(root)
    os.close(empty)
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_CPU, _CPU_SECONDS)
    _limit(resource.RLIMIT_DATA, _MEMORY)
    _limit(resource.RLIMIT_NOFILE, _DESCRIPTORS)
    return 3, 4


def _limit(which: int, value: int) -> None:
    """Lower a limit to `value`, or to the hard limit if that is lower still."""
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


class _Server:
    def __init__(
        self, socket_fd: int, data_fd: int, layers: str, id_map: IdMap, owner: tuple[int, int]
    ) -> None:
        self._socket = socket.socket(fileno=socket_fd)
        self._socket.setblocking(False)
        self._data_fd = data_fd
        self._layers = layers
        self._id_map = id_map
        self._owner = owner
        self._waiting: deque[_Job] = deque()
        self._running: dict[int, _Job] = {}  # by the descriptor of the child's answer
        self._outbox: deque[bytes] = deque()  # never a blocking send: the caller may be sending too
        self._at_once = len(os.sched_getaffinity(0))

    def run(self) -> int:
        poll = select.poll()
        while True:
            while self._waiting and len(self._running) < self._at_once:
                job = self._waiting.popleft()
                if self._start(job):
                    poll.register(job.answer_fd, select.POLLIN)
            poll.register(self._socket, select.POLLIN | (select.POLLOUT if self._outbox else 0))
            for fd, events in poll.poll():
                if fd in self._running:
                    poll.unregister(fd)
                    self._finish(self._running.pop(fd))
                elif events & select.POLLHUP:
                    return self._stop()  # killed, perhaps with an answer still unsent
                elif events & select.POLLOUT:
                    self._send()
                elif not self._receive():
                    return self._stop()

    def _receive(self) -> bool:
        """Take one job; return False when the caller is gone."""
        try:
            data, fds, _, _ = socket.recv_fds(self._socket, MAX_MESSAGE, 1)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        if not data:
            return False
        self._waiting.append(_Job(jsonio.loads(data, what="the job"), fds[0]))
        return True

    def _send(self) -> None:
        try:
            self._socket.send(self._outbox[0])
        except (BlockingIOError, BrokenPipeError):
            return  # a closed socket is seen by the next poll
        self._outbox.popleft()

    def _start(self, job: _Job) -> bool:
        """Fork the child that unpacks; return whether there is one."""
        try:
            job.staging = Staging(self._data_fd, self._owner)
            job.answer_fd, write_fd = os.pipe()
        except OSError as error:
            self._outbox.append(failure(job.ticket, error))
            return False
        job.pid = os.fork()
        if job.pid == 0:
            try:
                answer = _unpack(job, job.staging, self._data_fd, self._layers, self._id_map)
                os.write(write_fd, answer)
            finally:
                os._exit(0)
        os.close(write_fd)
        os.close(job.blob_fd)
        self._running[job.answer_fd] = job
        return True

    def _finish(self, job: _Job) -> None:
        """Pass on the child's answer, or say that it died without one."""
        answer = os.read(job.answer_fd, MAX_MESSAGE)
        os.close(job.answer_fd)
        if answer:
            self._outbox.append(answer)
            self._send()  # at once: the child takes a millisecond to end
        _, status = os.waitpid(job.pid, 0)
        if not answer:
            ended = f"ended by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "ended early"
            error = DaemonlessError(f"the unpacking process {ended}", "is memory short?")
            self._outbox.append(failure(job.ticket, error))
        assert job.staging is not None
        job.staging.discard()  # published, it is not there any more
        job.staging.close()

    def _stop(self) -> int:
        """Kill the children and throw away what they have written."""
        for job in self._running.values():
            os.kill(job.pid, signal.SIGKILL)
        for job in self._running.values():
            os.waitpid(job.pid, 0)
            assert job.staging is not None
            job.staging.discard()
        return 0


def _unpack(job: _Job, staged: Staging, data_fd: int, layers: str, id_map: IdMap) -> bytes:
    """Unpack, verify and publish one layer; return the answer to the caller."""
    try:
        sys.setswitchinterval(0.0005)  # two threads with many short system calls (read_ahead)
        free = os.fstatvfs(data_fd)
        budget = max(0, free.f_bavail * free.f_frsize - _RESERVE)
        _limit(resource.RLIMIT_FSIZE, budget)  # Python ignores SIGXFSZ; the write fails with EFBIG
        unpacked = unpack(
            decompress(job.blob_fd, job.compression, budget),
            staged.diff_fd,
            staged.attic_fd,
            id_map,
            budget=budget,
            algorithm=job.diff_id.algorithm,
            threaded=os.fstat(job.blob_fd).st_size >= _THREAD_FROM,
        )
        if unpacked.diff_id != job.diff_id:
            raise InvalidData(
                f"its content is {unpacked.diff_id}, not what the image's config says",
                "the image is damaged, or was put together wrongly",
            )
        staged.publish(layers, job.diff_id, unpacked)
    except (DaemonlessError, OSError, MemoryError) as error:
        return failure(job.ticket, error)
    except Exception as error:  # a fault of ours: named, without a traceback that would read files
        return failure(job.ticket, DaemonlessError(f"internal error: {type(error).__name__}: {error}"))
    return jsonio.dumps({"ticket": job.ticket, "warnings": list(unpacked.warnings)}).encode()
