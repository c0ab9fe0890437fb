"""Slow steps on the way of a hot command - pull, unpack - done in a child.

HTTP, TLS, decompression and their threads stay out of the process that becomes the supervisor:
it forks while it is small and has one thread (shared invariant PY-4).
"""

from __future__ import annotations

import os

from daemonless.errors import DaemonlessError
from daemonless.isolation.sync import pack_error, unpack_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def in_child(function: Callable[[], str]) -> str:
    """Run `function` in a forked child and return what it returned; raises what it raised."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 125
        try:
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
    while part := os.read(read_end, 65536):
        said += part
    os.close(read_end)
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) == 0:
        return said.decode()
    if said:
        raise unpack_error(said)
    raise DaemonlessError("the image was not prepared: interrupted", exit_status=130)
