"""Making a container in namespaces that exist already: another container's, or what a path names.

Every namespace belongs to a user namespace, and only who is in that one may join it (setns(2)); nobody
comes back from there. So a joiner goes, and makes the container's process as a child of the supervisor
(CLONE_PARENT), as in `isolation.enter`:

    launch (supervisor)         joiner                           init
      clone3 ──────────────────▶ not dumpable, setns
                                 clone3(CLONE_PARENT) ─────────▶ as at any other start
             ◀──────── READY pid
      network ready, close ────▶ exit

The container's ids are those of the user namespace that it has joined. Whoever is in its pid namespace
could trace what comes in, with the host's files at hand (CVE-2016-9962), so init is not dumpable. That
closes its /proc/PID/ns to the network helper, too, which is shown the joiner in its place: that one has
joined no pid namespace, only its children are in it.
"""

from __future__ import annotations

import fcntl
import os

from daemonless import jsonio
from daemonless import syscalls as sc
from daemonless.errors import SetupFailed, printable
from daemonless.files import read_file
from daemonless.isolation import privileges
from daemonless.isolation.mounts import Options, place
from daemonless.isolation.namespaces import NAMESPACES, clone_into_cgroup
from daemonless.isolation.sync import FAILED, READY, channel_pair, pack_error, unpack_error
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from daemonless.isolation.launch import Start
    from daemonless.isolation.sync import Channel
    from daemonless.isolation.volumes import Owed

    Maps = tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]

_NS_GET_USERNS, _NS_GET_NSTYPE = 0xB701, 0xB703  # ioctl_ns(2)
_EPERM, _EINVAL = 1, 22
_CLONE_PARENT = 0x8000


class Joined(Record):
    """Descriptors of the namespaces that a container is made in."""

    user: int  # the user namespace that all others belong to
    others: tuple[tuple[int, int], ...] = ()  # CLONE_NEW* flag and descriptor
    shm: int = -1  # a copy of the mount of /dev/shm that belongs to the IPC namespace

    @property
    def flags(self) -> int:
        """The CLONE_NEW* flags of all of them."""
        return sc.CLONE_NEWUSER | sum(flag for flag, _ in self.others)

    @property
    def fds(self) -> tuple[int, ...]:
        """All descriptors."""
        return (self.user, *(fd for _, fd in self.others), *((self.shm,) if self.shm >= 0 else ()))

    def close(self) -> None:
        """Close them."""
        for fd in self.fds:
            os.close(fd)


def open_namespace(path: str, kind: str) -> int:
    """Return a descriptor of the namespace of a `kind` that the user has named. Raises SetupFailed."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SetupFailed(f"cannot open namespace {printable(path)}: {error.strerror}") from None
    try:
        is_right = fcntl.ioctl(fd, _NS_GET_NSTYPE) == NAMESPACES[kind]
    except OSError:
        is_right = False
    if not is_right:
        os.close(fd)
        raise SetupFailed(f"{printable(path)} is no {kind} namespace", f"one is at /proc/PID/ns/{kind}")
    return fd


def owner_of(fd: int, what: str) -> int:
    """Return a descriptor of the user namespace that the namespace `fd`, called `what`, belongs to.

    Raises SetupFailed if it is our own or not below it: joining takes privileges there.
    """
    try:
        owner = fcntl.ioctl(fd, _NS_GET_USERNS)
    except OSError as error:
        if error.errno != _EPERM:
            raise
        owner = -1
    if owner >= 0 and not is_same(owner, "/proc/self/ns/user"):
        os.set_inheritable(owner, False)
        return owner
    if owner >= 0:
        os.close(owner)
    raise _not_ours(what)


def _not_ours(what: str) -> SetupFailed:
    return SetupFailed(
        f"cannot join {printable(what)}: it belongs to no user namespace of yours",
        "the host's own are shared with `host`",
    )


def is_same(fd: int, other: int | str) -> bool:
    """Return whether two descriptors, or one and a path, are of the same namespace."""
    return os.path.samestat(os.fstat(fd), os.stat(other))


def maps_inside(user: int, what: str) -> Maps:
    """Return the uid and gid map of a user namespace, with the ids of ours.

    Raises SetupFailed if it cannot be joined, calling it `what`.
    """
    try:
        uids, gids = _seen_from(user, _own_maps)
    except OSError as error:
        if error.errno not in (_EPERM, _EINVAL):
            raise
        raise _not_ours(what) from None
    return [tuple(each) for each in uids], [tuple(each) for each in gids]


def host_name_in(user: int, uts: int) -> str:
    """Return the host name in a UTS namespace. Raises SetupFailed."""

    def look() -> str:
        sc.setns(uts, sc.CLONE_NEWUTS)
        return os.uname().nodename

    return str(_seen_from(user, look))


def _seen_from(user: int, look: Callable[[], Any]) -> Any:
    """Return what `look`, called in a child of ours in a user namespace, returns; raises what it raises."""

    def join() -> Any:
        sc.prctl(sc.PR_SET_DUMPABLE, 0)
        sc.setns(user, sc.CLONE_NEWUSER)
        return look()

    from daemonless.isolation.task import Task, fork_plain  # noqa: PLC0415 - a join itself needs no such thing

    return Task(join, fork_plain).wait()


def _own_maps() -> Maps:
    """Read the maps of this process's namespace: to who reads his own they show the ids of the parent's."""
    uids, gids = (
        [tuple(map(int, line.split())) for line in read_file(f"/proc/self/{name}").splitlines()]
        for name in ("uid_map", "gid_map")
    )
    return uids, gids  # type: ignore[return-value] # three numbers a line


class SharedTree(Record):
    """A `launch.Source`: a mount that another container has as well."""

    tree: int

    def attach(self, root_fd: int, mount: dict[str, Any]) -> list[Owed]:
        """Put it at the destination. Raises OSError."""
        options = Options(mount["options"])
        sc.mount_setattr(self.tree, b"", sc.AT_EMPTY_PATH, options.set, options.clear)
        place(self.tree, root_fd, os.fsencode(mount["destination"]), options)
        return []


class Joiner:
    """The process that has joined; it stays in the container's new network namespace until it is let go."""

    def __init__(self, pid: int, channel: Channel) -> None:
        self.pid = pid
        self._channel: Channel | None = channel

    def release(self) -> None:
        """Let it end, and reap it."""
        if self._channel:
            self._channel.close()
            self._channel = None
            os.waitpid(self.pid, 0)


def clone_joined(start: Start, flags: int, run: Callable[[], NoReturn], *, shown: bool) -> tuple[int, Joiner]:
    """Have `run` called in a new child of ours, in what the start has joined and new namespaces of `flags`.

    Return the child's pid, and the joiner, to be released; it is `shown` to a network helper. Raises
    SetupFailed if the namespaces cannot be joined, or have other ids than the container's.
    """
    ours, theirs = channel_pair()
    pid = clone_into_cgroup(0, start.cgroup)
    if pid == 0:
        ours.close()
        _join(start, flags, theirs, run, shown=shown)
    theirs.close()
    joiner = Joiner(pid, ours)
    kind, payload, _ = ours.receive()
    if kind == READY:
        return jsonio.loads(payload), joiner
    joiner.release()
    if kind == FAILED:
        raise unpack_error(payload)
    raise SetupFailed("the namespaces to be shared have just ended")


def _join(
    start: Start, flags: int, channel: Channel, run: Callable[[], NoReturn], *, shown: bool
) -> NoReturn:
    joined, id_map = start.joined, start.id_map
    assert joined  # or this would not be called
    flags &= ~joined.flags
    try:
        privileges.set_oom_score_adj(start.spec["process"])
        sc.prctl(sc.PR_SET_DUMPABLE, 0)
        sc.setns(joined.user, sc.CLONE_NEWUSER)
        found = _own_maps()
        if [sorted(found[0]), sorted(found[1])] != [sorted(id_map.uids), sorted(id_map.gids)]:
            raise SetupFailed(
                "the namespaces to be shared belong to a user namespace with other ids",
                "create the container anew, with --userns as of who made them",
            )
        for flag, fd in joined.others:
            sc.setns(fd, flag)
        if flags & sc.CLONE_NEWNET:
            sc.unshare(sc.CLONE_NEWNET)
        pid = sc.clone3(_CLONE_PARENT | flags & ~sc.CLONE_NEWNET, exit_signal=0)
    except BaseException as error:
        try:
            channel.send(FAILED, pack_error(error, "join the namespaces to be shared"))
        finally:
            os._exit(125)
    if pid == 0:
        channel.close()
        run()
    try:
        own = channel.fileno()
        sc.close_range(3, own - 1)  # init's channel among them, whose end of file is news
        sc.close_range(own + 1)
        if shown:
            sc.prctl(sc.PR_SET_DUMPABLE, 1)  # nobody inside can see us: `containers.sharing` sees to that
        channel.send(READY, jsonio.dumps(pid).encode("ascii"))
        channel.receive()
    finally:
        os._exit(0)
