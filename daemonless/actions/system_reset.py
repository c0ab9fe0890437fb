"""system reset: remove everything there is of this user's, and begin anew."""

from __future__ import annotations

import os

from daemonless.actions.confirm import confirm
from daemonless.actions.each import report
from daemonless.containers import ending
from daemonless.containers.store import ContainerStore
from daemonless.errors import DaemonlessError
from daemonless.layers import trash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args

_DOOMED = (
    "all containers, the running ones are killed",
    "all images, and the build cache",
    "all volumes, with what is in them",
    "all secrets",
    "the log of events and the caches",
)


def main(args: Args) -> int:
    """End and remove the containers, then throw away whatever is left; logins stay.

    Works on damaged state. What another command is doing meanwhile fails. As long as a container
    cannot be removed, nothing is taken from under it.
    """
    if not args.force and not confirm("This removes:", [f"  - {what}" for what in _DOOMED]):
        return 0
    paths = args.paths
    readable, broken = ContainerStore(paths).survey()
    failed = False
    for container in (*readable, *broken):
        try:
            ending.remove_if_there(paths, container)
        except DaemonlessError as error:
            report(error)
            failed = True
    if failed:
        raise DaemonlessError("the rest was not removed, because containers could not be")
    for root in (paths.data, paths.run, paths.cache):
        _clear(root, paths.data)
    trash.empty_in_background(paths.data)
    return 0


def _clear(root: str, data: str) -> None:
    """Throw away all that is in one of the three directories, which may be on different file systems."""
    try:
        names = os.listdir(root)
    except FileNotFoundError:
        return
    for name in names:
        path = f"{root}/{name}"
        if path == f"{data}/trash":
            continue
        try:
            trash.discard(data, path)
        except FileNotFoundError:
            pass  # another command removed it
        except OSError:  # another file system: there is nothing of other ids on it
            _delete(path)


def _delete(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            trash.empty(fd)
        finally:
            os.close(fd)
        os.rmdir(path)
    else:
        os.unlink(path)
