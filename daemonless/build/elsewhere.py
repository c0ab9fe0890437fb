"""Build contexts from elsewhere: standard input, an address, a git repository."""

from __future__ import annotations

import os

from daemonless.build.archives import is_archive_start, unpack
from daemonless.build.cloning import clone
from daemonless.build.dockerfiles import MAX_FILE
from daemonless.build.gitrefs import parse_git
from daemonless.build.opened import Opened
from daemonless.build.trees import PATH_DIRECTORY, Tree
from daemonless.errors import InvalidData
from daemonless.files import make_private_directory
from daemonless.images.web import open_url
from daemonless.layers.compression import detect
from daemonless.layers.incoming import Stream, reader
from daemonless.registry.errors import redact_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_LOOKED_AT = 1 << 20  # bytes that tell an archive from a Dockerfile; bzip2 has blocks of 900 kB
_URLS = ("http://", "https://")


def dockerfile_on_stdin() -> bytes:
    """Return the Dockerfile on standard input. Raises InvalidData for one that is too large."""
    return _read_all(reader(0), "the Dockerfile")


def dockerfile_at(url: str) -> bytes:
    """Return the Dockerfile at an address; raises what `images.web` does, and InvalidData."""
    return open_url(url).read_all(MAX_FILE, "the Dockerfile")


def open_elsewhere(
    argument: str, staging: str, *, dockerfile_expected: bool, keep_git_dir: bool
) -> Opened | None:
    """Open a context that is no directory of this machine; None if it is nothing else either."""
    repository = parse_git(argument, short=True)
    if argument == "-":
        make_private_directory(staging)
        return _from_stream(reader(0), staging, "standard input", dockerfile_expected=dockerfile_expected)
    if repository is not None:
        make_private_directory(staging)
        tree = clone(repository, staging, keep_git_dir=keep_git_dir or bool(repository.keep_git_dir))
        below = f"/{repository.subdirectory}" if repository.subdirectory else ""
        return Opened(tree.replace(name="the context", identity=""), f"{staging}/files{below}")
    if argument.startswith(_URLS):
        make_private_directory(staging)
        response = open_url(argument)
        try:
            return _from_stream(
                response.read, staging, redact_url(argument), dockerfile_expected=dockerfile_expected
            )
        finally:
            response.close()
    return None


def _from_stream(
    read: Callable[[int], bytes], staging: str, name: str, *, dockerfile_expected: bool
) -> Opened:
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
            return Opened(Tree(fd=fd), directory, warnings=warnings)
        if detect(start):
            raise InvalidData(f"{name} is compressed, but not a tar archive")
        if not dockerfile_expected:
            raise InvalidData(f"{name} is not a tar archive, so it is no build context")
        return Opened(Tree(fd=fd), directory, dockerfile=_read_all(stream.read, name))
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
