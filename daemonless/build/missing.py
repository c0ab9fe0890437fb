"""The error of a source that is not there, with what may have been meant."""

from __future__ import annotations

import stat

from daemonless.build.trees import Tree, list_directory, read_link, resolve, status
from daemonless.errors import NotFound, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os

_MAX_COMPARED = 5000  # names in a directory that a misspelt one is compared with


def missing(tree: Tree, source: str, path: str) -> NotFound:
    """Return the error of a source that is not there, with what it may be misspelt from."""
    where = f"no such file in {tree.name}: {printable(source)!r}"
    resolved = resolve(tree.fd, path)
    if status(tree.fd, resolved) is not None:
        return NotFound(
            f"{where} (.dockerignore excludes it)", "take it out of .dockerignore, or re-include it with !"
        )
    parts = path.split("/")
    for name in ("/".join(parts[: count + 1]) for count in range(len(parts))):
        target = read_link(tree.fd, name)
        if target is not None and status(tree.fd, resolve(tree.fd, name)) is None:
            return NotFound(
                f"{where}: {printable(name)} is a link to {printable(target)}",
                f"links lead to what is in {tree.name} only",
            )
    import difflib  # noqa: PLC0415 - for a misspelt name only

    known = ""
    for part in resolved.split("/"):
        inner = f"{known}/{part}" if known else part
        if status(tree.fd, inner) is None:
            names = [name for name, _ in _visible(tree, known)][:_MAX_COMPARED]
            near = difflib.get_close_matches(part, names, 1, 0.5)
            same = [name for name in names if name.lower() == part.lower()]
            for name in (same or near)[:1]:
                shown = printable(f"{known}/{name}" if known else name)
                return NotFound(f"{where} (did you mean {shown!r}?)")
            break
        known = inner
    if source.startswith("../"):
        return NotFound(
            where, f"nothing above {tree.name} can be had; --build-context names other directories"
        )
    if not (tree.owners or _visible(tree, "")):
        return NotFound(
            f"{where} (it is empty)", "with a Dockerfile on standard input, give it files: -f - DIRECTORY"
        )
    return NotFound(where)


def _visible(tree: Tree, path: str) -> list[tuple[str, os.stat_result]]:
    """Return what of a directory .dockerignore does not hide; nothing if it is no directory."""
    at = status(tree.fd, path)
    if at is None or not stat.S_ISDIR(at.st_mode):
        return []
    before = path + "/" if path else ""
    return [(name, found) for name, found in list_directory(tree.fd, path) if not tree.hides(before + name)]
