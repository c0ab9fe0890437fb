"""The parse grammar of a Typer command, and the way back: words as click wants them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from daemonless.commands.parse import scan

if TYPE_CHECKING:
    from daemonless.commands.parse import Option, Spec

# Typer's words for its types, and those of the click that older versions were built on
_TEXT = ("str", "text")
_NUMBER = ("int", "integer")


def describe(command: Any) -> Spec:
    """Derive the parse grammar of a click command (Typer does not export click's types).

    Raises TypeError for a parameter the table cannot express, so that no declaration can silently
    behave differently on the two paths.
    """
    options: dict[str, tuple[str, Any]] = {}
    arguments: list[tuple[str, bool, bool]] = []
    defaults: dict[str, Any] = {}
    for parameter in command.params:
        if not parameter.expose_value or parameter.nargs not in (1, -1):
            raise TypeError(f"{command.name}: {parameter.name} cannot be compiled")
        many = parameter.multiple if parameter.param_type_name == "option" else parameter.nargs == -1
        defaults[parameter.name] = () if many else parameter.default
        if parameter.param_type_name == "argument":
            if parameter.type.name not in _TEXT:
                raise TypeError(f"{command.name}: argument {parameter.name} must be text")
            arguments.append((parameter.name, many, parameter.required))
            continue
        kind = _kind(command, parameter)
        for spelling in parameter.opts:
            options[spelling] = (parameter.name, kind)
        for spelling in parameter.secondary_opts:
            options[spelling] = (parameter.name, False)
    settings = command.context_settings
    return {
        "options": options,
        "arguments": tuple(arguments),
        "defaults": defaults,
        "interspersed": settings.get("allow_interspersed_args", command.allow_interspersed_args),
    }


def _kind(command: Any, option: Any) -> Any:
    if option.is_flag:
        return True
    name = option.type.name
    if name in _TEXT:
        return "list" if option.multiple else "text"
    if name in _NUMBER and not option.multiple:
        return "int"
    if name == "choice" and not option.multiple:
        choices = tuple(option.type.choices)
        bare = getattr(command, "bare", {}).get(option.name)
        return {"bare": bare, "choices": choices} if bare else choices
    raise TypeError(f"{command.name}: {option.name} of type {name} cannot be compiled")


def to_click(spec: Spec, words: Sequence[str]) -> list[str]:
    """Rewrite what pflag accepts and click does not: `--flag=false`, `-d=true`, `-p=80:80`.

    Words from the first one that is not understood on are left alone: click shall report it.
    """
    found, positional, end = scan(spec, words)
    kept: list[Option] = []
    for option in found:
        if option["value"] is False and _flag_spelling(spec, option) is None:
            # Nothing spells "off" for this flag, so it is switched off by never having been on.
            kept = [other for other in kept if other["parameter"] != option["parameter"]]
        else:
            kept.append(option)
    rewritten = [word for option in kept for word in _to_words(spec, option)]
    if end < len(words):
        return [*rewritten, *positional, *words[end:]]
    return [*rewritten, "--", *positional] if positional else rewritten


def _to_words(spec: Spec, option: Option) -> tuple[str, ...]:
    if isinstance(option["kind"], bool):
        return (_flag_spelling(spec, option) or option["spelling"],)
    return option["spelling"], option["value"]


def _flag_spelling(spec: Spec, option: Option) -> str | None:
    """Return a spelling that stores the option's value, its own one if that does."""
    if option["kind"] is option["value"]:
        return option["spelling"]
    wanted = (option["parameter"], option["value"])
    return next((spelling for spelling, stored in spec["options"].items() if stored == wanted), None)
