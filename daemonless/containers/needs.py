"""Which layers containers stand on, whatever became of their images."""

from __future__ import annotations

from daemonless.containers.store import Container, ContainerStore
from daemonless.errors import InvalidData
from daemonless.layers.store import DIFF, diff_id_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from daemonless.config import Paths

_LOWER = "lowerdir+="  # of overlayfs, as daemonless.layers.overlay writes it


def users(paths: Paths) -> Callable[[Collection[str]], set[str]]:
    """Return the function that `daemonless.images.garbage` asks for what containers need.

    It reads the runtime specs of the containers whose image is not among the ones listed; it
    raises InvalidData if the record or the spec of a container cannot be read.
    """

    def needed(needed_by_images: Collection[str]) -> set[str]:
        containers, broken = ContainerStore(paths).survey()
        for container in broken:
            raise InvalidData(
                f"what container {container.id[:12]} needs is not known, as its files are damaged",
                f"remove it: daemonless rm --force {container.id[:12]}",
            )
        found: set[str] = set()
        for container in containers:
            if container.record["imageId"] not in needed_by_images:
                found.update(layers_of(container))
        return found

    return needed


def layers_of(container: Container) -> set[str]:
    """Return the diff_ids of the layers in a container's runtime spec; raises InvalidData.

    They are known by the end of their path, .../HEX/diff: the data directory may have been moved.
    """
    return {diff_id_of(path.split("/")[-2]) for path in lower_directories(container)}


def lower_directories(container: Container) -> list[str]:
    """Return the directories of the layers that a container stands on; raises InvalidData."""
    if not container.record["imageId"]:  # its root is a directory of the host
        return []
    mounts = container.spec().get("mounts") or ()
    options = [option for mount in mounts for option in mount.get("options") or ()]
    lowers = [option.removeprefix(_LOWER) for option in options if option.startswith(_LOWER)]
    return [path for path in lowers if path.endswith(f"/{DIFF}")]
