"""Parse a command line from the compiled table: what Typer would say, 60 ms earlier.

The grammar is click's plus the two habits of docker's and podman's own parser (pflag) that
scripts rely on: `--flag=false` for every boolean, and `-p=80:80` with an equals sign after a
short option. Whatever is not accepted here (`--help`, an unknown option, a missing argument, a
bad number) yields None, and Typer gets the same words: help and messages are written once.
"""

from __future__ import annotations

from daemonless.commands import table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypedDict

    class Spec(TypedDict):
        """How one command parses; `compile.describe` derives it from the Typer declaration."""

        options: dict[str, tuple[str, Any]]  # spelling: (parameter, kind), see `_value`
        arguments: tuple[tuple[str, bool, bool], ...]  # (parameter, takes all the rest, required)
        defaults: dict[str, Any]
        interspersed: bool  # False: options end at the first positional word

    class Option(TypedDict):
        """One option as it stood on the command line."""

        parameter: str
        kind: Any
        spelling: str
        value: Any


COMPLETION_VARIABLE = "_DAEMONLESS_COMPLETE"  # set by the shell's completion script; Typer's name for it

# what Go's strconv.ParseBool takes, which is what pflag asks
_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


def command_line(words: Sequence[str]) -> tuple[str, dict[str, Any], dict[str, Any]] | None:
    """Return (command, its values, the global options), or None for what Typer shall judge."""
    options = parse(table.GLOBAL, words)
    if options is None:
        return None
    if options.pop("version"):
        return "version", {"format": f"{table.PROGRAM} version {{{{.Client.Version}}}}"}, options
    name, *rest = options.pop("words") or ("",)
    fixed: dict[str, str] = {}
    if "_" in name:  # the table's name for what only a group has
        return None
    if name in table.GROUPS and rest:
        name, fixed = table.GROUPS[name].get(rest.pop(0), ("", fixed))
    spec = table.COMMANDS.get(name)
    if spec is None:
        return None
    if fixed:
        spec = {**spec, "defaults": {**spec["defaults"], **fixed}}
    values = parse(spec, rest)
    return None if values is None else (name, values, options)


def parse(spec: Spec, words: Sequence[str]) -> dict[str, Any] | None:
    """Return the values of all parameters, or None for what Typer shall judge.

    Repeatable options and trailing arguments are tuples, flags are bools.
    """
    found, positional, end = scan(spec, words)
    if end < len(words):
        return None
    values = dict(spec["defaults"])
    for option in found:
        value = _value(option["kind"], option["value"])
        if value is None:
            return None
        parameter = option["parameter"]
        if option["kind"] == "list":
            value = (*values[parameter], value)
        values[parameter] = value
    for parameter, takes_rest, required in spec["arguments"]:
        if takes_rest:
            values[parameter], positional = tuple(positional), []
        elif positional:
            values[parameter] = positional.pop(0)
        if required and not values.get(parameter):
            return None
    return None if positional else values


def scan(spec: Spec, words: Sequence[str]) -> tuple[list[Option], list[str], int]:
    """Split `words` into options, positional words and the index of the first word not understood.

    The index is len(words) if everything was. A flag's value is a bool; other values are still
    text.
    """
    options = spec["options"]
    found: list[Option] = []
    positional: list[str] = []
    position = 0
    while position < len(words):
        word = words[position]
        if word == "--":
            positional += words[position + 1 :]
            break
        if word[:1] != "-" or word == "-":
            positional.append(word)
            position += 1
            if spec["interspersed"]:
                continue
            positional += words[position:]
            break
        used = (_long if word[:2] == "--" else _short)(options, words, position, found)
        if not used:
            return found, positional, position
        position += used
    return found, positional, len(words)


def _long(
    options: dict[str, tuple[str, Any]], words: Sequence[str], position: int, found: list[Option]
) -> int:
    """Take `--name`, `--name value` or `--name=value`; return the number of words used, or 0."""
    name, equals, text = words[position].partition("=")
    if name not in options:
        return 0
    parameter, kind = options[name]
    used = 1
    if isinstance(kind, bool):
        given = _BOOLEANS.get(text) if equals else True
        if given is None:
            return 0
        value: Any = given is kind
    elif equals:
        value = text
    elif isinstance(kind, dict):
        value = kind["bare"]
    elif position + 1 < len(words):
        value = words[position + 1]
        used = 2
    else:
        return 0
    found.append({"parameter": parameter, "kind": kind, "spelling": name, "value": value})
    return used


def _short(
    options: dict[str, tuple[str, Any]], words: Sequence[str], position: int, found: list[Option]
) -> int:
    """Take `-a`, `-abc`, `-a value`, `-avalue` or `-a=value`; return the words used, or 0."""
    word = words[position]
    taken: list[Option] = []
    used = 1
    index = 1
    while index < len(word):
        name = f"-{word[index]}"
        if name not in options:
            return 0
        parameter, kind = options[name]
        text = word[index + 1 :]
        index += 1
        if isinstance(kind, bool):
            value: Any = kind
            if text[:1] == "=":
                given = _BOOLEANS.get(text[1:])
                if given is None:
                    return 0
                value = given is kind
                index = len(word)
        else:
            value = text.removeprefix("=")
            index = len(word)
            if not text:
                if position + 1 == len(words):
                    return 0
                value = words[position + 1]
                used = 2
        taken.append({"parameter": parameter, "kind": kind, "spelling": name, "value": value})
    found += taken
    return used


def _value(kind: Any, value: Any) -> Any:
    """Convert the text of an option of this kind; None if it does not fit.

    Kinds: True or False (a flag, and what its spelling stores), "text", "list" (text, repeatable),
    "int", a tuple of the choices, or a dict of choices and what the option means without one.
    """
    if kind == "int":
        try:
            return int(value)
        except ValueError:
            return None
    if isinstance(kind, dict):
        kind = kind["choices"]
    if isinstance(kind, tuple) and value not in kind:
        return None
    return value
