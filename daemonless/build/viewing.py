"""Layers as one tree, for a child that is root of the user namespace and has its own mount namespace.

What is mounted here goes with that child.
"""

from __future__ import annotations

import os

from daemonless.build.trees import Tree
from daemonless.errors import printable
from daemonless.isolation.mounts import Options, mount_overlay
from daemonless.layers.overlay import rootfs_mount, visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_ROOT = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


def mount_layers(lowers: Iterable[str], target: str) -> int:
    """Return a descriptor of the merged layers, from the top, to read; -1 if there are none.

    `target` is an empty directory to mount on. Raises OSError or SetupFailed.
    """
    shown = visible(list(lowers))
    if not shown:
        return -1
    if len(shown) == 1:  # overlayfs wants two, or an upper directory
        return os.open(shown[0], _ROOT)
    return mount_overlay(
        Options([*(f"lowerdir+={lower}" for lower in shown), "userxattr"]), os.fsencode(target)
    )


def mount_writable(lowers: Iterable[str], directory: str) -> int:
    """Return a descriptor of the merged layers with `upper` of the step's directory on top, to write to.

    Without layers that is the upper directory itself.
    """
    layers = list(lowers)
    if not layers:
        return os.open(f"{directory}/upper", _ROOT)
    mount = rootfs_mount(layers, f"{directory}/upper", f"{directory}/work")
    # Unmounting would sync the whole file system; what is to last is synced when it is published.
    return mount_overlay(Options([*mount["options"], "volatile"]), os.fsencode(f"{directory}/rootfs"))


def layers_tree(name: str, lowers: Iterable[str], target: str) -> Tree:
    """Return the files of a stage or an image, mounted on an empty directory if they have to be."""
    fd = mount_layers(lowers, target)
    if fd < 0:  # of scratch
        fd = os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return Tree(fd=fd, owners=True, name=f"--from={printable(name)}")
