"""What the tests of COPY share besides fixtures."""

from __future__ import annotations

import os
import stat

from daemonless.dockerfile.steps import CopyWork

NOW = 1_700_000_000_123_456_789


def work(*words, **fields):
    """A COPY of all words but the last, which is the destination."""
    *sources, destination = words
    return CopyWork(
        **{"is_add": False, "sources": tuple(sources), "destination": destination, **fields}  # type: ignore[arg-type]
    )


def listing(directory):
    """What is below a directory: {path: "kind:mode:content"}."""
    found = {}
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        name = path.relative_to(directory).as_posix()
        if stat.S_ISLNK(status.st_mode):
            found[name] = f"-> {os.readlink(path)}"
        elif stat.S_ISDIR(status.st_mode):
            found[name] = "/"
        elif stat.S_ISREG(status.st_mode):
            found[name] = path.read_text()
        else:
            found[name] = "fifo"
    return found
