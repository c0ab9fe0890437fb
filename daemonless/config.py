"""Where things are kept: the XDG base directories, read once and frozen.

    data     $XDG_DATA_HOME/daemonless      durable: images, layers, containers, names
    run      $XDG_RUNTIME_DIR/daemonless    volatile: state of running containers, sockets
    cache    $XDG_CACHE_HOME/daemonless     may be deleted at any time: compiled seccomp programs

`--root` and `--runroot` (or DAEMONLESS_ROOT, DAEMONLESS_RUNROOT) place the first two elsewhere.
All are mode 0700: setuid files of images lie below them, and no other user may reach those.
"""

from __future__ import annotations

import os

from daemonless.errors import SetupFailed
from daemonless.files import make_private_directory
from daemonless.record import Record


class Paths(Record):
    """The three roots, as absolute paths of existing private directories."""

    data: str
    run: str
    cache: str


def load_paths(root: str | None = None, runroot: str | None = None) -> Paths:
    """Return the roots, made if missing.

    Raises SetupFailed if one of them belongs to somebody else, is a link, or is open to others.
    """
    env = os.environ
    uid = os.getuid()
    home = env.get("HOME") or "/nonexistent"
    data = root or env.get("DAEMONLESS_ROOT") or _xdg("XDG_DATA_HOME", f"{home}/.local/share")
    run = runroot or env.get("DAEMONLESS_RUNROOT") or _runtime_directory(uid)
    cache = _xdg("XDG_CACHE_HOME", f"{home}/.cache")
    paths = Paths(data=os.path.abspath(data), run=os.path.abspath(run), cache=cache)
    for path in (paths.data, paths.run):
        _check_private(path, uid)
    return paths


def _xdg(variable: str, default: str) -> str:
    value = os.environ.get(variable, "")
    # the XDG specification: a relative value is invalid and must be ignored
    return f"{value if value.startswith('/') else default}/daemonless"


def _runtime_directory(uid: int) -> str:
    """Return a volatile directory; without a login session one in /tmp, checked to be ours."""
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    for candidate in (given, f"/run/user/{uid}"):
        if candidate.startswith("/") and _owner(candidate) == uid:
            return f"{candidate}/daemonless"
    return f"/tmp/daemonless-{uid}"


def _owner(path: str) -> int | None:
    try:
        return os.stat(path).st_uid
    except OSError:
        return None


def _check_private(path: str, uid: int) -> None:
    try:
        make_private_directory(path)
        status = os.lstat(path)
    except OSError as error:
        raise SetupFailed(
            f"cannot use {path}: {error.strerror}",
            "place it elsewhere with --root and --runroot",
        ) from error
    if status.st_mode & 0o170000 != 0o040000:
        raise SetupFailed(f"{path} is not a directory", "move it away, or use --root and --runroot")
    if status.st_uid != uid:
        raise SetupFailed(f"{path} belongs to uid {status.st_uid}, not to you", "use --root and --runroot")
    if status.st_mode & 0o077:
        raise SetupFailed(f"{path} is open to other users", f"chmod 700 {path}")
