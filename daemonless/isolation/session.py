"""A session in the caller's user namespace: a command of the host that is root of all its ids.

It stays in the host's filesystem, with a mount namespace of its own: mounts of the host arrive there, and
what is mounted there ends with the session's last process.
"""

from __future__ import annotations

import _signal
import os

from daemonless import syscalls as sc
from daemonless.errors import CommandNotExecutable, CommandNotFound, printable
from daemonless.files import read_file
from daemonless.isolation.execute import reset_signals
from daemonless.isolation.mounts import Options, attach, bind_tree, mount_overlay, new_filesystem
from daemonless.isolation.task import die_with
from daemonless.isolation.userns import IdMap, start_mapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SIGINT, _SIGQUIT = 2, 3  # a terminal sends them to the command as well
_ENOENT, _ENOTDIR = 2, 20


def run(command: Sequence[str], environment: Mapping[str, str], id_map: IdMap) -> int:
    """Run a command in a session of its own, to its end; return its status, 128 + n after signal n.

    It dies with the caller, which must have a single thread. Raises SetupFailed.
    """
    caller = os.getpid()

    def begin() -> int:
        sc.mount(None, b"/", None, sc.MS_REC | sc.MS_SLAVE)
        die_with(caller)
        reset_signals()
        shown = printable(command[0])
        try:
            os.execvpe(command[0], list(command), dict(environment))
        except OSError as error:
            if error.errno in (_ENOENT, _ENOTDIR):
                raise CommandNotFound(f"command not found: {shown}") from None
            raise CommandNotExecutable(f"cannot execute {shown}: {error.strerror}") from None

    pid = start_mapped(begin, id_map, sc.CLONE_NEWNS)
    before = {number: _signal.signal(number, _signal.SIG_IGN) for number in (_SIGINT, _SIGQUIT)}
    try:
        _, status = os.waitpid(pid, 0)
    finally:
        for number, handler in before.items():
            _signal.signal(number, handler)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def has_many_ids() -> bool:
    """Return whether the caller's user namespace maps more than one range of ids."""
    return read_file("/proc/self/uid_map").count(b"\n") > 1


def mount_layers(lowers: Sequence[str], target: str) -> None:
    """Mount layer directories, from the top, to be read at `target`. Raises OSError."""
    at = os.fsencode(target)
    if len(lowers) > 1:
        tree = mount_overlay(Options([*(f"lowerdir+={each}" for each in lowers), "userxattr"]), at)
    else:
        tree = attach(bind_tree(os.fsencode(lowers[0]), Options(["bind", "ro", "nosuid", "nodev"])), at)
    os.close(tree)


def mount_tmpfs(target: str) -> None:
    """Mount an empty filesystem at `target`, private to the caller's user. Raises OSError."""
    tree = new_filesystem("tmpfs", "tmpfs", Options(["mode=700", "size=1m", "nosuid", "nodev"]))
    os.close(attach(tree, os.fsencode(target)))


def unmount(target: str, *, busy: bool) -> None:
    """Unmount `target`, even if it is in use with `busy`: then it goes when it is no more. Raises OSError."""
    sc.umount2(os.fsencode(target), sc.MNT_DETACH if busy else 0)
