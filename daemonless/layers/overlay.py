"""The root filesystem of a container, as an overlay mount of the runtime spec.

Nothing is mounted here: `daemonless.isolation.mounts` does that, inside the container's
namespaces. Follows the kernel's Documentation/filesystems/overlayfs.rst.
"""

from __future__ import annotations

import os

from daemonless.errors import SetupFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_LOWERS = 500  # OVL_MAX_STACK
MAX_PATH = 255  # bytes of one option's value: what fsconfig(2) takes in a string


def rootfs_mount(lowers: list[str], upper: str, work: str) -> dict[str, Any]:
    """Return the OCI mount of a container's root: `lowers` from the top, written to in `upper`.

    Each layer is an option of its own, so colons and commas in paths mean nothing special.
    `userxattr` is what a user namespace has instead of `trusted.*` attributes. Raises
    SetupFailed for more layers or longer paths than the kernel takes.
    """
    lowers = visible(lowers)
    if not lowers:
        raise SetupFailed("the image has no layers, so there is nothing to run")
    if len(lowers) > MAX_LOWERS:
        raise SetupFailed(f"the image has {len(lowers)} layers, and the kernel stacks at most {MAX_LOWERS}")
    for path in (*lowers, upper, work):
        if len(os.fsencode(path)) > MAX_PATH:
            raise SetupFailed(
                f"the path {path} is longer than the {MAX_PATH} bytes that can be mounted",
                "keep the data in a place with a shorter name: --root",
            )
    options = [f"lowerdir+={lower}" for lower in lowers]
    options += [f"upperdir={upper}", f"workdir={work}", "userxattr"]
    return {"destination": "/", "type": "overlay", "source": "overlay", "options": options}


def visible(lowers: list[str]) -> list[str]:
    """Return the layers to mount: each once, down to the first that hides all below it.

    The kernel refuses a layer that comes twice, and what the lower one holds, the upper one holds,
    too. It looks for the opaque mark in every directory but the root of a layer.
    """
    lowers = list(dict.fromkeys(lowers))
    for index, lower in enumerate(lowers):
        try:
            if os.getxattr(lower, "user.overlay.opaque") == b"y":
                return lowers[: index + 1]
        except OSError:
            pass  # not marked
    return lowers
