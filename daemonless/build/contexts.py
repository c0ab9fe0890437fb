"""The build context: where COPY takes files from, with its Dockerfile and its .dockerignore."""

from __future__ import annotations

import errno
import os

from daemonless.build.trees import Tree, status
from daemonless.errors import InvalidData, NotFound, printable
from daemonless.files import open_beneath, read_fd

DOCKERFILES = ("Containerfile", "Dockerfile")  # the first of them that is there
MAX_FILE = 16 << 20  # bytes of a Dockerfile or an ignore file; most of it would be here-documents
_PATH_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def open_tree(path: str) -> Tree:
    """Return the tree of a directory of this machine, which the person named. Raises NotFound."""
    try:
        return Tree(fd=os.open(path, _PATH_DIRECTORY))
    except OSError as error:
        raise NotFound(
            f"cannot use {printable(path)} as a build context: {error.strerror}", "name a directory"
        ) from None


def read_named(path: str) -> bytes:
    """Return a Dockerfile at a path of the command line. Raises NotFound, InvalidData."""
    try:
        fd = os.open(path, _READ)
    except OSError as error:
        raise NotFound(f"cannot read the Dockerfile {printable(path)}: {error.strerror}") from None
    try:
        return read_fd(fd, MAX_FILE, what=printable(path))
    finally:
        os.close(fd)


def read_inside(tree: Tree, path: str) -> bytes | None:
    """Return a small regular file of the context, None if there is none.

    A link is followed only as far as it stays in the context. Raises InvalidData.
    """
    try:
        fd = open_beneath(tree.fd, os.fsencode(path), _READ)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.ELOOP):
            raise InvalidData(f"{printable(path)} is a link that leads out of {tree.name}") from None
        raise InvalidData(f"cannot read {printable(path)}: {error.strerror}") from None
    try:
        return read_fd(fd, MAX_FILE, what=printable(path))
    finally:
        os.close(fd)


def find_dockerfile(tree: Tree) -> tuple[str, bytes]:
    """Return name and content of the context's own Dockerfile. Raises NotFound, InvalidData."""
    for name in DOCKERFILES:
        content = read_inside(tree, name)
        if content is not None:
            return name, content
    hint = "name it with --file"
    for name in ("dockerfile", "containerfile"):
        if status(tree.fd, name) is not None:
            hint = f"it is called Dockerfile, with a capital letter; or: --file {name}"
    raise NotFound(f"no Containerfile or Dockerfile in {tree.name}", hint)


def find_ignore(tree: Tree, dockerfile: str, *, is_inside: bool) -> tuple[str, bytes] | None:
    """Return name and content of the ignore file that counts, None if there is none.

    The one that is named after the Dockerfile, and lies beside it, comes first. `dockerfile` is a
    path of the context, or, unless `is_inside`, of this machine; empty if it is no file at all.
    """
    for suffix in (".dockerignore", ".containerignore") if dockerfile else ():
        path = dockerfile + suffix
        if is_inside:
            content = read_inside(tree, path)
        else:
            content = read_named(path) if os.path.lexists(path) else None
        if content is not None:
            return path, content
    for name in (".containerignore", ".dockerignore"):
        content = read_inside(tree, name)
        if content is not None:
            return name, content
    return None
