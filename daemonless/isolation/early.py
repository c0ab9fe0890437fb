"""Opening what a container is made of before its init becomes root.

With a map that leaves the caller out (--userns=nomap, for one) the container's root may not go through the
caller's private directories, in which layers, bundles and volumes lie. Init, while it is still the caller,
opens all that its spec names, and the paths in the spec become those of its descriptors
(/proc/self/fd, proc(5)): what comes after need not know.
"""

from __future__ import annotations

import os

# What init may import later on may be out of its reach then.
import daemonless.isolation.copying
import daemonless.isolation.hooks  # noqa: F401
from daemonless.isolation.volumes import Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from daemonless.isolation.launch import Start

_PATHS = ("lowerdir+", "lowerdir", "upperdir", "workdir")  # options of an overlay


def open_early(start: Start) -> tuple[Start, list[int]]:
    """Return the start with descriptors in the place of paths of the host, and all of these. Raises OSError.

    They are to be closed before anything of the container's is: /proc/self/fd would lead to the host.
    """
    fds: list[int] = []

    def as_path(fd: int) -> str:
        fds.append(fd)
        return f"/proc/self/fd/{fd}"

    def opened(path: str) -> str:
        return as_path(os.open(path, os.O_PATH | os.O_CLOEXEC))

    spec = start.spec
    volumes = {
        where: source for where, source in start.sources if isinstance(source, Source) and source.volume
    }
    mounts = []
    for mount in spec["mounts"]:
        source = volumes.get(mount["destination"])
        if source:
            mount = {**mount, "source": as_path(source.open())}
        elif mount["type"] == "overlay":
            mount = {**mount, "options": [_with_path(each, opened) for each in mount["options"]]}
        elif mount["type"] == "bind" or {"bind", "rbind"} & {*mount["options"]}:
            mount = {**mount, "source": opened(mount["source"])}
        mounts.append(mount)
    root = {**spec["root"], "path": opened(spec["root"]["path"])}
    others = tuple(each for each in start.sources if each[0] not in volumes)
    return start.replace(spec={**spec, "root": root, "mounts": mounts}, sources=others), fds


def _with_path(option: str, opened: Callable[[str], str]) -> str:
    name, _, path = option.partition("=")
    if name not in _PATHS:
        return option
    if name == "lowerdir":  # one alone, in which colons would separate several
        path = path.replace("\\:", ":").replace("\\\\", "\\")
    return f"{name}={opened(path)}"
