"""The container's root: its filesystem, devices, masked paths, and the pivot into it."""

from __future__ import annotations

import os

from daemonless import syscalls as sc
from daemonless.errors import SetupFailed, printable
from daemonless.files import open_in_root
from daemonless.isolation.mounts import (
    Options,
    attach,
    bind_tree,
    mount_overlay,
    new_filesystem,
    open_target,
    perform,
)
from daemonless.isolation.terminal import open_terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from daemonless.isolation.launch import Source
    from daemonless.isolation.volumes import Owed

# name: device number, as in the kernel's admin-guide/devices.txt
DEVICES = {
    b"null": (1, 3),
    b"zero": (1, 5),
    b"full": (1, 7),
    b"random": (1, 8),
    b"urandom": (1, 9),
    b"tty": (5, 0),
}
_LINKS = {
    b"fd": b"/proc/self/fd",
    b"stdin": b"/proc/self/fd/0",
    b"stdout": b"/proc/self/fd/1",
    b"stderr": b"/proc/self/fd/2",
    b"core": b"/proc/kcore",
    b"ptmx": b"pts/ptmx",
}
_MOVE = sc.MOVE_MOUNT_F_EMPTY_PATH | sc.MOVE_MOUNT_T_EMPTY_PATH


def own_upper(path: str) -> None:
    """Give the top directory of the writable layer to the container's root: it is the root's `/`."""
    if os.stat(path).st_uid != 0:
        os.chown(path, 0, 0)


def mount_root(spec: dict[str, Any]) -> int:
    """Mount the root filesystem and return a descriptor of its root.

    A first mount at "/" makes it; otherwise `root.path` is bound onto itself, because
    pivot_root(2) wants a mount point.
    """
    path = spec["root"]["path"]
    first = spec["mounts"][0] if spec["mounts"] else None
    if not first or first["destination"] != "/":
        first = {"type": "bind", "source": path, "options": ["rbind"]}
    return mount_first(first, os.fsencode(path))


def mount_first(mount: dict[str, Any], path: bytes) -> int:
    """Mount the layers' overlay, or a directory of the host, on `path`; return a descriptor of its root."""
    if mount["type"] == "overlay":
        return mount_overlay(Options(mount["options"]), path)
    return attach(bind_tree(os.fsencode(mount["source"]), Options(mount["options"])), path)


def mount_all(root_fd: int, spec: dict[str, Any], sources: tuple[tuple[str, Source], ...] = ()) -> list[Owed]:
    """Make the spec's other mounts, in order, and fill /dev once it is ours.

    A read-only /dev is made so at the end: devices and mount points have to get into it first.
    `sources` tells more of the mounts at these destinations; the result is what is to be given to
    the container's user.
    """
    special = dict(sources)
    owed: list[Owed] = []
    seals_dev = False
    for mount in spec["mounts"]:
        if mount["destination"] == "/":
            continue
        if mount["destination"] == "/dev" and "ro" in mount.get("options", ()):
            seals_dev = mount.get("type") == "tmpfs"
            mount = {**mount, "options": [option for option in mount["options"] if option != "ro"]}
        try:
            if mount["destination"] in special:
                owed += special[mount["destination"]].attach(root_fd, mount)
            else:
                perform(root_fd, mount)
        except OSError as error:
            raise SetupFailed(
                f"cannot mount {printable(mount.get('source') or mount['type'])} on "
                f"{printable(mount['destination'])}: {error.strerror}"
            ) from error
        if mount["destination"] == "/dev" and mount.get("type") == "tmpfs":
            _fill_dev(root_fd)
    if seals_dev:
        dev = open_in_root(root_fd, b"/dev", os.O_PATH | os.O_DIRECTORY)
        sc.mount_setattr(dev, b"", sc.AT_EMPTY_PATH, sc.MOUNT_ATTR_RDONLY)
        os.close(dev)
    return owed


def _fill_dev(root_fd: int) -> None:
    """Bind the default devices into a fresh /dev and make the standard links.

    See "Default Devices" of the runtime-spec.
    """
    dev = sc.openat2(
        root_fd, b"dev", os.O_PATH | os.O_DIRECTORY, 0, sc.RESOLVE_IN_ROOT | sc.RESOLVE_NO_SYMLINKS
    )
    for name, number in DEVICES.items():
        source = device_tree(name, number)
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=dev))
        target = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dev)
        sc.move_mount(source, b"", target, b"", _MOVE)
        os.close(source)
        os.close(target)
    for name, text in _LINKS.items():
        os.symlink(text, name, dir_fd=dev)
    os.close(dev)


def device_tree(name: bytes, number: tuple[int, int]) -> int:
    """Return a detached mount of a host device, checked to be that device (CVE-2025-31133)."""
    tree = sc.open_tree(sc.AT_FDCWD, b"/dev/" + name, sc.OPEN_TREE_CLONE | sc.OPEN_TREE_CLOEXEC)
    status = os.fstat(tree)
    if status.st_mode & 0o170000 != 0o020000 or status.st_rdev != os.makedev(*number):
        raise SetupFailed(f"/dev/{name.decode()} of this machine is not the device of that name")
    sc.mount_setattr(tree, b"", sc.AT_EMPTY_PATH, sc.MOUNT_ATTR_NOSUID | sc.MOUNT_ATTR_NOEXEC)
    return tree


def open_console(root_fd: int) -> tuple[int, int]:
    """Allocate the terminal of the container's own process, which is also its /dev/console."""
    master, slave = open_terminal(root_fd)
    source = sc.open_tree(
        sc.AT_FDCWD, f"/proc/self/fd/{slave}".encode(), sc.OPEN_TREE_CLONE | sc.OPEN_TREE_CLOEXEC
    )
    target = open_target(root_fd, b"/dev/console", is_directory=False)
    sc.move_mount(source, b"", target, b"", _MOVE)
    os.close(source)
    os.close(target)
    return master, slave


def mask_paths(root_fd: int, paths: list[str]) -> None:
    """Hide files behind the host's null device and directories behind one empty tmpfs."""
    attached = {True: -1, False: -1}  # by "is a directory": the first mount, from which the rest are copied
    for path in paths:
        try:
            target = open_in_root(root_fd, os.fsencode(path), os.O_PATH)
        except (FileNotFoundError, NotADirectoryError):
            continue
        is_directory = os.fstat(target).st_mode & 0o170000 == 0o040000
        if attached[is_directory] >= 0:
            # Only an attached mount can be copied before Linux 6.15.
            flags = sc.OPEN_TREE_CLONE | sc.OPEN_TREE_CLOEXEC | sc.AT_EMPTY_PATH
            mask = sc.open_tree(attached[is_directory], b"", flags)
        elif is_directory:
            mask = new_filesystem("tmpfs", "tmpfs", Options(["ro", "nosuid", "nodev", "noexec", "mode=555"]))
        else:
            mask = device_tree(b"null", DEVICES[b"null"])
            sc.mount_setattr(mask, b"", sc.AT_EMPTY_PATH, sc.MOUNT_ATTR_RDONLY)
        sc.move_mount(mask, b"", target, b"", _MOVE)
        os.close(target)
        if attached[is_directory] < 0:
            attached[is_directory] = mask
        else:
            os.close(mask)
    for mask in attached.values():
        if mask >= 0:
            os.close(mask)


def make_read_only(root_fd: int, paths: list[str]) -> None:
    """Bind each path onto itself, read-only."""
    for path in paths:
        try:
            target = open_in_root(root_fd, os.fsencode(path), os.O_PATH)
        except (FileNotFoundError, NotADirectoryError):
            continue
        flags = sc.AT_EMPTY_PATH | sc.AT_RECURSIVE
        copy = sc.open_tree(target, b"", sc.OPEN_TREE_CLONE | sc.OPEN_TREE_CLOEXEC | flags)
        sc.mount_setattr(copy, b"", flags, sc.MOUNT_ATTR_RDONLY)
        sc.move_mount(copy, b"", target, b"", _MOVE)
        os.close(copy)
        os.close(target)


def write_sysctls(root_fd: int, sysctls: dict[str, str]) -> None:
    """Write kernel parameters through the container's own /proc, checked to be a procfs."""
    for name, value in sysctls.items():
        path = b"proc/sys/" + os.fsencode(name.replace(".", "/"))
        resolve = sc.RESOLVE_IN_ROOT | sc.RESOLVE_NO_SYMLINKS
        try:
            fd = sc.openat2(root_fd, path, os.O_WRONLY, 0, resolve)
            try:
                os.write(fd, value.encode())
            finally:
                os.close(fd)
        except OSError as error:
            raise SetupFailed(f"cannot set sysctl {name}={value}: {error.strerror}") from error


def pivot(root_fd: int) -> None:
    """Make `root_fd` the root of the mount namespace and detach the host's (pivot_root(2), NOTES)."""
    os.fchdir(root_fd)
    sc.pivot_root(b".", b".")
    sc.umount2(b".", sc.MNT_DETACH)
    os.chdir(b"/")
