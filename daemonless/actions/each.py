"""Commands that take several objects: do each, report each failure, go on with the rest."""

from __future__ import annotations

import os

from daemonless.errors import DaemonlessError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def report(error: DaemonlessError) -> None:
    """Print an error the way every command does: one line, and a hint if there is one."""
    text = f"Error: {error.message}\n"
    if error.hint:
        text += f"Hint: {error.hint}\n"
    try:
        os.write(2, text.encode("utf-8", "backslashreplace"))
    except OSError:  # stderr goes to a full disk, say: the exit status tells
        pass


def for_each(names: Iterable[str], act: Callable[[str], str | None]) -> int:
    """Call `act` for each name and print what it returns, if anything.

    Returns 0, or the lowest exit status of the failures: with podman's `rm`, too, 1 for a missing
    container outdoes 2 for a running one.
    """
    status = 0
    for name in names:
        try:
            said = act(name)
        except DaemonlessError as error:
            report(error)
            status = min(status, error.exit_status) if status else error.exit_status
        else:
            if said is not None:
                print(said, flush=True)  # each as it is done, in step with the errors
    return status
