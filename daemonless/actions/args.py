"""What an action is given: the parsed parameters and the global options."""

from __future__ import annotations

import os

from daemonless.config import Paths, load_paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


class Args:
    """The parameters of one command as attributes, under the names of its Typer declaration.

    Repeatable options and trailing arguments are tuples. `root`, `runroot` and `log_level` are
    the global options. Nothing here is checked beyond what the declaration says; an action
    checks what it uses.
    """

    root: str | None
    runroot: str | None
    log_level: str

    def __init__(self, values: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        self.__dict__.update(options)
        self.__dict__.update(values)
        self._paths: Paths | None = None

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    @property
    def paths(self) -> Paths:
        """The directories of this user, made when first asked for; raises SetupFailed."""
        if self._paths is None:
            self._paths = load_paths(self.root, self.runroot)
        return self._paths

    @property
    def debug(self) -> Callable[[str], None] | None:
        """What prints a line for who debugs, or None unless that is wanted."""
        return _print_debug if self.log_level == "debug" else None

    def warn(self, text: str) -> None:
        """Print a warning, one line, unless only errors are wanted."""
        if self.log_level != "error":
            os.write(2, f"Warning: {text}\n".encode("utf-8", "backslashreplace"))


def _print_debug(line: str) -> None:
    os.write(2, f"Debug: {line}\n".encode("utf-8", "backslashreplace"))
