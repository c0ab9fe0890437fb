"""The `--log-opt` language: NAME=VALUE, with docker's names and meanings."""

from __future__ import annotations

from daemonless.containers.grammar import number, one_line, refusal, size
from daemonless.containers.logattributes import tag_problem
from daemonless.containers.request import LogOptions
from daemonless.errors import UsageError
from daemonless.supervisor.journald import SOCKET, has_journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FILE_DRIVERS = ("k8s-file", "json-file")
_OPTION = "--log-opt"
_TAG_HINT = "a tag knows {{.ID}}, {{.FullID}}, {{.Name}}, {{.ImageID}}, {{.ImageFullID}} and {{.ImageName}}"


def log_options(values: list[str], driver: str, cwd: str) -> LogOptions:
    """Parse the values of all `--log-opt`; a relative path starts from `cwd`.

    Raises UsageError, also if the driver is one that this machine does not have.
    """
    if driver == "journald" and not has_journal():
        raise UsageError(
            f"cannot log to journald: there is no {SOCKET} here",
            "it needs systemd-journald; without it take --log-driver=k8s-file or json-file",
        )
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
            if problem := tag_problem(text):
                raise refusal(_OPTION, value, f"there is no {problem}", _TAG_HINT)
        elif name in ("labels", "label", "env"):
            chosen["env" if name == "env" else "labels"] = tuple(filter(None, text.split(",")))
        else:
            raise refusal(
                _OPTION,
                value,
                "there is no such option",
                "there are max-size, max-file, path, tag, labels and env",
            )
    return LogOptions(**chosen)
