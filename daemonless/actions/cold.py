"""Slow steps on the way of a hot command - pull, unpack - done in a child.

HTTP, TLS, decompression and their threads stay out of the process that becomes the supervisor:
it forks while it is small and has one thread (shared invariant PY-4).
"""

from __future__ import annotations

import _signal
import os

from daemonless.errors import DaemonlessError
from daemonless.isolation.sync import pack_error, unpack_error
from daemonless.syscalls import PR_SET_PDEATHSIG, prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def in_child(function: Callable[[], str]) -> str:
    """Run `function` in a forked child and return what it returned; raises what it raised.

    The child ends with its caller; one that is interrupted interrupts it, so that it can tidy up.
    """
    caller = os.getpid()
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 125
        try:
            prctl(PR_SET_PDEATHSIG, _signal.SIGKILL)
            if os.getppid() != caller:
                os._exit(status)
            answer = function().encode()
            while answer:
                answer = answer[os.write(write_end, answer) :]
            status = 0
        except KeyboardInterrupt:
            status = 130
        except BaseException as error:
            os.write(write_end, pack_error(error, "prepare the image"))
        finally:
            os._exit(status)
    os.close(write_end)
    said = b""
    try:
        while part := os.read(read_end, 65536):
            said += part
        os.close(read_end)
        _, status = os.waitpid(pid, 0)
    except KeyboardInterrupt:
        try:
            os.kill(pid, _signal.SIGINT)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):  # it had just been waited for
            pass
        raise
    if os.waitstatus_to_exitcode(status) == 0:
        return said.decode()
    if said:
        raise unpack_error(said)
    raise DaemonlessError("the image was not prepared: interrupted", exit_status=130)
