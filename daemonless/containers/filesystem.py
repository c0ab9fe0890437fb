"""A container's files, for the commands that read or change them from outside.

`in_root` gives a function the container's root directory, running or not; `own_tree` the same
without volumes and other mounts, as `export` wants it; `in_layers` the layers as they lie on the
disk, as `diff` and `commit` want them. The function works in a child
that is root of the container's user namespace, so owners are the container's numbers and every
file can be read. It may use descriptors that were opened before, and its result (a JSON value) and
its exceptions come back to the caller.
"""

from __future__ import annotations

import os
import time

from daemonless.config import Paths
from daemonless.containers.request import RunRequest, needs_storage
from daemonless.containers.store import Container
from daemonless.errors import Conflict, DaemonlessError, NotFound
from daemonless.files import make_private_directory
from daemonless.isolation import rootview
from daemonless.isolation.rootfs import own_upper
from daemonless.isolation.task import Task
from daemonless.isolation.userns import mapped_ids
from daemonless.layers.changes import left_by_mounts
from daemonless.layers.store import recorded_size
from daemonless.layers.usage import sizes_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_PATIENCE = 10  # seconds for a container that is just starting or ending
_GENERATED = ("/proc/", "/sys/", "/dev/")  # file systems that only exist while the container runs


def in_root(paths: Paths, container: Container, work: Callable[[int], Any], *, write: bool = False) -> Any:
    """Call `work` with a descriptor (O_PATH) of the container's `/`, volumes and binds included.

    The root of a stopped container is read-only unless `write` is given; then its run lock is held,
    so that it cannot start meanwhile. Links and directories below are the container's to change
    at any time: use files.open_in_root. Raises what `work` raises, Conflict if a container to be
    written to is neither running nor at rest, NotFound if it is gone.
    """
    # A container that never ran lacks the mount points of its volumes, and making them is writing.
    write = write or (container.status == "created" and bool(_user_mounts(container)))
    deadline = time.monotonic() + _PATIENCE
    while True:
        task = _try_running(container, work)
        if task:
            try:
                with task:
                    return task.wait()
            except ProcessLookupError:  # it ended before its root could be opened
                pass
        if not write:
            return _with_volumes(paths, container, work, write=False)
        lock = container.try_lock()
        if lock:
            try:
                return _with_volumes(paths, container, work, write=True)
            finally:
                lock.release()
        if time.monotonic() > deadline:
            raise Conflict(f"container {container.name} is just starting or ending", "try again")
        time.sleep(0.01)
        container.refresh()


def own_tree(container: Container, work: Callable[[int], Any]) -> Any:
    """Call `work` with a descriptor of the container's root filesystem alone, to read.

    Volumes, binds and the kernel's file systems are left out: their mount points are the empty
    directories that lie below them. Raises what `work` raises.
    """
    try:
        with start_own_tree(container, work) as task:
            return task.wait()
    except ProcessLookupError:  # it ended before its root could be opened
        with _start_stopped(container, work) as task:
            return task.wait()


def in_layers(container: Container, work: Callable[[int, int, frozenset[bytes]], Any]) -> Task:
    """Start `work` with the writable layer, a merged view of those below, and paths to be ignored.

    The last are what starts have made to mount on (layers.changes.left_by_mounts). Works on
    running containers, too: the writable layer is only read. Raises Conflict if there are no layers.
    """
    spec = container.spec()
    if spec["mounts"][0]["type"] != "overlay":
        raise Conflict(f"container {container.name} writes into its directory, not into a layer of its own")
    new_upper = _new_upper(container)
    generated = [mount["destination"] for mount in spec["mounts"][1:] if mount not in _user_mounts(container)]

    def run(top_fd: int, below_fd: int) -> Any:
        if new_upper:
            own_upper(new_upper)
        return work(top_fd, below_fd, left_by_mounts(top_fd, below_fd, generated))

    return rootview.of_layers(
        f"{container.directory}/upper",
        [option.partition("=")[2] for option in _lowers(container)],
        spec["root"]["path"],
        mapped_ids(spec),
        run,
    )


def start_own_tree(container: Container, work: Callable[[int], Any]) -> Task:
    """As `own_tree`, in the background; a container that ends meanwhile is a ProcessLookupError."""
    return _try_running(container, work, with_mounts=False) or _start_stopped(container, work)


def sizes(containers: list[Container]) -> dict[str, tuple[int, int]]:
    """Return by id how many bytes each container has written, and how many it has with its image.

    A file with several names counts once. A container that is gone or broken is left out. All
    containers with directories that only subordinate ids may read together cost one child.
    """
    written = sizes_of({container.id: f"{container.directory}/upper" for container in containers})
    result = {}
    for container in containers:
        if container.id in written:
            size = written[container.id]
            result[container.id] = (size, size + _size_of_layers(container))
    return result


def _size_of_layers(container: Container) -> int:
    total = 0
    if not container.record["imageId"]:
        return total
    for option in _lowers(container):
        try:
            total += recorded_size(option.removeprefix("lowerdir+=").rpartition("/")[0])
        except (DaemonlessError, OSError):
            continue  # the layer is gone; the container can only be removed
    return total


def _try_running(
    container: Container, work: Callable[[int], Any], *, with_mounts: bool = True
) -> Task | None:
    """Start `work` with the root of a container that runs; None if it does not.

    The task raises ProcessLookupError, before `work` is called, if the container has just ended.
    """
    try:
        pid, pidfd = container.member()
    except NotFound:
        return None
    try:
        id_map = mapped_ids(container.spec())
        return rootview.of_running(pid, pidfd, id_map, work, with_mounts=with_mounts)
    finally:
        os.close(pidfd)


def _with_volumes(paths: Paths, container: Container, work: Callable[[int], Any], *, write: bool) -> Any:
    """Call `work` with the root of a stopped container; who writes holds its lock."""
    request = RunRequest.from_dict(container.record["request"])
    ready = None
    if needs_storage(request, paths.data):
        from daemonless.containers.storage import ready_volumes  # noqa: PLC0415 - for who has volumes only

        ready = ready_volumes(paths, request, fill=write)
    spec = container.spec()
    try:
        with rootview.of_stopped(
            writable_root(container) if write else _read_only(container),
            spec["root"]["path"],
            mapped_ids(spec),
            work,
            mounts=_user_mounts(container),
            sources=tuple(ready.sources) if ready else (),
            user=spec["process"]["user"].get("username", ""),
            new_upper=_new_upper(container),
        ) as task:
            result = task.wait()
        if ready:
            ready.settle()
        return result
    finally:
        if ready:
            ready.release()


def _start_stopped(container: Container, work: Callable[[int], Any]) -> Task:
    """Start `work` with the root filesystem alone of a stopped container, to read."""
    spec = container.spec()
    return rootview.of_stopped(
        _read_only(container), spec["root"]["path"], mapped_ids(spec), work, new_upper=_new_upper(container)
    )


def _new_upper(container: Container) -> str:
    """Return the writable layer if its top is still to be given to the container's root; else nothing."""
    return f"{container.directory}/upper" if container.status == "created" else ""


def _read_only(container: Container) -> dict[str, Any]:
    """Return the container's overlay with the writable layer on top of the others, all to be read.

    Or the directory that is its root, to be read as well.
    """
    mount = container.spec()["mounts"][0]
    if mount["type"] != "overlay":
        return {**mount, "options": [*mount["options"], "ro"]}
    upper = f"lowerdir+={container.directory}/upper"
    return {**mount, "options": [upper, *_lowers(container), "userxattr"]}


def _lowers(container: Container) -> list[str]:
    """Return the options that name the image's layers, from the top."""
    options = container.spec()["mounts"][0]["options"]
    return [option for option in options if option.startswith("lowerdir+=")]


def writable_root(container: Container) -> dict[str, Any]:
    """Return the container's overlay as a start mounts it, but with a work directory of its own.

    What overlayfs leaves in the usual one tells that the container has run. And it is never
    volatile: that marks the layer as lost if it is not unmounted in order.
    """
    mount = container.spec()["mounts"][0]
    if mount["type"] != "overlay":
        return mount  # type: ignore[no-any-return]
    work = f"{container.directory}/visit"
    make_private_directory(work)
    kept = [o for o in mount["options"] if o != "volatile" and not o.startswith("workdir=")]
    return {**mount, "options": [*kept, f"workdir={work}"]}


def _user_mounts(container: Container) -> tuple[dict[str, Any], ...]:
    """Return the volumes and binds; secrets, what starts generate and what lives in memory are not there."""
    return tuple(
        mount
        for mount in container.spec()["mounts"][1:]
        if mount["type"] == "bind"
        and not mount["source"].startswith((f"{container.run_directory}/", f"{container.directory}/"))
        and not (mount["destination"] + "/").startswith(_GENERATED)
    )
