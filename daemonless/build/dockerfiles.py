"""Finding the Dockerfile of a context, and its .dockerignore.

In a context both are foreign files: only regular ones are read, links are followed only within the
context, nothing is waited for, and their size is bounded (CVE-2026-44517).
"""

from __future__ import annotations

import errno
import os

from daemonless.build.trees import Tree, status
from daemonless.errors import InvalidData, NotFound, printable
from daemonless.files import open_beneath, read_fd

DOCKERFILES = ("Containerfile", "Dockerfile")  # the first of them that is there
MAX_FILE = 16 << 20  # bytes of a Dockerfile or an ignore file; most of it would be here-documents
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def read_named(path: str) -> bytes:
    """Return a file at a path of the command line. Raises NotFound, InvalidData."""
    try:
        fd = os.open(path, _READ)
    except OSError as error:
        raise NotFound(f"cannot read {printable(path)}: {error.strerror}") from None
    try:
        return read_fd(fd, MAX_FILE, what=printable(path))
    finally:
        os.close(fd)


def read_inside(tree: Tree, path: str) -> bytes | None:
    """Return a small regular file of the context, None if there is none. Raises InvalidData."""
    try:
        fd = open_beneath(tree.fd, os.fsencode(path), _READ)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.ELOOP):
            raise InvalidData(f"{printable(path)} is a link that leads out of {tree.name}") from None
        raise InvalidData(f"cannot read {printable(path)} in {tree.name}: {error.strerror}") from None
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
            hint = f"{name} is written {name.capitalize()}; or: --file {name}"
    raise NotFound(f"no Containerfile or Dockerfile in {tree.name}", hint)


def read_chosen(tree: Tree, path: str, *, is_foreign: bool) -> tuple[str, bytes, bool]:
    """Return the path of the Dockerfile that --file names, its content, and whether it is the context's.

    Raises NotFound, InvalidData.
    """
    if not is_foreign and (path.startswith("/") or os.path.lexists(path)):
        return path, read_named(path), False
    inside = os.path.normpath(path).lstrip("/")
    content = read_inside(tree, inside)
    if content is None:
        where = f"in {tree.name}" if is_foreign else f"here or in {tree.name}"
        raise NotFound(f"there is no Dockerfile {printable(path)} {where}")
    return inside, content, True


def find_ignore(tree: Tree, dockerfile: str, *, is_inside: bool) -> tuple[str, bytes] | None:
    """Return name and content of the ignore file that counts, None if there is none.

    The one that is named after the Dockerfile, and lies beside it, comes first. `dockerfile` is a
    path in the context, or, unless `is_inside`, of this machine; empty if it is no file at all.
    """
    for suffix in (".dockerignore", ".containerignore") if dockerfile else ():
        path = dockerfile + suffix
        content = read_inside(tree, path) if is_inside else _read_beside(path)
        if content is not None:
            return path, content
    for name in (".containerignore", ".dockerignore"):
        content = read_inside(tree, name)
        if content is not None:
            return name, content
    return None


def _read_beside(path: str) -> bytes | None:
    """Read a file that is beside one of the command line, and may not be a link to elsewhere."""
    directory, _, name = path.rpartition("/")
    try:
        fd = os.open(directory or ("/" if path.startswith("/") else "."), os.O_PATH | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        return read_inside(Tree(fd=fd, name="its directory"), name)
    finally:
        os.close(fd)
