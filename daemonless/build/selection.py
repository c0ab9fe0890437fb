"""Which files of a tree a COPY or ADD means, by BuildKit's rules.

    a source       is taken from the tree's root, however many "..", and links on its way and at its
                   end are followed inside the tree; its own name is what it is called in a directory
    a directory    stands for what is in it
    a pattern      is Go's filepath.Match, component by component; it may match nothing
    --exclude      leaves out what moby's patternmatcher matches below a source, or a source by its name
    --parents      keeps the directories that a source is named with, after "/./" if that is in it
    .dockerignore  hides files from all of this

A directory that is left out is there all the same if something in it is not. Links below a source
are copied as links. Sockets and device nodes are left out.
"""

from __future__ import annotations

import os
import stat

from daemonless.build.missing import missing
from daemonless.build.trees import Tree, list_directory, resolve, status
from daemonless.dockerfile.ignore import IgnoreMatcher, parse_ignore
from daemonless.dockerfile.patterns import compiled, is_pattern
from daemonless.errors import UsageError, printable
from daemonless.layers.omitted import Omissions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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

    def path_of(self, name: str) -> str:
        """Return the path in the tree of one of its files."""
        return f"{self.source}/{name}" if self.source else name


class Root:
    """What one source, or one match of a pattern, stands for."""

    __slots__ = ("directories", "is_directory", "keeps_existing", "name", "tree")

    def __init__(
        self,
        tree: Tree,
        name: str,
        directories: list[Directory],
        *,
        is_directory: bool = True,
        keeps_existing: bool = False,
    ) -> None:
        self.tree = tree
        self.name = name  # what a file is called in a destination that is a directory
        # Each directory comes before those in it. A file is the only one in the directory it is in.
        self.directories = directories
        self.is_directory = is_directory
        self.keeps_existing = keeps_existing  # whether directories of the destination stay as they are


class Selection:
    """All that one instruction copies."""

    def __init__(self, inline: tuple[tuple[str, str], ...] = ()) -> None:
        self.roots: list[Root] = []
        self.inline = inline  # (name, content) of heredocs
        self.unmatched: list[str] = []  # patterns that matched nothing
        self.omitted = Omissions()


def select(tree: Tree, work: CopyWork, fetched: Mapping[str, Tree] = {}) -> Selection:
    """Return what `work` copies from `tree`; only names and attributes of files are read.

    `fetched` has what became of sources that are URLs (`daemonless.build.fetching`). Raises NotFound
    for a source that does not exist, UsageError for a bad pattern, DaemonlessError for what cannot
    be read.
    """
    selection = Selection(work.inline)
    excluded = _matcher(work.exclude, "--exclude") if work.exclude else None
    for source in work.sources:
        if source in fetched:
            _add_fetched(selection, fetched[source], _Filter(fetched[source], excluded))
        elif work.parents:
            _add_with_parents(selection, tree, source, excluded)
        else:
            _add_source(selection, _Filter(tree, excluded), source)
    return selection


def select_path(tree: Tree, path: str) -> Selection:
    """Return all that is at one path of the tree, which is never a pattern. Errors as `select`."""
    selection = Selection()
    _add_path(selection, _Filter(tree), path)
    return selection


class _Filter:
    """What of a tree is taken; paths are those in the tree, and those below the source."""

    def __init__(
        self,
        tree: Tree,
        excluded: IgnoreMatcher | None = None,
        included: IgnoreMatcher | None = None,
        included_below: IgnoreMatcher | None = None,
    ) -> None:
        self.tree = tree
        self.is_plain = not (tree.ignore or excluded or included)  # everything is taken
        self._excluded = excluded
        self._included = included
        self._included_below = included_below

    def takes(self, path: str, below: str) -> bool:
        """Return whether a file or directory is taken for its own sake."""
        if self.tree.hides(path):
            return False
        if self._included and not self._included.excludes(below):
            return False
        return not (self._excluded and self._excluded.excludes(below))

    def may_take_below(self, path: str, below: str) -> bool:
        """Return whether something may be taken that is in a directory which is not."""
        if self.tree.hides(path) and not self.tree.may_show_below(path):
            return False
        if (
            self._excluded
            and self._excluded.excludes(below)
            and not self._excluded.may_reinclude_below(below)
        ):
            return False
        if self._included and self._included_below and not self._included.excludes(below):
            return self._included_below.may_reinclude_below(below)
        return True

    def drops(self, name: str) -> bool:
        """Return whether a source is left out by its own name."""
        return self._excluded is not None and self._excluded.excludes(name)


def _matcher(patterns: tuple[str, ...], what: str) -> IgnoreMatcher:
    # each of its own: what begins with "#" is a comment in a file
    lines = [f"\\{pattern}" if pattern.startswith("#") else pattern for pattern in patterns]
    return parse_ignore("\n".join(lines).encode("utf-8", "surrogateescape"), what)


def _add_source(selection: Selection, filter_: _Filter, source: str) -> None:
    parts = _clean(source)
    if not any(map(is_pattern, parts)):
        _add_path(selection, filter_, source)
        return
    found = False
    for match in _places(filter_.tree, parts):
        root = _root(selection, filter_, match)
        if root and not (root.is_directory and filter_.drops(root.name)):
            selection.roots.append(root)
            found = True
    if not found:
        selection.unmatched.append(source)


def _add_path(selection: Selection, filter_: _Filter, source: str) -> None:
    path = "/".join(_clean(source))
    root = _root(selection, filter_, path)
    if root is None:
        raise missing(filter_.tree, source, path)
    selection.roots.append(root)


def _add_with_parents(selection: Selection, tree: Tree, source: str, excluded: IgnoreMatcher | None) -> None:
    """Add what matches a source below its pivot, with the directories between the two."""
    pivot, dot, rest = source.partition("/./")
    parts = _clean(rest if dot else source)
    if not parts:
        _add_source(selection, _Filter(tree, excluded), source)
        return
    pattern = "/".join(parts)
    if pattern.startswith(("!", "#")):
        pattern = "\\" + pattern
    filter_ = _Filter(tree, excluded, _matcher((pattern,), source), _matcher(("!" + pattern,), source))
    known = len(selection.roots)
    for top in _places(tree, _clean(pivot) if dot else []):
        found = status(tree.fd, top)
        if found is not None and stat.S_ISDIR(found.st_mode):
            directories = _walk(selection, filter_, Directory(top, "", found, shown=False))
            if directories:
                selection.roots.append(Root(tree, "", directories, keeps_existing=True))
    if len(selection.roots) > known:
        return
    if is_pattern(source):
        selection.unmatched.append(source)
    else:
        raise missing(tree, source, source)


def _add_fetched(selection: Selection, tree: Tree, filter_: _Filter) -> None:
    """Add all of a repository, or the one file that a URL gave."""
    root = _root(selection, filter_, tree.file)
    if root:
        selection.roots.append(root)


def _clean(source: str) -> list[str]:
    """Return the components of a source, none of them "..", which lead nowhere above the root."""
    parts: list[str] = []
    for part in source.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return parts


def _root(selection: Selection, filter_: _Filter, path: str) -> Root | None:
    """Return what is at a path of the tree, links followed; None if there is nothing, or it is hidden."""
    tree = filter_.tree
    resolved = resolve(tree.fd, path)
    found = status(tree.fd, resolved)
    if found is None:
        return None
    name = path.rpartition("/")[2]
    hidden = tree.hides(resolved)
    if stat.S_ISDIR(found.st_mode):
        if hidden and not tree.may_show_below(resolved):
            return None
        directories = _walk(selection, filter_, Directory(resolved, "", found, shown=not hidden))
        return Root(tree, name, directories) if directories else None
    if hidden:
        return None
    parent, _, base = resolved.rpartition("/")
    directory = Directory(parent, "", found)
    if not filter_.drops(name) and _is_copied(selection, resolved, found):
        directory.files.append((base, found))
    return Root(tree, name, [directory], is_directory=False)


def _walk(selection: Selection, filter_: _Filter, top: Directory) -> list[Directory]:
    """Return `top` and the directories below it, in order, without those that nothing is taken of."""
    found: list[Directory] = []
    stack = [top]
    while stack:
        directory = stack.pop()
        found.append(directory)
        stack += reversed(_read(selection, filter_, directory, len(found) - 1))
    for directory in reversed(found):
        if directory.files:
            directory.shown = True
        if directory.shown and directory.parent >= 0:
            found[directory.parent].shown = True
    return [directory for directory in found if directory.shown]


def _read(selection: Selection, filter_: _Filter, directory: Directory, index: int) -> list[Directory]:
    """Fill in the files of a directory, and return the directories in it."""
    inner = []
    in_tree = directory.source + "/" if directory.source else ""
    below_source = directory.path + "/" if directory.path else ""
    for name, found in list_directory(filter_.tree.fd, directory.source):
        path, below = in_tree + name, below_source + name
        taken = filter_.is_plain or filter_.takes(path, below)
        if stat.S_ISDIR(found.st_mode):
            if taken or filter_.may_take_below(path, below):
                inner.append(Directory(path, below, found, index, shown=taken))
        elif taken and _is_copied(selection, path, found):
            directory.files.append((name, found))
    return inner


def _is_copied(selection: Selection, source: str, found: os.stat_result) -> bool:
    text = _LEFT_OUT.get(stat.S_IFMT(found.st_mode))
    if text:
        selection.omitted.add(text, os.fsencode(source))
    return text is None


# --- patterns ----------------------------------------------------------------------------------


def _places(tree: Tree, parts: list[str]) -> list[str]:
    """Return the paths that the components match, in order.

    Links are followed before the first pattern, and no more from there on.
    """
    first = next((i for i, part in enumerate(parts) if is_pattern(part)), len(parts))
    found = [resolve(tree.fd, "/".join(parts[:first]))]
    for part in parts[first:]:
        matches = _component(part)
        following = []
        for path in found:
            at = status(tree.fd, path)
            if at is None or not stat.S_ISDIR(at.st_mode):
                continue
            if tree.hides(path) and not tree.may_show_below(path):
                continue
            before = path + "/" if path else ""
            following += [before + name for name, _ in list_directory(tree.fd, path) if matches(name)]
        found = following
    return found


def _component(part: str) -> Callable[[str], bool]:
    try:
        return compiled(part, deep=False)
    except ValueError:
        raise UsageError(f"syntax error in the pattern {printable(part)!r}", "write [ as \\\\[") from None
