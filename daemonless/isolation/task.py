"""A function in a forked child: its result, or its exception, comes back to the caller.

For work that needs other credentials than the command has: the child enters a user namespace and
ends with its task. It dies with its caller (PR_SET_PDEATHSIG), and a caller that is interrupted
kills it, so nothing outlives the command. Descriptors opened before are usable in the child.
"""

from __future__ import annotations

import _signal
import os

from daemonless import errors, jsonio
from daemonless import syscalls as sc
from daemonless.errors import DaemonlessError, SetupFailed
from daemonless.files import write_all
from daemonless.isolation.userns import IdMap, start_mapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

_LIMIT = 1 << 30  # bytes of a result: a list of changes names every file of a large tree


class Task:
    """A running child; as a context manager it is gone on exit, whatever happened."""

    def __init__(self, work: Callable[[], Any], fork: Callable[[Callable[[], int]], int]) -> None:
        """Run `work` in the child that `fork` makes of a function returning an exit status."""
        caller = os.getpid()
        self._answer, write_end = os.pipe()

        def run() -> int:
            _signal.signal(_signal.SIGINT, _signal.SIG_IGN)  # the caller decides, and kills us
            os.close(self._answer)
            die_with(caller)
            try:
                answer = jsonio.dumps({"value": work()})
            except BaseException as error:
                answer = jsonio.dumps({"error": _describe(error)})
            write_all(write_end, answer.encode("ascii"))
            return 0

        try:
            self._pid = fork(run)
        except BaseException:
            os.close(self._answer)
            raise
        finally:
            os.close(write_end)

    def fileno(self) -> int:
        """Return a descriptor that can be read from (poll(2)) when the result is there."""
        return self._answer

    def wait(self) -> Any:
        """Return what the function returned (a JSON value), or raise what it raised.

        DaemonlessError and OSError arrive as what they were; anything else as a DaemonlessError.
        """
        parts = []
        while part := os.read(self._answer, 1 << 16):
            parts.append(part)
        self.stop()
        if not parts:
            raise SetupFailed("a process working in the container's files ended unexpectedly")
        answer = jsonio.loads(b"".join(parts), what="answer of a child", limit=_LIMIT)
        if "error" in answer:
            raise _rebuild(answer["error"])
        return answer["value"]

    def stop(self) -> None:
        """Kill the child if it still runs, and reap it."""
        if self._pid:
            os.kill(self._pid, _signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0
            os.close(self._answer)

    def __enter__(self) -> Task:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def received(sender: Task, pipe: int, receive: Callable[[], list[str]]) -> list[str]:
    """Have `receive` read what a task writes to the pipe that ends in `pipe`, and close that.

    Returns the lines that the task returns, then those of `receive`. If both fail, the sender's error
    is raised: it knows better why the stream was bad.
    """
    with sender:
        try:
            told = receive()
        except Exception:
            os.close(pipe)
            try:
                sender.wait()
            except BrokenPipeError:
                pass
            raise
        os.close(pipe)
        return [*sender.wait(), *told]


def fork_plain(run: Callable[[], int]) -> int:
    """Fork a child that keeps its credentials and namespaces; return its pid."""
    pid = os.fork()
    if pid == 0:
        status = 125
        try:
            status = run()
        finally:
            os._exit(status)
    return pid


def mapped(work: Callable[[], Any], id_map: IdMap, flags: int = 0) -> Task:
    """Start a task as root of a new user namespace, with the other new namespaces of `flags`.

    It is root before the task begins, so that what Task says of the caller's death holds without more.
    The caller is mapped even if `id_map` leaves it out.
    """
    id_map = id_map.with_own(os.getuid(), os.getgid())
    return Task(work, lambda run: start_mapped(run, id_map, flags))


def die_with(caller: int) -> None:
    """Have the kernel kill this process when its parent ends; to be repeated after every setuid or setns."""
    sc.prctl(sc.PR_SET_PDEATHSIG, _signal.SIGKILL)
    if os.getppid() != caller:
        os._exit(125)


def _describe(error: BaseException) -> dict[str, Any]:
    if isinstance(error, DaemonlessError):
        kind, message = type(error).__name__, error.message
        return {"kind": kind, "message": message, "hint": error.hint, "status": error.exit_status}
    if isinstance(error, OSError):
        name = error.filename
        return {"errno": error.errno, "file": os.fsdecode(name) if isinstance(name, bytes | str) else None}
    return {"kind": "DaemonlessError", "message": f"internal error: {type(error).__name__}: {error}"}


def _rebuild(said: dict[str, Any]) -> Exception:
    if "errno" in said:
        return OSError(said["errno"], os.strerror(said["errno"] or 0), said["file"])
    kind = getattr(errors, said["kind"], DaemonlessError)  # some kinds are of higher layers
    status = said.get("status")
    error: DaemonlessError = kind(said["message"], said.get("hint", ""), exit_status=status)
    return error
