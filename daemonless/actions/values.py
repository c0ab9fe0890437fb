"""The values that `--format` shows, with Go's rules for fields and for printing.

Go tells structs from maps: an unknown field of a struct is an error, a missing key of a map
prints `<no value>`. `Struct` marks the first kind; a plain dict is the second.
"""

from __future__ import annotations

from daemonless import jsonio
from daemonless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

NO_VALUE = "<no value>"


class Struct(dict):  # type: ignore[type-arg] # of any values: a generic base costs an import
    """A value whose fields are fixed, so that asking for another one is a mistake."""

    def complete(self) -> Mapping[str, Any]:
        """Return all fields; a subclass may work some out only when asked."""
        return self

    def __gotemplate_lookup__(self, field: str) -> Any:
        """Find a field; gotpl calls this."""
        return lookup(self, field)


def lookup(value: Any, field: str) -> Any:
    """Return a field as `{{.Field}}` finds it; raises UsageError where Go would."""
    if value is None:
        return None
    if isinstance(value, Struct):
        try:
            return value[field]
        except KeyError:
            raise UsageError(f"bad template: can't evaluate field {field}", _fields(value)) from None
    if isinstance(value, dict):
        return value.get(field)
    raise UsageError(f"bad template: can't evaluate field {field} in {to_text(value)!r}")


def _fields(value: Struct) -> str:
    return f"the fields are {', '.join(sorted(value.complete()))}"


def to_text(value: Any) -> str:
    """Return a value the way Go's %v prints it."""
    if isinstance(value, str):
        return value
    if value is None:
        return NO_VALUE
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Struct):
        return "{" + " ".join(_nested(inner) for inner in value.complete().values()) + "}"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{_nested(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(_nested(inner) for inner in value) + "]"
    return str(value)


def _nested(value: Any) -> str:
    return "<nil>" if value is None else to_text(value)


def to_json(value: Any) -> str:
    """Return compact JSON."""
    return jsonio.dumps(completed(value))


def completed(value: Any) -> Any:
    """Return a value that can be written as JSON."""
    return value.complete() if isinstance(value, Struct) else value
