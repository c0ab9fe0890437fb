"""The event log: one JSON line per change of state, appended by whoever makes the change.

    RUN/events.jsonl      the current lines; any process may tail them
    RUN/events.jsonl.1    the ones before, when the file grew past its bound

A line is one write(2) to a file opened with O_APPEND, so lines of several writers never mix and
nobody waits for anybody. The log tells of what happened and decides nothing: on a full disk an
event is lost, never a command. Action names are podman's; readers translate.

    {"time": RFC 3339, "type": "container", "action": "start", "id": ..., "name": ..., ...}
"""

from __future__ import annotations

import os

from daemonless import jsonio
from daemonless.clock import timestamp
from daemonless.config import Paths
from daemonless.files import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FILE_NAME = "events.jsonl"
LIMIT = 2 << 20  # bytes of one file; with the one before it, some ten thousand events


def record(paths: Paths, kind: str, action: str, subject: str, **details: Any) -> None:
    """Append one event about the object `subject` (an id, or the name of what has none).

    `kind` is container, image, volume or secret; `details` are further fields of the line, of
    which `name`, `image`, `exitCode` and `attributes` (a dict of strings) have a common meaning.
    """
    line = {"time": timestamp(), "type": kind, "action": action, "id": subject, **details}
    path = f"{paths.run}/{FILE_NAME}"
    try:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(fd, jsonio.dumps(line).encode() + b"\n")
            if os.fstat(fd).st_size > LIMIT:
                _rotate(path)
        finally:
            os.close(fd)
    except OSError:
        pass


def _rotate(path: str) -> None:
    """Set the full file aside, unless somebody else is doing so."""
    lock = Lock(f"{path}.lock")
    if lock.try_acquire():
        if os.stat(path).st_size > LIMIT:
            os.rename(path, f"{path}.1")
        lock.release()
