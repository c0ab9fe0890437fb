"""Instructions that change an image's config, and nothing else.

    CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD SHELL STOPSIGNAL USER VOLUME WORKDIR

Keys of the config are those of image-spec, config.md; HEALTHCHECK, ONBUILD and SHELL are docker's,
which the specification leaves alone. Each function returns what history says of it.
"""

from __future__ import annotations

import posixpath

from daemonless import jsonio
from daemonless.clock import duration
from daemonless.dockerfile.flags import Flags
from daemonless.errors import UsageError, printable
from daemonless.oci.signals import signal_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from daemonless.dockerfile.document import Instruction
    from daemonless.dockerfile.words import Words

    Config = dict[str, Any]

SHELL = ("/bin/sh", "-c")
_DURATIONS = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start-period": "StartPeriod",
    "start-interval": "StartInterval",
}
_MILLISECOND = 10**6


def change(config: Config, instruction: Instruction, words: Words) -> str:
    """Apply one of the instructions above; return what history says of it. Raises UsageError."""
    if instruction.flags and instruction.keyword != "HEALTHCHECK":
        Flags(instruction)
    return SETTINGS[instruction.keyword](config, instruction, words)


def set_variables(config: Config, pairs: list[tuple[str, str]]) -> None:
    """Set variables in the config's Env; one that is there keeps its place."""
    env = variables_of(config)
    env.update(pairs)
    config["Env"] = [f"{key}={value}" for key, value in env.items()]


def variables_of(config: Config) -> dict[str, str]:
    """Return the config's variables."""
    return dict(entry.partition("=")[::2] for entry in config.get("Env") or [])


def in_shell(config: Config, instruction: Instruction, args: tuple[str, ...]) -> list[str]:
    """Return a command's argv: JSON as it is, other text by the config's shell."""
    return [*args] if instruction.is_json else [*(config.get("Shell") or SHELL), *args]


def absolute(config: Config, path: str) -> str:
    """Return a path seen from the config's working directory, without `.` and `..`."""
    joined = posixpath.normpath(posixpath.join("/", config.get("WorkingDir") or "/", path))
    return "/" + joined.lstrip("/")


def pairs_of(instruction: Instruction, words: Words) -> list[tuple[str, str]]:
    """Return the names and values of ENV and LABEL."""
    args = instruction.args
    pairs = []
    for name, value in zip(args[::3], args[1::3], strict=True):
        key = words.word(name)
        if not key:
            raise UsageError(f"{printable(name + '=' + value)!r} has no name before the =")
        pairs.append((key, words.word(value)))
    return pairs


def _listed(keyword: str, pairs: list[tuple[str, str]]) -> str:
    return " ".join([keyword, *(f"{key}={value}" for key, value in pairs)])


def quoted(args: list[str]) -> str:
    """Return words as Go's %q prints a list of them, which is how histories show commands."""
    return f"[{' '.join(jsonio.dumps(arg) for arg in args)}]"


def _cmd(config: Config, instruction: Instruction, words: Words) -> str:
    config["Cmd"] = in_shell(config, instruction, instruction.args)
    return f"CMD {quoted(config['Cmd'])}"


def _entrypoint(config: Config, instruction: Instruction, words: Words) -> str:
    config["Entrypoint"] = in_shell(config, instruction, instruction.args)
    return f"ENTRYPOINT {quoted(config['Entrypoint'])}"


def _shell(config: Config, instruction: Instruction, words: Words) -> str:
    if not instruction.is_json or not instruction.args:
        raise UsageError("SHELL takes a JSON array", 'write it like SHELL ["/bin/bash", "-c"]')
    config["Shell"] = [*instruction.args]
    return f"SHELL [{' '.join(instruction.args)}]"


def _env(config: Config, instruction: Instruction, words: Words) -> str:
    pairs = pairs_of(instruction, words)
    set_variables(config, pairs)
    return _listed("ENV", pairs)


def _label(config: Config, instruction: Instruction, words: Words) -> str:
    pairs = pairs_of(instruction, words)
    config["Labels"] = {**(config.get("Labels") or {}), **dict(pairs)}
    return _listed("LABEL", pairs)


def _expose(config: Config, instruction: Instruction, words: Words) -> str:
    given = [word for arg in instruction.args for word in words.words(arg)]
    added = [port for word in given for port in ports_of(word)]
    config["ExposedPorts"] = {**(config.get("ExposedPorts") or {}), **{port: {} for port in added}}
    return f"EXPOSE [{' '.join(added)}]"


def ports_of(word: str) -> list[str]:
    """Return the ports, "80/tcp", that one word of EXPOSE means. Raises UsageError.

    An address or a port of the host before a colon is of no effect, as with BuildKit.
    """
    numbers, _slash, protocol = word.rpartition(":")[2].lower().partition("/")
    first, dash, last = numbers.partition("-")
    given = (first, last if dash else first)
    ends = [int(end) if end.isascii() and end.isdigit() and len(end) < 6 else 0 for end in given]
    protocol = protocol or "tcp"
    if protocol not in ("tcp", "udp", "sctp") or not 1 <= ends[0] <= ends[1] <= 65535:
        raise UsageError(
            f"{printable(word)} is not a port or a range of ports", "write it like 80, 53/udp or 8000-8010"
        )
    return [f"{port}/{protocol}" for port in range(ends[0], ends[1] + 1)]


def _volume(config: Config, instruction: Instruction, words: Words) -> str:
    volumes = dict(config.get("Volumes") or {})
    paths = [words.word(arg).strip() for arg in instruction.args]
    for path in paths:
        if not path.startswith("/"):
            raise UsageError(f"{printable(path)!r} is not an absolute path")
        volumes[path] = {}
    config["Volumes"] = volumes
    return f"VOLUME [{' '.join(paths)}]"


def _workdir(config: Config, instruction: Instruction, words: Words) -> str:
    path = words.word(instruction.args[0])
    if not path:
        raise UsageError("WORKDIR is empty once its variables are expanded")
    config["WorkingDir"] = absolute(config, path)
    return f"WORKDIR {config['WorkingDir']}"


def _user(config: Config, instruction: Instruction, words: Words) -> str:
    user = words.word(instruction.args[0])
    if not user:
        raise UsageError("USER is empty once its variables are expanded")
    config["User"] = user
    return f"USER {user}"


def _stop_signal(config: Config, instruction: Instruction, words: Words) -> str:
    signal = words.word(instruction.args[0])
    if signal_number(signal) is None:
        raise UsageError(f"there is no signal {printable(signal)!r}", "see signal(7) for the names")
    config["StopSignal"] = signal
    return f"STOPSIGNAL {signal}"


def _on_build(config: Config, instruction: Instruction, words: Words) -> str:
    config["OnBuild"] = [*(config.get("OnBuild") or []), instruction.trigger]
    return f"ONBUILD {instruction.args[0]}"


def _health_check(config: Config, instruction: Instruction, words: Words) -> str:
    flags = Flags(instruction)
    kind, command = instruction.args[0].upper(), instruction.args[1:]
    shown = f"HEALTHCHECK {' '.join((*instruction.flags, *instruction.args))}"
    if kind == "NONE":
        if command or instruction.flags:
            raise UsageError("HEALTHCHECK NONE takes neither a command nor flags")
        config["Healthcheck"] = {"Test": ["NONE"]}
        return shown
    if kind != "CMD" or not any(command):
        raise UsageError("after the flags of HEALTHCHECK come NONE, or CMD and a command")
    check: Config = {"Test": ["CMD", *command] if instruction.is_json else ["CMD-SHELL", *command]}
    for flag, key in _DURATIONS.items():
        if flag in flags:
            check[key] = _nanoseconds(flag, flags.one(flag))
    if "retries" in flags:
        retries = flags.one("retries")
        if not (retries.isascii() and retries.isdigit() and len(retries) < 10):
            raise UsageError(f"--retries takes a number, not {printable(retries)!r}")
        check["Retries"] = int(retries)
    config["Healthcheck"] = {key: value for key, value in check.items() if value}
    return shown


def _nanoseconds(flag: str, text: str) -> int:
    nanoseconds = duration(text)
    if nanoseconds is None or 0 < nanoseconds < _MILLISECOND:
        raise UsageError(
            f"--{flag} takes a time of at least 1ms, not {printable(text)!r}", "write it like 1m30s"
        )
    return nanoseconds


SETTINGS: dict[str, Callable[[Config, Instruction, Words], str]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _health_check,
    "LABEL": _label,
    "ONBUILD": _on_build,
    "SHELL": _shell,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
