"""What a container needs of others: namespaces, or only that they run (--requires).

A namespace is `container:ID` or `ns:PATH` of --pid, --ipc, --uts and --userns.
Each container has a user namespace of its own, and what it owns can be joined only from there
(`isolation.joining`). So one that shares anything with another lives in the user namespace of that one,
with the same ids, and so does who shares with it in turn.

A container stays as long as there is one that needs it: that is noted by an empty file,
containers/ID/dependents/OTHER, which counts as long as the other container is there.
"""

from __future__ import annotations

import _signal
import os

from daemonless import failpoints
from daemonless.config import Paths
from daemonless.containers.request import RunRequest, Userns
from daemonless.containers.store import DEPENDENTS, Container, ContainerStore
from daemonless.errors import Conflict, NotFound, SetupFailed, UsageError
from daemonless.files import list_if_there, unlink_if_there, write_atomic
from daemonless.isolation.joining import (
    Joined,
    SharedTree,
    host_name_in,
    is_same,
    maps_inside,
    open_namespace,
    owner_of,
)
from daemonless.isolation.namespaces import NAMESPACES
from daemonless.isolation.rootview import clone_mount
from daemonless.isolation.userns import IdMap, mapped_ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS = ("pid", "ipc", "uts", "userns")
_SHM = b"/dev/shm"


class Shared:
    """What a container that is to be created needs of others."""

    def __init__(
        self, request: RunRequest, id_map: IdMap | None, host_name: str, sources: list[Container]
    ) -> None:
        self.request = request  # with ids in the place of names
        self.id_map = id_map  # none if no namespace is shared
        self.host_name = host_name  # empty if it has its own
        self._sources = sources

    def note(self, container_id: str) -> None:
        """Have the others stay. Raises NotFound if one of them is gone, or OSError."""
        for source in self._sources:
            failpoints.reach("create.note")
            directory = f"{source.directory}/{DEPENDENTS}"
            try:
                os.mkdir(directory, 0o700)  # without its parents: they may have gone
            except FileExistsError:
                pass
            write_atomic(f"{directory}/{container_id}", b"", durable=False)

    def missing(self) -> str:
        """Return the id of one that has gone, or an empty string; to be asked when the container is there."""
        return next((source.id for source in self._sources if not source.is_there), "")

    def forget(self, container_id: str) -> None:
        """Take it back if the container has not come to be."""
        for source in self._sources:
            if not os.path.lexists(f"{os.path.dirname(source.directory)}/{container_id}"):
                unlink_if_there(f"{source.directory}/{DEPENDENTS}/{container_id}")


def _modes(request: RunRequest) -> Iterator[tuple[str, str, str]]:
    """Yield kind, way (container or ns) and what, of each namespace that is shared."""
    for kind, mode in zip(_KINDS, (request.pid, request.ipc, request.uts, request.userns.mode), strict=True):
        way, colon, what = mode.partition(":")
        if colon:
            yield kind, way, what


def resolve(paths: Paths, request: RunRequest, default: IdMap) -> Shared:
    """Find out what a request needs of others; `default` is the id map of containers that share nothing.

    Raises NotFound for a container that is not there, UsageError if it all does not fit together, or
    SetupFailed for a path that is no such namespace.
    """
    store = ContainerStore(paths)
    sources: dict[str, Container] = {}
    maps: dict[str, IdMap] = {}
    host_name = ""
    for kind, way, what in _modes(request):
        option = f"--{kind}={way}:{what}"
        if way == "container":
            source = store.find(what)
            sources[source.id] = source
            maps[option] = _known_map(mapped_ids(source.spec()), source, default)
            mode = f"container:{source.id}"
            request = request.replace(**{kind: Userns(mode=mode) if kind == "userns" else mode})
            if kind == "uts":
                host_name = _host_name(store, source)
            _refuse_host_pids(request.pid, source)
        else:
            fd = open_namespace(what, _kind(kind))
            user = fd if kind == "userns" else owner_of(fd, what)
            uids, gids = maps_inside(user, what)
            maps[option] = _keyed(IdMap(uids=tuple(uids), gids=tuple(gids)), default)
            if kind == "uts":
                host_name = host_name_in(user, fd)
            for each in {fd, user}:
                os.close(each)
    homes = {home_of(store, source) for source in sources.values()}
    if len(homes) > 1:
        names = " and ".join(source.name for source in sources.values())
        raise UsageError(
            f"cannot share with {names} at once: they have different user namespaces",
            "make one of them with --userns=container: of the other",
        )
    needed = {source.id: source for source in map(store.find, request.requires)}
    request = request.replace(requires=tuple(needed))
    if not maps:
        return Shared(request, None, "", list(needed.values()))
    [(option, id_map), *others] = maps.items()
    if any((each.uids, each.gids) != (id_map.uids, id_map.gids) for _, each in others):
        raise UsageError(f"{option} and {others[0][0]} belong to user namespaces with different ids")
    if request.userns != Userns() and ":" not in request.userns.mode:
        raise UsageError(
            f"{option} cannot be combined with --userns={request.userns.mode}",
            "who shares a namespace has the ids of its user namespace",
        )
    return Shared(request, id_map, host_name, list({**needed, **sources}.values()))


def _host_name(store: ContainerStore, container: Container) -> str:
    """Return the host name of a container, which may have another one's."""
    way, _, what = container.record["request"]["uts"].partition(":")
    if way == "container":
        return _host_name(store, store.find(what))
    return container.spec().get("hostname") or os.uname().nodename


def _refuse_host_pids(pid: str, source: Container) -> None:
    """Refuse to share a user namespace with who sees the host's processes, and those that come in."""
    if "host" in (pid, source.record["request"]["pid"]):
        raise UsageError(
            f"cannot share with container {source.name} and have --pid=host, in whichever of the two",
            "its root could trace what still has the host's files",
        )


def _kind(kind: str) -> str:
    """Return the name of a namespace among those of the runtime spec."""
    return "user" if kind == "userns" else kind


def home_of(store: ContainerStore, container: Container) -> str:
    """Return the id of the container that a container's user namespace was made for, or its path."""
    for _, way, what in _modes(RunRequest.from_dict(container.record["request"])):
        if way == "ns":
            return what
        try:
            return home_of(store, store.find(what))
        except NotFound:
            return what
    return container.id


def _known_map(id_map: IdMap, source: Container, default: IdMap) -> IdMap:
    """Return the map with the key under which the layers of containers with the same --userns are."""
    key = source.record.get("idMap", "")
    return id_map.replace(key=key) if key else _keyed(id_map, default)


def _keyed(id_map: IdMap, default: IdMap) -> IdMap:
    if (id_map.uids, id_map.gids) == (default.uids, default.gids):
        return default
    from daemonless.isolation.idmaps import map_key  # noqa: PLC0415 - hashing

    return id_map.replace(key=map_key(id_map.uids, id_map.gids))


def dependents(store: ContainerStore, container: Container) -> list[Container]:
    """Return the containers that need this one."""
    found = []
    for name in list_if_there(f"{container.directory}/{DEPENDENTS}"):
        try:
            found.append(store.find(name))
        except NotFound:
            continue  # it is being made, or somebody has died making it
    return found


def open_shared(store: ContainerStore, request: RunRequest) -> Joined:
    """Open all that a container shares, to be closed by the caller.

    Raises Conflict if a container that it shares with does not run, SetupFailed if they do not
    belong together any more.
    """
    opened: list[int] = []
    kept: tuple[int, ...] = ()
    try:
        user, others, shm = -1, [], -1
        for kind, way, what in _modes(request):
            path, pidfd = what, -1
            if way == "container":
                source = store.find(what)
                pid, pidfd = _member(source)
                opened.append(pidfd)
                path = f"/proc/{pid}/ns/{_kind(kind)}"
            fd = open_namespace(path, _kind(kind))
            opened.append(fd)
            if pidfd >= 0:
                _signal.pidfd_send_signal(pidfd, 0)  # it lives, so the pid was its own
            owner = fd if kind == "userns" else owner_of(fd, path)
            opened.append(owner)
            if user >= 0 and not is_same(user, owner):
                raise SetupFailed(f"--{kind}={way}:{what} belongs to another user namespace than the others")
            user = owner if user < 0 else user
            if kind != "userns":
                others.append((NAMESPACES[kind], fd))
            if kind == "ipc" and pidfd >= 0:
                shm = clone_mount(pidfd, _SHM, user)
                opened.append(shm)
        joined = Joined(user=user, others=tuple(others), shm=shm)
        kept = joined.fds
    except ProcessLookupError:
        raise Conflict("a container with which this one shares a namespace has just ended") from None
    finally:
        for fd in set(opened).difference(kept):
            os.close(fd)
    return joined


def host_name(joined: Joined) -> str:
    """Return the host name of a UTS namespace that is shared; empty if none is."""
    uts = dict(joined.others).get(NAMESPACES["uts"], -1)
    return host_name_in(joined.user, uts) if uts >= 0 else ""


def shm_source(joined: Joined, request: RunRequest) -> list[tuple[str, SharedTree]]:
    """Return where /dev/shm comes from, as `Start.sources` has it; the user may have mounted another."""
    destination = _SHM.decode()
    if joined.shm < 0 or any(mount.destination == destination for mount in request.mounts):
        return []
    return [(destination, SharedTree(tree=joined.shm))]


def _member(source: Container) -> tuple[int, int]:
    try:
        return source.member()
    except NotFound:
        raise Conflict(
            f"container {source.name}, with which this one shares a namespace, is not running",
            f"start it first: daemonless start {source.name}",
        ) from None
