"""How much space containers take, for `ps --size` and `inspect --size`."""

from __future__ import annotations

import os

from daemonless.errors import DaemonlessError
from daemonless.isolation.task import mapped
from daemonless.isolation.userns import load_id_map
from daemonless.layers.store import recorded_size
from daemonless.layers.walk import OPEN_DIRECTORY, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.containers.store import Container


def sizes(containers: list[Container]) -> dict[str, tuple[int, int]]:
    """Return by id how many bytes each container has written, and how many it has with its image.

    A file with several names counts once. A container that is gone or broken is left out. All
    containers with directories that only subordinate ids may read together cost one child.
    """
    written: dict[str, int] = {}
    closed = []
    for container in containers:
        try:
            written[container.id] = _size(container)
        except PermissionError:
            closed.append(container)
        except (DaemonlessError, OSError):
            continue
    if closed:
        with mapped(lambda: _readable_sizes(closed), load_id_map(os.getuid(), os.getgid())) as task:
            written.update(task.wait())
    result = {}
    for container in containers:
        if container.id in written:
            size = written[container.id]
            result[container.id] = (size, size + _size_of_layers(container))
    return result


def _readable_sizes(containers: list[Container]) -> dict[str, int]:
    found = {}
    for container in containers:
        try:
            found[container.id] = _size(container)
        except (DaemonlessError, OSError):
            continue
    return found


def _size(container: Container) -> int:
    """Return the bytes of the files in the writable layer; raises OSError."""
    seen = set()
    total = 0

    def visit(dir_fd: int, name: bytes, path: bytes) -> int:
        nonlocal total
        try:
            status = os.lstat(name, dir_fd=dir_fd)
            if status.st_mode & 0o170000 == 0o040000:
                return os.open(name, OPEN_DIRECTORY, dir_fd=dir_fd)
        except (FileNotFoundError, NotADirectoryError):
            return -1  # it changes while it is read
        if status.st_nlink > 1:
            if status.st_ino in seen:
                return -1
            seen.add(status.st_ino)
        total += status.st_size
        return -1

    walk(os.open(f"{container.directory}/upper", OPEN_DIRECTORY), visit)
    return total


def _size_of_layers(container: Container) -> int:
    total = 0
    for option in container.spec()["mounts"][0]["options"]:
        if option.startswith("lowerdir+="):
            try:
                total += recorded_size(option.removeprefix("lowerdir+=").rpartition("/")[0])
            except (DaemonlessError, OSError):
                continue  # the layer is gone; the container can only be removed
    return total
