"""Every error a person can meet, as one tree.

    DaemonlessError            125
    ├── UsageError             125   the command line or a value in it is wrong
    ├── NotFound               125   no such container, image, layer, blob ...
    ├── NameInUse              125   a container name is taken
    ├── Conflict               125   the object's state forbids it (`rm` of a running container: 2)
    ├── Unsupported            125   this machine or this version cannot do it
    ├── InvalidData            125   a document, archive or stream broke its specification
    ├── SetupFailed            125   the container could not be set up
    ├── CommandNotExecutable   126   the command exists in the image but cannot be executed
    └── CommandNotFound        127   the command, or the working directory, is not in the image

`message` is one line: lower case, the object named, the reason last. `hint` says what to type
next. Only `daemonless.__main__` prints them and turns them into an exit status.
"""

from __future__ import annotations


class DaemonlessError(Exception):
    """Base of all errors that are reported to a person as one line and an optional hint."""

    exit_status = 125

    def __init__(self, message: str, hint: str = "", *, exit_status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if exit_status is not None:
            self.exit_status = exit_status


class UsageError(DaemonlessError):
    """The command line, or a value in it, is wrong."""


class NotFound(DaemonlessError):
    """A named object does not exist."""


class NameInUse(DaemonlessError):
    """A container of this name exists already."""


class Conflict(DaemonlessError):
    """The object exists but its state forbids the operation."""


class Unsupported(DaemonlessError):
    """This machine, or this version of daemonless, cannot do what was asked."""


class InvalidData(DaemonlessError):
    """A document, archive or stream does not hold what its specification demands."""


class SetupFailed(DaemonlessError):
    """The container's environment could not be set up."""


class CommandNotExecutable(DaemonlessError):
    """The container's command exists but cannot be executed."""

    exit_status = 126


class CommandNotFound(DaemonlessError):
    """The container's command or working directory does not exist in the image."""

    exit_status = 127


def printable(text: str | bytes, limit: int = 200) -> str:
    """Return foreign text fit for a terminal: escaped, at most `limit` characters.

    Names from archives, manifests and containers may hold control sequences; no message shows
    them raw (shared invariant U-29).
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    # ascii() and not the unicode_escape codec, which would be imported from a container's files
    shown = text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
