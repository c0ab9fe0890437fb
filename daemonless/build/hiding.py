"""A layer of whiteouts for what .dockerignore leaves out, laid over a context that is mounted as it is."""

from __future__ import annotations

import os
import stat

from daemonless import syscalls as sc
from daemonless.errors import DaemonlessError, printable
from daemonless.isolation.mounts import make_directories
from daemonless.layers.whiteout import make_whiteout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.build.runjob import Ignore

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PLAIN = sc.RESOLVE_BENEATH | sc.RESOLVE_NO_SYMLINKS


class _Directory:
    """A directory of the context that is being looked through."""

    def __init__(self, fd: int, path: str, names: list[str], *, excluded: bool) -> None:
        self.fd = fd
        self.path = path  # relative to the context
        self.names = names
        self.excluded = excluded
        self.hidden: list[str] = []
        self.is_touched = False  # whiteouts are in it or below
        self.shows = False  # something in it stays visible


def hide_ignored(context: str, source: str, ignore: Ignore, layer: str) -> bool:
    """Make whiteouts in the directory `layer` for what `ignore` leaves out; return whether there are any.

    Only what is at `source` or below is looked at, unless a link is on the way to it. A directory
    is hidden if nothing in it is to be seen. Raises DaemonlessError for a directory that cannot be read.
    """
    layer_fd = os.open(layer, _DIRECTORY)
    stack = [_first(context, source)]
    is_any = False
    try:
        while stack:
            current = stack[-1]
            if current.names:
                _look(stack, current, current.names.pop(), ignore)
                continue
            if len(stack) > 1 and current.excluded and not current.shows:
                stack[-2].hidden.append(current.path.rpartition("/")[2])
            elif current.hidden or current.is_touched:
                _hide(layer_fd, current)
                is_any = True
                if len(stack) > 1:
                    stack[-2].is_touched = True
            if len(stack) > 1 and current.shows:
                stack[-2].shows = True
            os.close(stack.pop().fd)
    finally:
        os.close(layer_fd)
        for directory in stack:
            os.close(directory.fd)
    return is_any


def _first(context: str, source: str) -> _Directory:
    """Return the directory to begin with, and what of it matters."""
    top = os.open(context, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    path = source.strip("/")
    parent, _, name = path.rpartition("/")
    if name not in ("", ".", ".."):
        try:
            fd = sc.openat2(top, os.fsencode(parent) or b".", _DIRECTORY, 0, _PLAIN)
        except OSError:  # it goes through a link, or is not there
            return _Directory(top, "", os.listdir(top), excluded=False)
        try:
            is_link = stat.S_ISLNK(os.lstat(name, dir_fd=fd).st_mode)
        except FileNotFoundError:
            is_link = True
        if not is_link and os.path.normpath(path) == path:
            os.close(top)
            return _Directory(fd, parent, [name], excluded=False)
        os.close(fd)
    return _Directory(top, "", os.listdir(top), excluded=False)


def _look(stack: list[_Directory], current: _Directory, name: str, ignore: Ignore) -> None:
    """Decide about one entry; a directory that is to be looked through is put on the stack."""
    path = f"{current.path}/{name}" if current.path else name
    excluded = ignore.excludes(path)
    try:
        is_directory = stat.S_ISDIR(os.lstat(name, dir_fd=current.fd).st_mode)
        if excluded and not (is_directory and ignore.may_reinclude_below(path)):
            current.hidden.append(name)
            return
        current.shows |= not excluded
        if is_directory:
            fd = os.open(name, _DIRECTORY, dir_fd=current.fd)
            stack.append(_Directory(fd, path, os.listdir(fd), excluded=excluded))
    except FileNotFoundError:  # it has gone meanwhile
        return
    except OSError as error:
        raise DaemonlessError(
            f"cannot read {printable(path)} of the context: {error.strerror}",
            "make it readable, or leave it out with .dockerignore",
        ) from error


def _hide(layer_fd: int, directory: _Directory) -> None:
    """Make the directory in the layer, looking like the context's own, with its whiteouts."""
    fd = make_directories(layer_fd, os.fsencode(directory.path))
    status = os.fstat(directory.fd)
    for name in directory.hidden:
        make_whiteout(fd, os.fsencode(name))
    link = f"/proc/self/fd/{fd}"  # it is a descriptor of O_PATH
    os.chmod(link, stat.S_IMODE(status.st_mode) & 0o777)
    os.utime(link, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.close(fd)
