"""The `--log-opt` language: NAME=VALUE, with docker's names and meanings."""

from __future__ import annotations

from daemonless.containers.grammar import number, one_line, refusal, size
from daemonless.containers.request import LogOptions
from daemonless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FILE_DRIVERS = ("k8s-file", "json-file")
_OPTION = "--log-opt"


def log_options(values: list[str], driver: str, cwd: str) -> LogOptions:
    """Parse the values of all `--log-opt`; a relative path starts from `cwd`. Raises UsageError."""
    chosen: dict[str, Any] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not text:
            raise refusal(_OPTION, value, "it is not NAME=VALUE")
        if name in ("max-size", "max-file", "path"):
            if driver not in _FILE_DRIVERS:
                raise UsageError(f"the log driver {driver} has no option {name}", "k8s-file and json-file do")
            if name == "max-size":
                chosen["max_size"] = 0 if text == "-1" else size(text, _OPTION)
            elif name == "max-file":
                chosen["max_file"] = number(text, 1, 100, "the number of files", _OPTION, value)
            else:
                path = one_line(text, _OPTION)
                chosen["path"] = path if path.startswith("/") else f"{cwd}/{path}"
        elif name == "tag":
            chosen["tag"] = one_line(text, _OPTION)
        else:
            raise refusal(
                _OPTION, value, "there is no such option", "there are max-size, max-file, path and tag"
            )
    return LogOptions(**chosen)
