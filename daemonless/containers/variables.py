"""`--env`, `--env-file` and other small files the command line names."""

from __future__ import annotations

import os

from daemonless.containers import grammar
from daemonless.errors import UsageError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_MAX_TEXT_FILE = 1 << 20  # bytes of an --env-file; an environment of more would not be executed


def environment_options(args: Any, caller: Mapping[str, str]) -> tuple[str, ...]:
    """Return the NAME=VALUE entries of `args.env_file` and `args.env`, files first.

    Either may be missing or None. Raises UsageError.
    """
    entries: list[str] = []
    for path in getattr(args, "env_file", None) or ():
        entries += grammar.variables_of_file(read_text(path, "--env-file"), path, caller)
    for value in getattr(args, "env", None) or ():
        entries += grammar.variable(value, caller)
    return tuple(entries)


def read_text(path: str, option: str) -> str:
    """Read a small file the user named; it may be a pipe, as `<(command)` gives."""
    parts, left = [], _MAX_TEXT_FILE + 1
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while left and (part := os.read(fd, left)):
                parts.append(part)
                left -= len(part)
        finally:
            os.close(fd)
    except OSError as error:
        raise UsageError(f"cannot read {option} {printable(path)}: {error.strerror}") from error
    if not left:
        raise UsageError(f"cannot read {option} {printable(path)}: it is larger than {_MAX_TEXT_FILE} bytes")
    return b"".join(parts).decode("utf-8", "surrogateescape")
