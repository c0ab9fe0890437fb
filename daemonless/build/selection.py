"""Which files of a tree a COPY or ADD means, by BuildKit's rules.

    a source       is taken from the tree's root, however many "..", and links on its way and at its
                   end are followed inside the tree; its own name is what it is called in a directory
    a directory    stands for what is in it
    a pattern      is Go's filepath.Match, component by component; it may match nothing
    .dockerignore  hides files from all of this; a directory that it hides is there if something in
                   it is not hidden

Links below a source are copied as links. Sockets and device nodes are left out.
"""

from __future__ import annotations

import os
import stat

from daemonless.build.globs import component, is_pattern
from daemonless.build.trees import OPEN_DIRECTORY, Tree, open_directory, resolve, status, unreadable
from daemonless.errors import DaemonlessError, NotFound, printable
from daemonless.layers.omitted import Omissions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.dockerfile.steps import CopyWork

_LEFT_OUT = {
    stat.S_IFSOCK: "sockets were left out",
    stat.S_IFCHR: "device nodes were left out",
    stat.S_IFBLK: "device nodes were left out",
}


class Directory:
    """A directory of the selection, and what is in it besides directories."""

    __slots__ = ("files", "parent", "path", "shown", "source", "status")

    def __init__(
        self, source: str, path: str, status: os.stat_result, parent: int = -1, *, shown: bool = True
    ) -> None:
        self.source = source  # its resolved path in the tree
        self.path = path  # relative to the root it belongs to; "" is that itself
        self.status = status
        self.parent = parent  # index of the directory it is in
        self.shown = shown  # whether it is part of the selection for its own sake
        self.files: list[tuple[str, os.stat_result]] = []  # sorted by name


class Root:
    """What one source, or one match of a pattern, stands for."""

    __slots__ = ("directories", "is_directory", "keeps_existing", "name")

    def __init__(
        self,
        name: str,
        directories: list[Directory],
        *,
        is_directory: bool = True,
        keeps_existing: bool = False,
    ) -> None:
        self.name = name  # what a file is called in a destination that is a directory
        # Each directory comes before those in it. A file is the only one in the directory it is in.
        self.directories = directories
        self.is_directory = is_directory
        self.keeps_existing = keeps_existing  # whether directories of the destination stay as they are


class Selection:
    """All that one instruction copies."""

    def __init__(self, tree: Tree, inline: tuple[tuple[str, str], ...] = ()) -> None:
        self.tree = tree
        self.roots: list[Root] = []
        self.inline = inline  # (name, content) of heredocs
        self.unmatched: list[str] = []  # patterns that matched nothing
        self.omitted = Omissions()


def select(tree: Tree, work: CopyWork) -> Selection:
    """Return what `work` copies from `tree`; only names and attributes of files are read.

    Raises NotFound for a source that does not exist, DaemonlessError for what cannot be read.
    """
    selection = Selection(tree, work.inline)
    for source in work.sources:
        _add_source(selection, source)
    return selection


def _add_source(selection: Selection, source: str) -> None:
    parts = _clean(source)
    first = next((i for i, part in enumerate(parts) if is_pattern(part)), len(parts))
    if first == len(parts):
        root = _root(selection, "/".join(parts))
        if root is None:
            raise _missing(selection.tree, source, "/".join(parts))
        selection.roots.append(root)
        return
    matches = _expand(selection.tree, resolve(selection.tree.fd, "/".join(parts[:first])), parts[first:])
    roots = [root for root in (_root(selection, match) for match in matches) if root]
    if not roots:
        selection.unmatched.append(source)
    selection.roots += roots


def _clean(source: str) -> list[str]:
    """Return the components of a source, none of them "..", which lead nowhere above the root."""
    parts: list[str] = []
    for part in source.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return parts


def _root(selection: Selection, path: str) -> Root | None:
    """Return what is at a path of the tree, links followed; None if there is nothing, or it is hidden."""
    tree = selection.tree
    resolved = resolve(tree.fd, path)
    found = status(tree.fd, resolved)
    if found is None:
        return None
    name = path.rpartition("/")[2]
    hidden = tree.hides(resolved)
    if stat.S_ISDIR(found.st_mode):
        if hidden and not tree.may_show_below(resolved):
            return None
        directories = _walk(selection, Directory(resolved, "", found, shown=not hidden))
        return Root(name, directories) if directories else None
    if hidden:
        return None
    parent, _, base = resolved.rpartition("/")
    directory = Directory(parent, "", found)
    if _is_copied(selection, resolved, found):
        directory.files.append((base, found))
    return Root(name, [directory], is_directory=False)


def _walk(selection: Selection, top: Directory) -> list[Directory]:
    """Return `top` and the directories below it, in order, without those that nothing is in or hides."""
    found: list[Directory] = []
    stack = [top]
    while stack:
        directory = stack.pop()
        found.append(directory)
        stack += reversed(_read(selection, directory, len(found) - 1))
    for directory in reversed(found):
        if directory.files:
            directory.shown = True
        if directory.shown and directory.parent >= 0:
            found[directory.parent].shown = True
    return [directory for directory in found if directory.shown]


def _read(selection: Selection, directory: Directory, index: int) -> list[Directory]:
    """Fill in the files of a directory, and return the directories in it."""
    tree = selection.tree
    inner = []
    in_source = directory.source + "/" if directory.source else ""
    in_root = directory.path + "/" if directory.path else ""
    for name, found in _list(tree, directory.source):
        source = in_source + name
        hidden = tree.hides(source)
        if stat.S_ISDIR(found.st_mode):
            if not hidden or tree.may_show_below(source):
                inner.append(Directory(source, in_root + name, found, index, shown=not hidden))
        elif not hidden and _is_copied(selection, source, found):
            directory.files.append((name, found))
    return inner


def _list(tree: Tree, path: str) -> list[tuple[str, os.stat_result]]:
    """Return name and status of all that is in a directory, sorted by name."""
    try:
        fd = open_directory(tree.fd, path, OPEN_DIRECTORY)
    except PermissionError as error:
        raise unreadable(path, error) from None
    except OSError as error:
        raise DaemonlessError(f"{printable(path)} was replaced while it was being read") from error
    try:
        found = []
        with os.scandir(fd) as entries:
            for entry in entries:
                try:
                    found.append((entry.name, entry.stat(follow_symlinks=False)))
                except FileNotFoundError:
                    continue  # gone meanwhile, as a temporary file is
    except PermissionError as error:
        raise unreadable(path, error) from None
    finally:
        os.close(fd)
    found.sort()
    return found


def _is_copied(selection: Selection, source: str, found: os.stat_result) -> bool:
    text = _LEFT_OUT.get(stat.S_IFMT(found.st_mode))
    if text:
        selection.omitted.add(text, os.fsencode(source))
    return text is None


# --- patterns and misspellings ----------------------------------------------------------------


def _expand(tree: Tree, base: str, parts: list[str]) -> list[str]:
    """Return the paths below `base` that the components match, in order; no link is followed on the way."""
    found = [base]
    for part in parts:
        matches = component(part)
        following = []
        for path in found:
            at = status(tree.fd, path)
            if at is None or not stat.S_ISDIR(at.st_mode):
                continue
            if tree.hides(path) and not tree.may_show_below(path):
                continue
            before = path + "/" if path else ""
            following += [before + name for name, _ in _list(tree, path) if matches(name)]
        found = following
    return found


def _missing(tree: Tree, source: str, path: str) -> NotFound:
    """Return the error of a source that is not there, with what it may be misspelt from."""
    where = f"no such file in {tree.name}: {printable(source)!r}"
    resolved = resolve(tree.fd, path)
    if status(tree.fd, resolved) is not None:
        return NotFound(
            f"{where} (.dockerignore excludes it)", "take it out of .dockerignore, or re-include it with !"
        )
    import difflib  # noqa: PLC0415 - for a misspelt name only

    known = ""
    for part in resolved.split("/"):
        inner = f"{known}/{part}" if known else part
        if status(tree.fd, inner) is None:
            names = [name for name, _ in _visible(tree, known)]
            near = difflib.get_close_matches(part, names, 1, 0.5)
            same = [name for name in names if name.lower() == part.lower()]
            for name in (same or near)[:1]:
                shown = printable(f"{known}/{name}" if known else name)
                return NotFound(f"{where} (did you mean {shown!r}?)")
            break
        known = inner
    return NotFound(where)


def _visible(tree: Tree, path: str) -> list[tuple[str, os.stat_result]]:
    """Return what of a directory .dockerignore does not hide; nothing if it is no directory."""
    at = status(tree.fd, path)
    if at is None or not stat.S_ISDIR(at.st_mode):
        return []
    before = path + "/" if path else ""
    return [(name, found) for name, found in _list(tree, path) if not tree.hides(before + name)]
