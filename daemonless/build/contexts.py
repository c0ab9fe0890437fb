"""Build contexts: the command's argument and --build-context, with their .dockerignore.

    PATH             a directory of this machine, which is read where it lies
    -                standard input: a tar archive, or a Dockerfile without a context
    a repository     see daemonless.build.gitrefs; github.com/OWNER/NAME is one, too
    http(s)://...    a tar archive, or a Dockerfile without a context

What is not a directory already becomes one below a directory of the build's own, in one pass.
"""

from __future__ import annotations

import os

from daemonless.build.dockerfiles import find_dockerfile, find_ignore, read_chosen, read_named
from daemonless.build.opened import Opened
from daemonless.build.trees import Tree
from daemonless.dockerfile.ignore import parse_ignore
from daemonless.errors import NotFound, UsageError, printable
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

_OPEN_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_URLS = ("http://", "https://")


class Context(Record):
    """What the command's argument turned out to be. Its tree stays open while the process lasts."""

    tree: Tree
    dockerfile_name: str
    dockerfile: bytes
    ignore_name: str  # of the ignore file that counts; empty if there is none
    directory: str  # where the tree's files are
    warnings: tuple[str, ...]


class NamedContext(Record):
    """One --build-context."""

    name: str
    kind: str  # image, layout, stage, or files
    value: str


def open_context(
    argument: str, staging: str, *, file: str = "", ignore_file: str = "", keep_git_dir: bool = False
) -> Context:
    """Open the build context that `argument` names, and find its Dockerfile: `file`, or the usual names.

    `staging` is a directory of the build's own, in which a context that is no directory is put.
    `file` may be "-" or an address. A path is looked for as the command sees it, then in the context;
    of a context from elsewhere it is one in it. `keep_git_dir` leaves a repository its .git.
    Raises NotFound, UsageError, InvalidData, what `daemonless.build.fetching` raises, OSError.
    """
    if argument == "-" and file == "-":
        raise UsageError("the Dockerfile and the context cannot both be standard input")
    opened = _open(argument, staging, dockerfile_expected=not file, keep_git_dir=keep_git_dir)
    tree = opened.tree
    inside = opened.is_foreign
    try:
        if opened.dockerfile is not None:
            name, content = "Dockerfile", opened.dockerfile
            inside = True
        elif file == "-":
            name, content = "", _elsewhere().dockerfile_on_stdin()
        elif file.startswith(_URLS):
            name, content = "", _elsewhere().dockerfile_at(file)
        elif file:
            name, content, inside = read_chosen(tree, file, is_foreign=opened.is_foreign)
        else:
            where = tree.name if opened.is_foreign else printable(opened.directory)
            name, content = find_dockerfile(tree.replace(name=where))
            inside = True
        found: tuple[str, bytes] | None = None
        if ignore_file:
            found = ignore_file, read_named(ignore_file)
        else:
            found = find_ignore(tree, name, is_inside=inside)
        if found:
            tree = tree.replace(ignore=parse_ignore(found[1], found[0]))
    except BaseException:
        os.close(tree.fd)
        raise
    return Context(
        tree=tree,
        dockerfile_name=name or "Dockerfile",
        dockerfile=content,
        ignore_name=found[0] if found else "",
        directory=opened.directory,
        warnings=opened.warnings,
    )


def parse_named(text: str) -> NamedContext:
    """Return what `--build-context=NAME=VALUE` says. Raises UsageError."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise UsageError(
            f"--build-context={printable(text)} is not NAME=VALUE",
            "for example: --build-context src=../src, or base=docker-image://alpine",
        )
    for prefix, kind in (("docker-image://", "image"), ("oci-layout://", "layout"), ("target:", "stage")):
        if value.startswith(prefix):
            return NamedContext(name=name.lower(), kind=kind, value=value.removeprefix(prefix))
    return NamedContext(name=name.lower(), kind="files", value=value)


def open_named(context: NamedContext, staging: str) -> tuple[Tree, str]:
    """Open the files of a named context, which has an ignore file of its own; return where they are, too.

    Errors as `open_context`.
    """
    if context.value == "-":
        raise UsageError(f"the context {printable(context.name)} cannot be standard input")
    opened = _open(context.value, staging, dockerfile_expected=False)
    tree = opened.tree.replace(name=f"the context {printable(context.name)}")
    try:
        found = find_ignore(tree, "", is_inside=True)
    except BaseException:
        os.close(tree.fd)
        raise
    if found:
        tree = tree.replace(ignore=parse_ignore(found[1], found[0]))
    return tree, opened.directory


def _open(argument: str, staging: str, *, dockerfile_expected: bool, keep_git_dir: bool = False) -> Opened:
    if os.path.isdir(argument):
        try:
            directory = os.path.abspath(argument)
        except FileNotFoundError:
            raise NotFound("the current directory was removed", "go to another one, or back: cd .") from None
        return Opened(open_tree(directory), directory, is_foreign=False)
    opened: Opened | None = _elsewhere().open_elsewhere(
        argument, staging, dockerfile_expected=dockerfile_expected, keep_git_dir=keep_git_dir
    )
    if opened is None:
        raise _no_directory(argument)
    return opened


def _elsewhere() -> ModuleType:
    from daemonless.build import elsewhere  # noqa: PLC0415 - HTTP and compression: 100 ms that few need

    return elsewhere


def open_tree(path: str) -> Tree:
    """Return the tree of a directory of this machine, which the person named. Raises NotFound."""
    try:
        return Tree(fd=os.open(path, _OPEN_DIRECTORY))
    except OSError as error:
        raise NotFound(
            f"cannot use {printable(path)} as a build context: {error.strerror}", "name a directory"
        ) from None


def _no_directory(path: str) -> NotFound:
    if os.path.lexists(path):
        return NotFound(
            f"{printable(path)} is not a directory, so it is no build context",
            "for a tar archive: daemonless build - < FILE; for a Dockerfile: --file FILE",
        )
    return NotFound(
        f"cannot use {printable(path)} as a build context: No such file or directory", "name a directory"
    )
