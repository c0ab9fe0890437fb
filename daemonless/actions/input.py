"""Where a command reads an archive from: standard input, or a file."""

from __future__ import annotations

import os

from daemonless.errors import NotFound, UsageError, printable

_EISDIR = 21


def shown_input(path: str) -> str:
    """Return how messages call what `open_input` opens."""
    return "standard input" if path == "-" else printable(path)


def open_input(path: str, what: str) -> int:
    """Return a descriptor to read `what` from: of the file `path`, or 0 for "-".

    Raises UsageError for a terminal, NotFound or UsageError for a file that cannot be read.
    """
    if path == "-":
        if os.isatty(0):
            raise UsageError(f"refusing to read {what} from a terminal", "name a file, or redirect one")
        return 0
    try:
        if os.path.isdir(path):
            raise IsADirectoryError(_EISDIR, os.strerror(_EISDIR))
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"no such file: {printable(path)}") from None
    except OSError as error:
        raise UsageError(f"cannot read {printable(path)}: {error.strerror}") from None
