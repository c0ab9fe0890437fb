"""Build contexts: the command's argument and --build-context, with their .dockerignore.

    PATH             a directory of this machine, which is read where it lies
    -                standard input: a tar archive, or a Dockerfile without a context
    a repository     see daemonless.build.gitrefs; github.com/OWNER/NAME is one, too
    http(s)://...    a tar archive, or a Dockerfile without a context

What is not a directory already becomes one below a directory of the build's own, in one pass.
"""

from __future__ import annotations

import os

from daemonless.build.archives import is_archive_start, unpack
from daemonless.build.cloning import clone
from daemonless.build.dockerfiles import MAX_FILE, find_dockerfile, find_ignore, read_chosen, read_named
from daemonless.build.fetching import open_response
from daemonless.build.gitrefs import parse_git
from daemonless.build.trees import PATH_DIRECTORY, Tree
from daemonless.dockerfile.ignore import parse_ignore
from daemonless.errors import InvalidData, NotFound, UsageError, printable
from daemonless.files import make_private_directory
from daemonless.layers.compression import detect
from daemonless.layers.incoming import Stream, reader
from daemonless.record import Record
from daemonless.registry.errors import redact_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_LOOKED_AT = 1 << 20  # bytes that tell an archive from a Dockerfile; bzip2 has blocks of 900 kB
_OPEN_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_URLS = ("http://", "https://")


class Context(Record):
    """What the command's argument turned out to be. Its tree is to be closed."""

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


def open_context(argument: str, staging: str, *, file: str = "", ignore_file: str = "") -> Context:
    """Open the build context that `argument` names, and find its Dockerfile: `file`, or the usual names.

    `staging` is a directory of the build's own, in which a context that is no directory is put.
    `file` may be "-" or an address. A path is looked for as the command sees it, then in the context;
    of a context from elsewhere it is one in it. Raises NotFound, UsageError, InvalidData, what
    `daemonless.build.fetching` raises, OSError.
    """
    if argument == "-" and file == "-":
        raise UsageError("the Dockerfile and the context cannot both be standard input")
    opened = _open(argument, staging, dockerfile_expected=not file)
    tree = opened.tree
    inside = opened.is_foreign
    try:
        if opened.dockerfile is not None:
            name, content = "Dockerfile", opened.dockerfile
            inside = True
        elif file == "-":
            name, content = "", _read_all(reader(0), "the Dockerfile")
        elif file.startswith(_URLS):
            name, content = "", open_response(file).read_all(MAX_FILE, "the Dockerfile")
        elif file:
            name, content, inside = read_chosen(tree, file, is_foreign=opened.is_foreign)
        else:
            name, content = find_dockerfile(tree)
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


def open_named(context: NamedContext, staging: str) -> Tree:
    """Open the files of a named context, which has an ignore file of its own; errors as `open_context`."""
    if context.value == "-":
        raise UsageError(f"the context {printable(context.name)} cannot be standard input")
    opened = _open(context.value, staging, dockerfile_expected=False)
    tree = opened.tree.replace(name=f"the context {printable(context.name)}")
    try:
        found = find_ignore(tree, "", is_inside=True)
    except BaseException:
        os.close(tree.fd)
        raise
    return tree.replace(ignore=parse_ignore(found[1], found[0])) if found else tree


class _Opened:
    """The files of a context, or a Dockerfile in place of them."""

    def __init__(
        self,
        tree: Tree,
        directory: str,
        *,
        is_foreign: bool = True,
        dockerfile: bytes | None = None,
        warnings: tuple[str, ...] = (),
    ) -> None:
        self.tree = tree
        self.directory = directory
        self.is_foreign = is_foreign  # whether it comes from elsewhere, so that no path leads out of it
        self.dockerfile = dockerfile
        self.warnings = warnings


def _open(argument: str, staging: str, *, dockerfile_expected: bool) -> _Opened:
    repository = parse_git(argument, short=True)
    if argument == "-":
        make_private_directory(staging)
        return _from_stream(reader(0), staging, "standard input", dockerfile_expected=dockerfile_expected)
    if repository is not None and not os.path.isdir(argument):
        make_private_directory(staging)
        keep = repository.keep_git_dir or os.environ.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR", "") in ("1", "true")
        tree = clone(repository, staging, keep_git_dir=keep)
        below = f"/{repository.subdirectory}" if repository.subdirectory else ""
        return _Opened(tree.replace(name="the context", identity=""), f"{staging}/files{below}")
    if argument.startswith(_URLS):
        make_private_directory(staging)
        response = open_response(argument)
        try:
            return _from_stream(
                response.read, staging, redact_url(argument), dockerfile_expected=dockerfile_expected
            )
        finally:
            response.close()
    directory = os.path.abspath(argument)
    return _Opened(open_tree(directory), directory, is_foreign=False)


def open_tree(path: str) -> Tree:
    """Return the tree of a directory of this machine, which the person named. Raises NotFound."""
    try:
        return Tree(fd=os.open(path, _OPEN_DIRECTORY))
    except NotADirectoryError:
        raise NotFound(
            f"{printable(path)} is not a directory, so it is no build context",
            "for a tar archive: daemonless build - < FILE; for a Dockerfile: --file FILE",
        ) from None
    except OSError as error:
        raise NotFound(
            f"cannot use {printable(path)} as a build context: {error.strerror}", "name a directory"
        ) from None


def _from_stream(
    read: Callable[[int], bytes], staging: str, name: str, *, dockerfile_expected: bool
) -> _Opened:
    """Unpack what is read, if it is an archive; a Dockerfile has an empty context."""
    start = b""
    while len(start) < _LOOKED_AT and (data := read(_LOOKED_AT - len(start))):
        start += data
    stream = Stream(read, start)
    directory = f"{staging}/files"
    os.mkdir(directory, 0o755)
    fd = os.open(directory, PATH_DIRECTORY)
    try:
        if is_archive_start(lambda size, at: start[at : at + size]):
            umask = os.umask(0)
            try:
                # all files become the build's, whoever they belonged to
                warnings = unpack(stream.read, fd, name, lambda entry: None)
            finally:
                os.umask(umask)
            return _Opened(Tree(fd=fd), directory, warnings=warnings)
        if detect(start):
            raise InvalidData(f"{name} is compressed, but not a tar archive")
        if not dockerfile_expected:
            raise InvalidData(f"{name} is not a tar archive, so it is no build context")
        return _Opened(Tree(fd=fd), directory, dockerfile=_read_all(stream.read, name))
    except BaseException:
        os.close(fd)
        raise


def _read_all(read: Callable[[int], bytes], what: str) -> bytes:
    """Read a Dockerfile. Raises InvalidData for one that is too large."""
    parts, total = [], 0
    while data := read(1 << 16):
        parts.append(data)
        total += len(data)
        if total > MAX_FILE:
            raise InvalidData(f"{what} is larger than {MAX_FILE} bytes, and not a tar archive")
    return b"".join(parts)
