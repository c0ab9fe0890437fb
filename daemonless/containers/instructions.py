"""`--change`: a Dockerfile instruction applied to an image's config.

    CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD STOPSIGNAL USER VOLUME WORKDIR

Syntax as in Dockerfiles: JSON arrays are taken as they are, other commands go to the shell, words
may be quoted. Variables are not expanded. Keys of the config are those of image-spec, config.md;
HEALTHCHECK and ONBUILD are docker's, which the specification leaves alone.
"""

from __future__ import annotations

import posixpath
import shlex

from daemonless import jsonio
from daemonless.clock import duration
from daemonless.containers import grammar
from daemonless.errors import InvalidData, UsageError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Config = dict[str, Any]

_SHELL = ["/bin/sh", "-c"]
_DURATIONS = {
    "--interval": "Interval",
    "--timeout": "Timeout",
    "--start-period": "StartPeriod",
    "--start-interval": "StartInterval",
}


def apply(config: Config, text: str) -> None:
    """Apply one instruction to the `config` section of an image config. Raises UsageError."""
    name, rest = [*text.split(None, 1), "", ""][:2]
    instruction = _INSTRUCTIONS.get(name.upper())
    try:
        if instruction is None:
            raise ValueError("there is no such instruction")
        if not rest:
            raise ValueError("its value is missing")
        instruction(config, rest.rstrip())
    except (ValueError, UsageError) as error:
        reason = error.message if isinstance(error, UsageError) else str(error)
        raise UsageError(
            f"cannot apply --change {printable(text)!r}: {reason}", f"one of {' '.join(_INSTRUCTIONS)}"
        ) from None


def _array(text: str) -> list[str] | None:
    """Return the strings of a JSON array, or None if the text is not one."""
    if not text.startswith("["):
        return None
    try:
        value = jsonio.loads(text)
    except InvalidData:
        return None
    return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else None


def _command(config: Config, text: str) -> list[str]:
    array = _array(text)
    return array if array is not None else [*(config.get("Shell") or _SHELL), text]


def _pairs(text: str) -> list[tuple[str, str]]:
    """Return the pairs of `KEY=VALUE ...`, or the one of the old form `KEY VALUE`."""
    first = text.split(None, 1)
    if "=" not in first[0]:
        if len(first) < 2:
            raise ValueError("it is not KEY=VALUE")
        return [(first[0], first[1])]
    pairs = []
    for word in shlex.split(text):
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise ValueError(f"{word} is not KEY=VALUE")
        pairs.append((key, value))
    return pairs


def _cmd(config: Config, text: str) -> None:
    config["Cmd"] = _command(config, text)


def _entrypoint(config: Config, text: str) -> None:
    config["Entrypoint"] = _command(config, text)


def _env(config: Config, text: str) -> None:
    set_variables(config, _pairs(text))


def set_variables(config: Config, pairs: list[tuple[str, str]]) -> None:
    """Set variables in the config's Env; one that is there keeps its place."""
    env = dict(entry.partition("=")[::2] for entry in config.get("Env") or [])
    env.update(pairs)
    config["Env"] = [f"{key}={value}" for key, value in env.items()]


def _label(config: Config, text: str) -> None:
    config["Labels"] = {**(config.get("Labels") or {}), **dict(_pairs(text))}


def _expose(config: Config, text: str) -> None:
    ports = dict(config.get("ExposedPorts") or {})
    for word in text.split():
        numbers, _, protocol = word.lower().partition("/")
        first, dash, last = numbers.partition("-")
        given = (first, last if dash else first)
        ends = [int(end) if end.isascii() and end.isdigit() else 0 for end in given]
        if protocol not in ("", "tcp", "udp", "sctp") or not 1 <= ends[0] <= ends[1] <= 65535:
            raise ValueError(f"{word} is not a port or a range of ports")
        ports |= {f"{port}/{protocol or 'tcp'}": {} for port in range(ends[0], ends[1] + 1)}
    config["ExposedPorts"] = ports


def _volume(config: Config, text: str) -> None:
    paths = _array(text)
    volumes = dict(config.get("Volumes") or {})
    for path in text.split() if paths is None else paths:
        if not path.startswith("/"):
            raise ValueError(f"{path} is not an absolute path")
        volumes[path] = {}
    config["Volumes"] = volumes


def _workdir(config: Config, text: str) -> None:
    path = posixpath.normpath(posixpath.join(config.get("WorkingDir") or "/", *shlex.split(text)))
    config["WorkingDir"] = "/" + path.lstrip("/")


def _user(config: Config, text: str) -> None:
    config["User"] = grammar.user(text, "USER")


def _stop_signal(config: Config, text: str) -> None:
    grammar.signal(text, "STOPSIGNAL")
    config["StopSignal"] = text


def _on_build(config: Config, text: str) -> None:
    if text.split()[0].upper() in ("ONBUILD", "FROM", "MAINTAINER"):
        raise ValueError(f"ONBUILD cannot trigger {text.split()[0].upper()}")
    config["OnBuild"] = [*(config.get("OnBuild") or []), text]


def _health_check(config: Config, text: str) -> None:
    check: Config = {}
    word, _, rest = text.partition(" ")
    while word.startswith("--"):
        option, _, value = word.partition("=")
        if option == "--retries" and value.isdecimal():
            check["Retries"] = int(value)
        elif option in _DURATIONS and (nanoseconds := duration(value)) is not None:
            check[_DURATIONS[option]] = nanoseconds
        else:
            raise ValueError(f"{word} is not an option of HEALTHCHECK")
        word, _, rest = rest.strip().partition(" ")
    if word.upper() == "NONE" and not rest.strip() and not check:
        config["Healthcheck"] = {"Test": ["NONE"]}
        return
    if word.upper() != "CMD" or not rest.strip():
        raise ValueError("after its options come NONE, or CMD and a command")
    array = _array(rest.strip())
    test = ["CMD-SHELL", rest.strip()] if array is None else ["CMD", *array]
    config["Healthcheck"] = {"Test": test, **check}


_INSTRUCTIONS: dict[str, Callable[[Config, str], None]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _health_check,
    "LABEL": _label,
    "ONBUILD": _on_build,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
