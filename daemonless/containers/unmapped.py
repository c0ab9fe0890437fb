"""Containers whose id map leaves the caller out: --userns=nomap and auto, and some of --uidmap.

Their root is a subordinate id, which may neither go through the caller's private directories nor give away
what is the caller's. The former is the init's matter (`isolation.early`); what has to be given away is given
before, by tasks of ours that have the caller's id besides those of the container.
"""

from __future__ import annotations

import os

from daemonless import failpoints
from daemonless.config import Paths
from daemonless.containers.filesystem import writable_root
from daemonless.containers.store import Container, ContainerStore
from daemonless.errors import DaemonlessError, SetupFailed
from daemonless.files import Lock, make_private_directory
from daemonless.isolation import rootview
from daemonless.isolation.idmaps import unmapped_id_map
from daemonless.isolation.task import mapped
from daemonless.isolation.userns import IdMap, mapped_ids, to_inside
from daemonless.isolation.volumes import Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from daemonless.isolation import launch

_LEAST = 1024  # ids of `auto`, as in podman


def give_away(directory: str, id_map: IdMap) -> None:
    """Give the directories of a new overlay to the container's root. Raises SetupFailed or OSError."""

    def work() -> None:
        for name in ("upper", "work"):
            os.chown(f"{directory}/{name}", 0, 0)

    failpoints.reach("create.give")
    with mapped(work, id_map) as task:
        task.wait()


def prepare(
    container: Container, spec: dict[str, Any], sources: Iterable[tuple[str, Source]]
) -> list[tuple[str, launch.Source]]:
    """Do what a start owes to volumes, secrets and mounts with U; return what is left to do for init.

    They are mounted in a task of ours, which fills them and gives them away. Raises as a start.
    """
    special = dict(sources)
    mounts = [mount for mount in spec["mounts"] if mount["destination"] in special]
    overlays = [source.upper for source in special.values() if source.upper]

    def work(_root_fd: int) -> None:
        for overlay in overlays:
            os.chown(f"{overlay}/work", 0, 0)

    with rootview.of_stopped(
        writable_root(container),
        spec["root"]["path"],
        mapped_ids(spec),
        work,
        mounts=tuple(mounts),
        sources=tuple(special.items()),
        user=spec["process"]["user"].get("username", ""),
    ) as task:
        task.wait()
    left: list[tuple[str, launch.Source]] = []
    for mount in mounts:
        where = mount["destination"]
        source = special[where]
        if source.volume:
            left.append((where, Source(volume=source.volume, subpath=source.subpath)))
        elif source.mode < 0 and mount["type"] not in ("bind", "overlay"):
            left.append((where, source))  # a tmpfs, which is the container's own
    return left


class AutoIds:
    """Ids for a container of its own, of the caller's subordinate ones: `--userns=auto`.

    As a context manager it keeps others from choosing until the container is there.
    """

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def choose(self, default: IdMap, size: int) -> IdMap:
        """Return a map to ids that no other container of `auto` has. Raises SetupFailed if there are none."""
        size = size or _LEAST
        first = 0
        for begin, end in sorted(self._taken(default)):
            if first + size <= begin:
                break
            first = max(first, end)
        try:
            return unmapped_id_map(default, first, size)
        except SetupFailed as error:
            if default.is_single:
                raise
            raise SetupFailed(
                f"there are not {size} ids left for another container with --userns=auto",
                "remove one, ask for fewer with auto:size=, or have your range in /etc/subuid enlarged",
            ) from error

    def _taken(self, default: IdMap) -> Iterable[tuple[int, int]]:
        """Yield where ranges of other containers begin and end, as offsets in the subordinate ids."""
        for container in ContainerStore(self._paths).containers():
            try:
                is_auto = container.record["request"]["userns"]["mode"] == "auto"
                ranges = mapped_ids(container.spec()).uids if is_auto else ()
            except DaemonlessError:
                continue  # it has just been removed, or is damaged and cannot run
            for _, outside, length in ranges:
                begin = to_inside(default.uids[1:], outside)
                if begin is not None:
                    yield begin - 1, begin - 1 + length

    def __enter__(self) -> AutoIds:
        make_private_directory(self._paths.data)
        self._lock = Lock(f"{self._paths.data}/auto-ids.lock")
        self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()
