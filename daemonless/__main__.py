"""Start of every command: parse, act, and turn whatever happened into one line and a status.

The parse table serves every well-formed command line; Typer, which costs 60 ms to import, sees the
rest: help, completion and mistakes. Nothing else in the program prints an error that ends it.
"""

from __future__ import annotations

import _signal
import os
import sys

from daemonless.actions.args import Args
from daemonless.actions.each import report
from daemonless.commands.parse import COMPLETION_VARIABLE, command_line, parse
from daemonless.commands.table import GLOBAL
from daemonless.errors import DaemonlessError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

_INTERRUPTED = 130
_ENOSPC, _EDQUOT = 28, 122
_DEBUG_HINT = "run it again with --log-level debug before the command for a traceback, and report it"


def main() -> NoReturn:
    """Run the command of sys.argv and end the process.

    os._exit skips the interpreter's teardown, 1 to 2 ms of freeing memory that ends anyway.
    """
    try:
        _have_standard_streams()
        sys.unraisablehook = _unraisable
        if _signal.getsignal(_signal.SIGINT) == _signal.SIG_DFL:  # the launcher's; see install.sh
            _signal.signal(_signal.SIGINT, _signal.default_int_handler)
        status = guarded(sys.argv[1:])
        for stream in (sys.stdout, sys.stderr):
            try:
                if stream is not None:
                    stream.flush()
            except OSError as error:
                status = status or _status_of(error)
    except KeyboardInterrupt:  # just before the command's own work, or after it
        status = _INTERRUPTED
    os._exit(status)


def _have_standard_streams() -> None:
    """Open /dev/null for a standard stream that the caller closed.

    Otherwise the first file opened would take its place, and get what is printed.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open("/dev/null", os.O_RDWR)  # the lowest free number is this one
    if sys.stdout is not None:
        # Names of files and arguments may hold bytes that are not UTF-8; they pass unchanged.
        sys.stdout.reconfigure(errors="surrogateescape")  # type: ignore[union-attr] # a TextIOWrapper


def _unraisable(caught: sys.UnraisableHookArgs) -> None:
    """End at once on an interrupt that came where nothing can be raised: in a callback of an import, say.

    What that leaves is what a kill leaves: the next command tidies it up.
    """
    if isinstance(caught.exc_value, KeyboardInterrupt):
        os._exit(_INTERRUPTED)
    sys.__unraisablehook__(caught)


def guarded(words: Sequence[str]) -> int:
    """Run one command line; whatever is raised becomes a message and an exit status."""
    try:
        return run(words)
    except SystemExit as end:  # of Typer's completion
        return end.code if isinstance(end.code, int) else 0
    except BaseException as error:
        if _wants_traceback(words):
            sys.excepthook(type(error), error, error.__traceback__)
        return _status_of(error)


def run(words: Sequence[str]) -> int:
    """Parse and perform one command line; return its exit status."""
    parsed = None if COMPLETION_VARIABLE in os.environ else command_line(words)
    if parsed is None:
        from daemonless.commands.app import invoke  # noqa: PLC0415 - typer: 60 ms

        return invoke(list(words))
    name, values, options = parsed
    status: int = __import__(f"daemonless.actions.{name}", fromlist=("main",)).main(Args(values, options))
    return status


def _wants_traceback(words: Sequence[str]) -> bool:
    options = parse(GLOBAL, words)
    return options is not None and options["log_level"] == "debug"


def _status_of(error: BaseException) -> int:
    """Report `error` to the person and return the exit status it stands for."""
    if isinstance(error, KeyboardInterrupt):
        return _INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # The reader has gone, as in `ps | head -1`; nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    if isinstance(error, OSError) and error.errno in (_ENOSPC, _EDQUOT):
        place = f" for {error.filename}" if error.filename else ""
        error = DaemonlessError(f"no space left on the disk{place}", "free some, or use --root elsewhere")
    elif isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        error = DaemonlessError(f"{place}{error.strerror or error}", _DEBUG_HINT)
    elif not isinstance(error, DaemonlessError):
        error = DaemonlessError(f"internal error: {type(error).__name__}: {error}", _DEBUG_HINT)
    report(error)
    return error.exit_status


if __name__ == "__main__":
    main()
