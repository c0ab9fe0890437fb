"""Volumes and the containers that use them: who uses one, and when it may go.

A container's record, written once, says which volumes it uses, so the records are the references:
nothing has to be kept in step with them, and a crash leaves no count that is wrong.
"""

from __future__ import annotations

import os

from daemonless import events, jsonio
from daemonless.config import Paths
from daemonless.containers.store import Container
from daemonless.errors import Conflict, DaemonlessError, NotFound
from daemonless.files import read_file
from daemonless.volumes.store import Volume, VolumeStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def volumes_of(record: dict[str, Any]) -> frozenset[str]:
    """Return the names of the volumes that the container of this record uses."""
    mounts = record["request"].get("mounts", ())
    return frozenset(mount["source"] for mount in mounts if mount["type"] == "volume")


class Users:
    """Which containers use which volume.

    A record is read once, so asking again under the lock of each of a hundred volumes costs a
    listing of the containers' directory and the records of those that are new.
    """

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._volumes: dict[str, frozenset[str]] = {}  # by container id

    def of(self, name: str) -> list[Container]:
        """Return the containers that use the volume now."""
        try:
            ids = os.listdir(f"{self._paths.data}/containers")
        except FileNotFoundError:
            ids = []
        found = []
        for container_id in ids:
            container = Container(self._paths, container_id)
            if container_id not in self._volumes:
                self._volumes[container_id] = self._read(container)
            if name in self._volumes[container_id]:
                found.append(container)
        return found

    def _read(self, container: Container) -> frozenset[str]:
        """Return the volumes of a container; if its record is broken, as its runtime spec has them."""
        try:
            return volumes_of(container.record)
        except NotFound:
            return frozenset()
        except (DaemonlessError, OSError, KeyError, TypeError):
            pass
        prefix = f"{self._paths.data}/volumes/"
        path = f"{container.directory}/config.json"
        try:
            spec = jsonio.loads(read_file(path), what=path)
            sources = [str(mount.get("source", "")) for mount in spec["mounts"]]
        except (DaemonlessError, OSError, KeyError, TypeError, AttributeError):
            return frozenset()
        return frozenset(s.removeprefix(prefix).partition("/")[0] for s in sources if s.startswith(prefix))


def remove(paths: Paths, volume: Volume, users: Users) -> None:
    """Remove a volume that no container uses; its content is deleted in the background.

    Raises NotFound if it is gone, and Conflict with exit status 2 if it is in use.
    """
    with volume:
        using = users.of(volume.name)
        if using:
            ids = ", ".join(sorted(container.id[:12] for container in using))
            raise Conflict(
                f"volume {volume.name} is being used by the following container(s): {ids}",
                "remove these first, or remove them with the volume: --force",
                exit_status=2,
            )
        VolumeStore(paths).discard(volume)
    events.record(paths, "volume", "remove", volume.name)


def remove_anonymous(paths: Paths, record: dict[str, Any]) -> None:
    """Remove the anonymous volumes of a container that is gone, unless another one uses them too."""
    users = Users(paths)
    store = VolumeStore(paths)
    for name in sorted(volumes_of(record)):
        volume = store.volume(name)
        try:
            if not volume.is_anonymous:
                continue
            with volume:
                # one that never had a second user needs no search among all containers
                if volume.is_shared and users.of(name):
                    continue
                store.discard(volume)
        except DaemonlessError:
            continue  # it is gone, or its record is broken: `volume rm` removes it
        events.record(paths, "volume", "remove", name)


def prune(paths: Paths, keep: Callable[[Volume], bool]) -> list[str]:
    """Remove the volumes that no container uses, but for those to keep; return their names."""
    store, users, removed = VolumeStore(paths), Users(paths), []
    for volume in store.volumes():
        try:
            if not keep(volume) and not users.of(volume.name):
                remove(paths, volume, users)
                removed.append(volume.name)
        except (NotFound, Conflict):
            continue  # somebody else was faster
    store.sweep()
    if removed:
        events.record(paths, "volume", "prune", "", attributes={"count": str(len(removed))})
    return removed
