"""How the runs of a container ended: exit.json tells of the last one, and keeps some before it."""

from __future__ import annotations

from daemonless import jsonio
from daemonless.errors import InvalidData
from daemonless.files import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KEPT = 10  # runs, the last one among them


def with_earlier(record: dict[str, Any], path: str) -> dict[str, Any]:
    """Return an exit record with those it replaces, newest first; `path` is the container's exit.json."""
    try:
        last = jsonio.loads(read_file(path), what=path)
    except (OSError, InvalidData):  # the first end, or one whose record was damaged
        return record
    if not isinstance(last, dict):
        return record
    return {**record, "earlier": [{**last, "earlier": []}, *earlier(last)][: KEPT - 1]}


def earlier(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the exit records before this one, newest first."""
    found = record.get("earlier")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
