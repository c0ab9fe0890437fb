r"""`--format`: JSON, tables and Go templates.

Templates made of plain fields - `{{.ID}}`, `{{.State.Status}}`, `{{json .Config.Env}}` - are
rendered here; they are what scripts use. Everything else goes to PyPI's `gotpl`.

Why gotpl, and why only then: of the docker and podman idioms we tried (range, index, with, if,
variables, pipelines, printf, trim markers, comments, nested templates, slice, comparison) it
renders each as Go does, errors included. But its import costs 100 ms, for it brings HTML escaping,
an async engine and time zones along. Two things are adjusted: `index` of a missing key is empty,
as in Go for the maps of strings that labels are, and the functions docker and podman add are ours.
"""

from __future__ import annotations

from daemonless import jsonio
from daemonless.actions import columns
from daemonless.actions.values import Struct, completed, lookup, to_json, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    Piece = str | tuple[str, tuple[str, ...]]  # text, or (function or "", the path of fields)

_IDENTIFIER = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


class Template:
    """One parsed `--format` template."""

    def __init__(self, source: str) -> None:
        # The shell passes \t and \n as two characters each; docker and podman expand them too.
        self.source = source.replace("\\t", "\t").replace("\\n", "\n")
        self._pieces = _parse(self.source)
        self._general: Callable[[Any, bool], str] | None = None

    def render(self, data: Any, *, heading: bool = False) -> str:
        """Render the template for `data`; for a heading, functions leave their argument as it is."""
        if self._pieces is None:
            return self._render_general(data, heading)
        return "".join(
            piece if isinstance(piece, str) else _evaluate(data, piece, heading) for piece in self._pieces
        )

    def _render_general(self, data: Any, heading: bool) -> str:
        if self._general is None:
            from daemonless.actions.gotemplate import compile_template  # noqa: PLC0415 - gotpl: 100 ms

            self._general = compile_template(self.source)
        return self._general(data, heading)


def _evaluate(data: Any, piece: tuple[str, tuple[str, ...]], heading: bool) -> str:
    function, path = piece
    value = data
    for field in path:
        value = lookup(value, field)
    return to_json(value) if function and not heading else to_text(value)


def _parse(source: str) -> list[Piece] | None:
    """Split a template into text and plain fields; None if it has more than that."""
    pieces: list[Piece] = []
    rest = source
    while rest:
        text, opened, rest = rest.partition("{{")
        if text:
            pieces.append(text)
        if not opened:
            break
        action, closed, rest = rest.partition("}}")
        words = action.split()
        function = words.pop(0) if len(words) == 2 and words[0] == "json" else ""
        path = _path(words[0]) if len(words) == 1 and closed else None
        if path is None:
            return None
        pieces.append((function, path))
    return pieces


def _path(word: str) -> tuple[str, ...] | None:
    """Return the fields of `.A.B`, none for `.`; None if the word is something else."""
    if word == ".":
        return ()
    first, *fields = word.split(".")
    if first or not all(field and _IDENTIFIER.issuperset(field) for field in fields):
        return None
    return tuple(fields)


def pretty(value: Any, indent: str = "\n") -> str:
    """Return JSON with four spaces for each level, as `inspect` prints it."""
    value = completed(value)
    deeper = f"{indent}    "
    if isinstance(value, dict) and value:
        inner = [f"{jsonio.dumps(str(key))}: {pretty(entry, deeper)}" for key, entry in value.items()]
        return f"{{{deeper}{f',{deeper}'.join(inner)}{indent}}}"
    if isinstance(value, (list, tuple)) and value:
        inner = [pretty(entry, deeper) for entry in value]
        return f"[{deeper}{f',{deeper}'.join(inner)}{indent}]"
    return jsonio.dumps(value)


class Listing(list):  # type: ignore[type-arg] # see Struct
    """Rows to print as `--format` says."""

    def __init__(self, rows: Iterable[Struct], headings: Mapping[str, str]) -> None:
        super().__init__(rows)
        self.headings = headings

    def render(self, template: str, *, noheading: bool = False, as_json: Sequence[Any] | None = None) -> str:
        """Return the whole output: an array for `json`, else a line for each row.

        `table TEMPLATE` aligns the columns that tabs separate, below their headings; `as_json` is
        what `json` shows, if that is not the rows themselves.
        """
        if template.strip() == "json":
            return pretty([*(self if as_json is None else as_json)]) + "\n"
        is_table = template.startswith("table ")
        parsed = Template(template.removeprefix("table ").strip(" ") if is_table else template)
        lines = [parsed.render(row).removesuffix("\n") for row in self]
        if not is_table:
            return "".join(f"{line}\n" for line in lines)
        if not noheading:
            lines.insert(0, parsed.render(_Headings(self.headings), heading=True))
        return columns.table([line.split("\t") for line in lines])


class _Headings(Struct):
    """The heading of any field: its own, or its name in capitals."""

    def __missing__(self, field: str) -> str:
        return field.upper()


def render_object(template: str, value: Struct) -> str:
    """Return one object as `--format` says, with a newline at its end."""
    if template.strip() == "json":
        return pretty(value) + "\n"
    return Template(template).render(value).removesuffix("\n") + "\n"
