"""What the caller of the unpacker and the unpacker say to each other, one packet each.

    job      {"ticket", "diffId", "compression"}, and the blob's descriptor
    answer   {"ticket", "warnings"}, or {"ticket", "error", ...}

A ticket is a number that the caller chose.
"""

from __future__ import annotations

import os

from daemonless import jsonio
from daemonless.errors import DaemonlessError, InvalidData, SetupFailed, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from daemonless.oci.digest import Digest

MAX_MESSAGE = 1 << 16

_ERRORS: dict[str, type[DaemonlessError]] = {
    kind.__name__: kind for kind in (DaemonlessError, InvalidData, SetupFailed, Unsupported)
}


def failure(ticket: int, error: Exception) -> bytes:
    """Return the answer that says why a layer was not unpacked."""
    answer: dict[str, Any] = {"ticket": ticket}
    if isinstance(error, OSError):
        answer |= {"error": "OSError", "errno": error.errno or 0}
    elif isinstance(error, DaemonlessError):
        answer |= {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    else:
        answer |= {"error": "DaemonlessError", "message": "not enough memory", "hint": ""}
    return jsonio.dumps(answer).encode()


def reported(answer: dict[str, Any], diff_id: Digest) -> Exception:
    """Return the exception that such an answer describes."""
    if answer["error"] == "OSError":
        return OSError(answer["errno"], os.strerror(answer["errno"]))
    kind = _ERRORS.get(answer["error"], DaemonlessError)
    return kind(f"cannot unpack layer {diff_id.short}: {answer['message']}", answer["hint"])
