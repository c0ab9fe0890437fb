"""Places at which a test can kill or fail the program: one before each step that changes state.

    DAEMONLESS_FAILPOINT=NAME=ACTION:TOKEN

ACTION is `kill` (SIGKILL to the process that comes there), `enospc` or `eio` (the step fails
with that error), or `pause`. TOKEN is a file of the test's: it is unlinked first, so that a
failpoint acts once, however many processes inherit the variable, and the test can see that it
did. For `pause` it is a FIFO: the process waits until the test has opened it and closed it again.

Without the variable `reach` is a call that looks at one global. `integration/test_faults.py`
demands that every name here in the source is one its matrix of faults covers.
"""

from __future__ import annotations

import os

_armed = os.environ.get("DAEMONLESS_FAILPOINT", "")
_ERRORS = {"enospc": 28, "eio": 5}


def reach(name: str) -> None:
    """Stand before the step `name`; does nothing unless a test has armed it."""
    if _armed:
        _act(name)


def _act(name: str) -> None:
    wanted, _, rest = _armed.partition("=")
    action, _, token = rest.partition(":")
    if name != wanted:
        return
    try:
        fd = os.open(token, os.O_RDONLY | os.O_CLOEXEC) if action == "pause" else -1
        os.unlink(token)
    except FileNotFoundError:
        return
    if action == "kill":
        os.kill(os.getpid(), 9)
        os._exit(137)  # process 1 of a pid namespace cannot kill itself
    if action in _ERRORS:
        raise OSError(_ERRORS[action], os.strerror(_ERRORS[action]), name)
    if fd >= 0:
        os.read(fd, 1)
        os.close(fd)
