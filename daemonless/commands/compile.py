"""Write the parse table: `python -m daemonless.commands.compile`.

The table is derived from the Typer declarations alone and is committed, so that a start never
pays for typer; a test fails when the two differ.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from daemonless.commands.app import COMMANDS, GROUPS, PROGRAM, SYNONYMS, application, load
from daemonless.commands.grammar import describe

_HEADER = '''"""The parse table of all commands. Generated: `python -m daemonless.commands.compile`."""
# fmt: off

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.commands.parse import Spec

'''


def aliases() -> dict[str, dict[str, tuple[str, dict[str, str]]]]:
    """Return for each group what its members stand for: (command, fixed parameters)."""
    result: dict[str, dict[str, tuple[str, dict[str, str]]]] = {}
    for group, (_, entries) in GROUPS.items():
        names = {name: name for name in entries} | SYNONYMS[group]
        result[group] = {name: (entries[of].command, entries[of].fixed) for name, of in names.items()}
    return result


def source() -> str:
    """Return the text of `daemonless/commands/table.py`."""
    root = describe(application())
    root["arguments"] = (("words", True, False),)  # the command and all that follows it
    parts = [
        _assign("GLOBAL: Spec", root),
        _assign("GROUPS: dict[str, dict[str, tuple[str, dict[str, str]]]]", aliases()),
        _assign("COMMANDS: dict[str, Spec]", {name: describe(load(name)) for name in COMMANDS}),
    ]
    return f"{_HEADER}PROGRAM = {_literal(PROGRAM)}\n" + "".join(parts)


def _assign(target: str, value: Any) -> str:
    return f"{target} = {_literal(value)}\n"


def _literal(value: Any, indent: int = 0) -> str:
    """Return a Python literal; dicts have one entry a line, so that changes can be read."""
    if not isinstance(value, dict) or not value:
        return repr(value)
    pad = "    " * (indent + 1)
    lines = (f"{pad}{key!r}: {_literal(entry, indent + 1)},\n" for key, entry in value.items())
    return "{\n" + "".join(lines) + "    " * indent + "}"


if __name__ == "__main__":
    Path(__file__).with_name("table.py").write_text(source())
