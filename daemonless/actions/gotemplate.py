"""Go templates beyond plain fields, by `gotpl`; `format` tells why only those."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gotpl import Template, TemplateError

from daemonless.actions.values import Struct, to_json
from daemonless.errors import UsageError


def compile_template(source: str) -> Callable[[Any, bool], str]:
    """Return a function that renders the template for data, or for headings.

    Raises UsageError if the template is malformed; so does the function if it cannot be rendered.
    """
    row = _parse(source, _FUNCTIONS)
    heading = _parse(source, dict.fromkeys(_FUNCTIONS, _last) | {"index": _FUNCTIONS["index"]})

    def render(data: Any, is_heading: bool) -> str:
        try:
            return (heading if is_heading else row).render(data)
        except TemplateError as error:
            raise UsageError(f"bad template: {getattr(error, 'message', error)}") from None

    return render


def _parse(source: str, functions: dict[str, Callable[..., object]]) -> Template:
    try:
        return Template(source, functions=functions)
    except TemplateError as error:
        raise UsageError(f"bad template: {error}") from None


def _last(*arguments: object) -> object:
    return arguments[-1]


def _index(value: Any, *keys: Any) -> Any:
    """Go's index; a missing key is the zero value, which for a label is an empty string."""
    for key in keys:
        if isinstance(value, dict) and not isinstance(value, Struct):
            value = value.get(key, "")
        elif isinstance(value, (list, tuple, str)) and isinstance(key, int) and 0 <= key < len(value):
            value = value[key]
        else:
            raise ValueError(f"{to_json(value)} has no {to_json(key)}")
    return value


def _truncate(text: str, length: int) -> str:
    return text[:length] if 0 <= length < len(text) else text


def _pad(text: str, before: int, after: int) -> str:
    return " " * before + text + " " * after if text else text


_FUNCTIONS: dict[str, Callable[..., object]] = {
    "index": _index,
    "join": lambda parts, separator: separator.join(str(part) for part in parts or ()),
    "json": to_json,
    "lower": str.lower,
    "pad": _pad,
    "split": lambda text, separator: text.split(separator) if separator else list(text),
    "title": lambda text: text[:1].upper() + text[1:],
    "truncate": _truncate,
    "upper": str.upper,
}
