"""The form of every `inspect`: all objects that exist as one JSON array, or through a template each."""

from __future__ import annotations

from daemonless.actions.each import report
from daemonless.actions.format import Template, pretty
from daemonless.errors import DaemonlessError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeVar

    from daemonless.actions.values import Struct

    Found = TypeVar("Found")


def inspect_each(
    names: Iterable[str], find: Callable[[str], Found], show: Callable[[list[Found]], None]
) -> int:
    """Show what `find` returns for the names, then report the failures; 0, or the last one's status."""
    found: list[Found] = []
    errors: list[DaemonlessError] = []
    for name in names:
        try:
            found.append(find(name))
        except DaemonlessError as error:
            errors.append(error)
    show(found)
    for missing in errors:
        report(missing)
    return errors[-1].exit_status if errors else 0


def show_values(values: Sequence[Struct], template: str | None) -> None:
    """Print the values as `--format` says."""
    if template is None or template.strip() == "json":
        print(pretty(values))
        return
    parsed = Template(template)
    for value in values:
        print(parsed.render(value))
