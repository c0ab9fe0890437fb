"""The last steps of every process of a container, for run and exec alike.

One code path, so that what `exec` starts is confined exactly as what `run` starts. Everything here
happens inside the container's root: no import, no codec, no traceback (shared invariant PY-1).
"""

from __future__ import annotations

import _signal
import os
import sys

from daemonless import syscalls as sc
from daemonless.errors import CommandNotExecutable, CommandNotFound, SetupFailed, printable
from daemonless.isolation import privileges

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_SIGKILL, _SIGSTOP = 9, 19
_FIFO = 0o010000


def switch_off_imports() -> None:
    """Make every later import fail: its path would be the container's, its code run as us."""
    sys.path.clear()
    sys.meta_path.clear()
    sys.path_hooks.clear()


def reset_signals() -> None:
    """Undo what Python and the supervisor changed: handlers and ignored signals survive execve."""
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    for number in range(1, 65):
        if number not in (_SIGKILL, _SIGSTOP, 32, 33):  # KILL and STOP are fixed; libc keeps 32 and 33
            _signal.signal(number, _signal.SIG_DFL)


def final_environment(entries: list[str], home: str) -> dict[bytes, bytes]:
    """Return the process's environment as bytes; HOME comes from the user's passwd entry."""
    environment = {}
    for entry in entries:
        name, _, value = os.fsencode(entry).partition(b"=")
        environment[name] = value
    environment.setdefault(b"HOME", os.fsencode(home))
    return environment


def place_streams(streams: tuple[int, int, int], uid: int, *, are_ours: bool = True) -> None:
    """Begin a session with these as the process's streams.

    Pipes of ours go to the user of the process: to open /dev/stdout is to open the pipe by its name,
    which only its owner may. The caller's own, where the container got them, stay the caller's.
    """
    os.setsid()
    for number, fd in enumerate(streams):
        os.dup2(fd, number, inheritable=True)
        if are_ours and os.fstat(number).st_mode & 0o170000 == _FIFO:
            try:
                os.fchown(number, uid, -1)
            except OSError:  # made by an id that is not mapped; writing to the open one works
                pass


def execute(
    args: list[bytes],
    environment: dict[bytes, bytes],
    directory: bytes,
    dropped: privileges.Privileges,
    preserve_fds: tuple[int, ...],
) -> NoReturn:
    """Take on the final identity and execute `args[0]`, looked up in PATH.

    Raises CommandNotFound, CommandNotExecutable or OSError; straight-line, for both run and exec.
    """
    enter_directory(directory)
    first = 3
    for fd in preserve_fds:
        if fd > first:
            sc.close_range(first, fd - 1, flags=sc.CLOSE_RANGE_CLOEXEC)
        first = fd + 1
    sc.close_range(first, flags=sc.CLOSE_RANGE_CLOEXEC)
    privileges.drop(dropped)
    denied = 0
    for candidate in _candidates(args[0], environment.get(b"PATH", b"")):
        try:
            os.execve(candidate, args, environment)
        except OSError as error:
            if error.errno in (2, 20):  # ENOENT, ENOTDIR: look on
                continue
            denied = denied or error.errno or 0
            if error.errno not in (13, 21):  # EACCES, EISDIR: a later PATH entry may do
                break
    shown = printable(args[0])
    if denied:
        reason = "is a directory" if _is_directory(args[0]) else os.strerror(denied).lower()
        raise CommandNotExecutable(
            f"cannot execute {shown}: {reason}",
            "the file's architecture or its #! line does not fit this machine" if denied == 8 else "",
        )
    if b"/" in args[0] and os.access(args[0], os.F_OK):
        raise CommandNotFound(
            f"cannot execute {shown}: its interpreter or loader is not in the image",
            "check the #! line, or the libc the program was linked against",
        )
    raise CommandNotFound(f"command not found in the image: {shown}", "")


def _candidates(name: bytes, path: bytes) -> list[bytes]:
    if b"/" in name:
        return [name]
    return [(directory or b".") + b"/" + name for directory in path.split(b":")]


def _is_directory(path: bytes) -> bool:
    try:
        return os.stat(path).st_mode & 0o170000 == 0o040000
    except OSError:
        return False


def enter_directory(directory: bytes) -> None:
    """Change to the working directory and make sure it lies inside the root (CVE-2024-21626)."""
    try:
        os.chdir(directory)
        inside = os.getcwdb().startswith(b"/")
    except FileNotFoundError:
        raise CommandNotFound(f"working directory {printable(directory)} is not in the image") from None
    except OSError as error:
        raise SetupFailed(
            f"cannot enter working directory {printable(directory)}: {error.strerror}"
        ) from error
    if not inside:
        raise SetupFailed(f"working directory {printable(directory)} is outside the container")
