"""`--init`: process 1 of the container as a reaper, so that images need no init of their own.

The reaper is this interpreter after the pivot: it has dropped its privileges like the command,
cannot be traced or read by it (not dumpable), and does nothing but forward signals and wait.
"""

from __future__ import annotations

import _signal
import os

from daemonless import syscalls as sc
from daemonless.isolation import privileges

_SIGCHLD = 17


def reap_for(dropped: privileges.Privileges) -> None:
    """Fork: the child returns and becomes the command, process 1 stays here until it ends.

    Process 1 exits with the command's status, 128 + n after signal n.
    """
    everything = set(range(1, 65)) - {9, 19, 32, 33}
    _signal.pthread_sigmask(_signal.SIG_BLOCK, everything)
    command = sc.clone3(0)
    if command == 0:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
        return
    try:
        # readers of the streams see their end with the command, and locks of the start go free
        sc.close_range(0)
        privileges.drop(dropped)
        sc.prctl(sc.PR_SET_DUMPABLE, 0)
        while True:
            number = _signal.sigwait(everything)
            if number != _SIGCHLD:
                os.kill(command, number)
                continue
            status = _reap(command)
            if status is not None:
                os._exit(status)
    finally:
        os._exit(125)


def _reap(command: int) -> int | None:
    """Reap what has ended; return the command's exit status once it has."""
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return None
            if pid == command:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
    except ChildProcessError:
        return 125
