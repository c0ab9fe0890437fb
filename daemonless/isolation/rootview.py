"""A container's root directory as a descriptor, for a child that is root of its user namespace.

Of a running container it is the very root that its processes see: only the user namespace is
joined, and /proc/PID/root crosses into the container's mounts. The child stays in the host's mount
and pid namespaces, so nothing of the container is ever imported or executed by it.

Of a stopped one it is mounted in a mount namespace of the child's own, which ends with it: to read,
with the writable layer as the topmost *lower* one, so that the view is in nobody's way; to write,
as a start would.

The child is not dumpable: no process of the container may trace it (CVE-2016-9962), whichever
namespaces the two share.
"""

from __future__ import annotations

import _signal
import os

from daemonless import syscalls as sc
from daemonless.isolation import identity
from daemonless.isolation.mounts import Options, mount_overlay, perform
from daemonless.isolation.rootfs import mount_first, own_upper
from daemonless.isolation.sync import FAILED, READY, channel_pair, pack_error, unpack_error
from daemonless.isolation.task import Task, die_with, fork_plain, mapped
from daemonless.isolation.userns import IdMap, become_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from daemonless.isolation.volumes import Source

_OPEN_ROOT = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_ENOENT, _ESRCH, _EROFS = 2, 3, 30


def of_running(
    pid: int, pidfd: int, id_map: IdMap, work: Callable[[int], Any], *, with_mounts: bool = True
) -> Task:
    """Start `work` with the root of the process `pid`, which `pidfd` refers to.

    Without `with_mounts` it is the root filesystem alone: mount points are the directories below.
    The task raises ProcessLookupError if the process has ended.
    """
    caller = os.getpid()

    def run() -> Any:
        sc.prctl(sc.PR_SET_DUMPABLE, 0)
        sc.setns(pidfd, sc.CLONE_NEWUSER)
        become_root(id_map)
        die_with(caller)
        try:
            root_fd = os.open(f"/proc/{pid}/root", _OPEN_ROOT) if with_mounts else clone_mount(pidfd, b"/")
        except FileNotFoundError:  # a zombie has no root
            raise ProcessLookupError(_ESRCH, os.strerror(_ESRCH)) from None
        _signal.pidfd_send_signal(pidfd, 0)  # it is alive, so the pid was its own all the time
        return work(root_fd)

    return Task(run, fork_plain)


def clone_mount(pidfd: int, path: bytes, user: int = -1) -> int:
    """Return a copy of the mount at a directory of a process, without those on it (open_tree(2)).

    Only a process inside the mount namespace may copy, and none comes back from there: a child goes, into
    the user namespace `user` first if the caller is in another, and hands the descriptor over. The path is
    resolved where the process is: it leads nowhere else. Raises DaemonlessError, or ProcessLookupError for a
    process that has ended.
    """
    ours, theirs = channel_pair()
    pid = os.fork()
    if pid == 0:
        try:
            sc.prctl(sc.PR_SET_DUMPABLE, 0)
            if user >= 0:
                sc.setns(user, sc.CLONE_NEWUSER)
            sc.setns(pidfd, sc.CLONE_NEWNS)
            fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            flags = sc.AT_EMPTY_PATH | sc.OPEN_TREE_CLONE | sc.OPEN_TREE_CLOEXEC
            theirs.send(READY, fd=sc.open_tree(fd, b"", flags))
        except BaseException as error:
            theirs.send(FAILED, pack_error(error, f"open {path.decode()} of the container"))
        finally:
            os._exit(0)
    theirs.close()
    kind, payload, tree = ours.receive()
    ours.close()
    os.waitpid(pid, 0)
    if kind == FAILED:
        raise unpack_error(payload)
    if tree < 0:
        raise ProcessLookupError(_ESRCH, os.strerror(_ESRCH))
    return tree


def of_stopped(
    mount: dict[str, Any],
    target: str,
    id_map: IdMap,
    work: Callable[[int], Any],
    *,
    mounts: tuple[dict[str, Any], ...] = (),
    sources: tuple[tuple[str, Source], ...] = (),
    user: str = "",
    new_upper: str = "",
) -> Task:
    """Start `work` with `mount`, a runtime spec's first, and `mounts` in it.

    `target` is an empty directory to mount it on; `sources` tells more of the mounts at these
    destinations, and a volume that is filled now is given to `user`. `new_upper` is the writable layer
    of a container that never ran. A mount whose source is gone is left out, and so is one whose
    mount point a read-only overlay lacks.
    """

    def run() -> Any:
        sc.prctl(sc.PR_SET_DUMPABLE, 0)
        sc.mount(None, b"/", None, sc.MS_REC | sc.MS_PRIVATE)
        if new_upper:
            own_upper(new_upper)
        root_fd = mount_first(mount, os.fsencode(target))
        special = dict(sources)
        for each in mounts:
            try:
                source = special.get(each["destination"])
                if source is None:
                    perform(root_fd, each)
                    continue
                for owed in source.attach(root_fd, each):
                    who = identity.resolve(root_fd, user, ())
                    owed.give(who.uid, who.gid)
            except OSError as error:
                if error.errno not in (_ENOENT, _EROFS):
                    raise
        return work(root_fd)

    return mapped(run, id_map, sc.CLONE_NEWNS)


def of_layers(
    top: str, lowers: list[str], target: str, id_map: IdMap, work: Callable[[int, int], Any]
) -> Task:
    """Start `work` with the layer directory `top` and the merged `lowers` (from the top; -1: none).

    `target` is a directory that may be mounted on, out of sight of everybody else.
    """

    def run() -> Any:
        top_fd = os.open(top, _OPEN_ROOT)
        below_fd = -1
        if len(lowers) == 1:
            below_fd = os.open(lowers[0], _OPEN_ROOT)
        elif lowers:
            sc.mount(None, b"/", None, sc.MS_REC | sc.MS_PRIVATE)
            options = [*(f"lowerdir+={lower}" for lower in lowers), "userxattr"]
            below_fd = mount_overlay(Options(options), os.fsencode(target))
        return work(top_fd, below_fd)

    return mapped(run, id_map, sc.CLONE_NEWNS if len(lowers) > 1 else 0)
