"""Mounts of the runtime spec, performed with the descriptor-based mount API.

Every mount is made detached (fsmount(2) or open_tree(2)) and then moved onto a target that was
opened inside the container's root (openat2(2), RESOLVE_IN_ROOT). No path string that an image
controls is resolved by the host, and no target can be swapped between check and mount
(CVE-2021-30465 and its descendants).
"""

from __future__ import annotations

import os

from daemonless import syscalls as sc
from daemonless.errors import SetupFailed, printable
from daemonless.files import open_in_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# option: (attributes to set, attributes to clear), as in mount_setattr(2)
_ATTRIBUTES = {
    "ro": (sc.MOUNT_ATTR_RDONLY, 0),
    "rw": (0, 0),
    "nosuid": (sc.MOUNT_ATTR_NOSUID, 0),
    "suid": (0, 0),
    "nodev": (sc.MOUNT_ATTR_NODEV, 0),
    "dev": (0, 0),
    "noexec": (sc.MOUNT_ATTR_NOEXEC, 0),
    "exec": (0, 0),
    "noatime": (sc.MOUNT_ATTR_NOATIME, sc.MOUNT_ATTR__ATIME),
    "relatime": (0, sc.MOUNT_ATTR__ATIME),
    "strictatime": (sc.MOUNT_ATTR_STRICTATIME, sc.MOUNT_ATTR__ATIME),
    "nodiratime": (sc.MOUNT_ATTR_NODIRATIME, 0),
}
_PROPAGATION = {
    "private": sc.MS_PRIVATE,
    "rprivate": sc.MS_PRIVATE | sc.MS_REC,
    "slave": sc.MS_SLAVE,
    "rslave": sc.MS_SLAVE | sc.MS_REC,
    "shared": sc.MS_SHARED,
    "rshared": sc.MS_SHARED | sc.MS_REC,
    "unbindable": sc.MS_UNBINDABLE,
    "runbindable": sc.MS_UNBINDABLE | sc.MS_REC,
}
_DIRECTORY = 0o040000
_KERNELS = (b"/proc", b"/sys", b"/dev")  # filesystems of the kernel, and what is made before they are there


class Options:
    """Mount options sorted by who interprets them."""

    __slots__ = ("bind", "clear", "copy_up", "data", "propagation", "set")

    def __init__(self, options: list[str]) -> None:
        self.set = self.clear = self.propagation = 0
        self.bind = ""
        self.copy_up = False
        self.data: list[str] = []
        for option in options:
            if option in _ATTRIBUTES:
                attributes, cleared = _ATTRIBUTES[option]
                self.set, self.clear = (self.set & ~cleared) | attributes, self.clear | cleared
            elif option in _PROPAGATION:
                self.propagation = _PROPAGATION[option]
            elif option in ("bind", "rbind"):
                self.bind = option
            elif option in ("tmpcopyup", "notmpcopyup"):
                self.copy_up = option == "tmpcopyup"
            else:
                self.data.append(option)


def perform(root_fd: int, mount: dict[str, Any]) -> None:
    """Make one mount of the spec inside `root_fd`. Raises OSError or SetupFailed."""
    options = Options(mount.get("options", []))
    destination = os.fsencode(mount["destination"])
    fstype = mount.get("type", "")
    if options.bind or fstype == "bind":
        tree = bind_tree(os.fsencode(mount["source"]), options)
    else:
        if fstype in ("proc", "sysfs", "cgroup"):
            _refuse_links(root_fd, destination)
        kernel_type = "cgroup2" if fstype == "cgroup" else fstype
        try:
            tree = new_filesystem(kernel_type, mount.get("source") or fstype, options)
        except OSError as error:
            if fstype == "cgroup":  # no cgroup v2 here to show: /sys/fs/cgroup stays empty
                return
            raise _refused(kernel_type, destination, error) from error
    place(tree, root_fd, destination, options)


def place(tree: int, root_fd: int, destination: bytes, options: Options) -> None:
    """Move a detached mount onto its destination inside the root; closes its descriptor."""
    is_directory = os.fstat(tree).st_mode & 0o170000 == _DIRECTORY
    target = open_target(root_fd, destination, is_directory=is_directory)
    if not destination.startswith(_KERNELS):
        _refuse_kernels_files(root_fd, target, destination)
    if options.copy_up:
        _copy_up(root_fd, destination, tree, options)
    sc.move_mount(tree, b"", target, b"", sc.MOVE_MOUNT_F_EMPTY_PATH | sc.MOVE_MOUNT_T_EMPTY_PATH)
    if options.propagation:
        recursive = sc.AT_RECURSIVE if options.propagation & sc.MS_REC else 0
        sc.mount_setattr(
            tree, b"", sc.AT_EMPTY_PATH | recursive, 0, propagation=options.propagation & ~sc.MS_REC
        )
    os.close(target)
    os.close(tree)


def _refused(fstype: str, destination: bytes, error: OSError) -> SetupFailed:
    """Explain errnos of fsmount(2) that mislead (mount_too_revealing() in the kernel)."""
    hint = ""
    if fstype in ("proc", "sysfs") and error.errno == 1:
        hint = (
            f"the outer container masks parts of its own /{fstype[:4].rstrip('f')}; it must be run unmasked"
        )
    return SetupFailed(f"cannot mount {fstype} on {printable(destination)}: {error.strerror}", hint)


def new_filesystem(fstype: str, source: str, options: Options) -> int:
    """Return a detached mount of a new filesystem instance (fsopen(2))."""
    fs = sc.fsopen(fstype.encode())
    try:
        sc.fsconfig(fs, sc.FSCONFIG_SET_STRING, b"source", os.fsencode(source))
        _configure(fs, options.data)
        return sc.fsmount(fs, options.set)
    finally:
        os.close(fs)


def _configure(fs: int, data: list[str]) -> None:
    for option in data:
        key, equals, value = option.partition("=")
        if equals:
            sc.fsconfig(fs, sc.FSCONFIG_SET_STRING, key.encode(), os.fsencode(value))
        else:
            sc.fsconfig(fs, sc.FSCONFIG_SET_FLAG, key.encode())
    sc.fsconfig(fs, sc.FSCONFIG_CMD_CREATE)


def attach(tree: int, target: bytes) -> int:
    """Attach a detached mount to `target`, a directory of ours; return the mount's descriptor, `tree`."""
    to = os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sc.move_mount(tree, b"", to, b"", sc.MOVE_MOUNT_F_EMPTY_PATH | sc.MOVE_MOUNT_T_EMPTY_PATH)
    finally:
        os.close(to)
    return tree


def mount_overlay(options: Options, target: bytes) -> int:
    """Mount the container's root on `target`, a directory of ours; return a descriptor of it."""
    if _knows_lowerdir_plus():
        return attach(new_filesystem("overlay", "overlay", options), target)
    # Layers named by descriptor need no escaping, and 127 of them, the most an image may have,
    # fit the page that mount(2) takes; a string of fsconfig(2) holds 256 bytes.
    lowers = [os.fsencode(o.partition("=")[2]) for o in options.data if o.startswith("lowerdir+=")]
    fds = [os.open(lower, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for lower in lowers]
    layers = ":".join(f"/proc/self/fd/{fd}" for fd in fds)
    data = ",".join([f"lowerdir={layers}", *(o for o in options.data if not o.startswith("lowerdir+="))])
    sc.mount(b"overlay", target, b"overlay", 0, os.fsencode(data))
    for fd in fds:
        os.close(fd)
    return os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _knows_lowerdir_plus() -> bool:
    """Whether overlayfs takes its layers one by one, as since Linux 6.7.

    Asked of the version, because an older kernel logs a line for every attempt.
    """
    major, minor = os.uname().release.split(".")[:2]
    return (int(major), int(minor.partition("-")[0])) >= (6, 7)


def bind_tree(source: bytes, options: Options) -> int:
    """Return a detached copy of the mounts at `source`, a host path the command line named."""
    fd = os.open(source, os.O_PATH | os.O_CLOEXEC)
    try:
        return clone_tree(fd, options)
    finally:
        os.close(fd)


def clone_tree(fd: int, options: Options) -> int:
    """Return a detached copy of the mounts at an open file or directory.

    Attributes can only be added: flags the host locked stay as they are (mount_namespaces(7)).
    """
    recursive = sc.AT_RECURSIVE if options.bind != "bind" else 0
    flags = sc.OPEN_TREE_CLONE | sc.OPEN_TREE_CLOEXEC | sc.AT_EMPTY_PATH
    tree = sc.open_tree(fd, b"", flags | recursive)
    if options.set:
        sc.mount_setattr(tree, b"", sc.AT_EMPTY_PATH | recursive, options.set, options.clear)
    return tree


def _refuse_links(root_fd: int, destination: bytes) -> None:
    """Refuse an image whose /proc or /sys is a link or no directory (CVE-2019-19921)."""
    try:
        fd = sc.openat2(
            root_fd, destination, os.O_PATH | os.O_NOFOLLOW, 0, sc.RESOLVE_IN_ROOT | sc.RESOLVE_NO_SYMLINKS
        )
    except FileNotFoundError:
        return
    except OSError as error:
        raise SetupFailed(
            f"{printable(destination)} in the image is not a plain directory: {error.strerror}"
        ) from error
    kind = os.fstat(fd).st_mode & 0o170000
    os.close(fd)
    if kind != _DIRECTORY:
        raise SetupFailed(f"{printable(destination)} in the image is not a plain directory")


def open_target(root_fd: int, path: bytes, *, is_directory: bool, links: int = 40) -> int:
    """Open a mount target inside the root, making it and its parents if they are missing."""
    try:
        return open_in_root(root_fd, path, os.O_PATH)
    except FileNotFoundError:
        pass
    parent, _, name = path.rstrip(b"/").rpartition(b"/")
    parent_fd = make_directories(root_fd, parent)
    try:
        if is_directory:
            os.mkdir(name, 0o755, dir_fd=parent_fd)
        else:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(name, flags, 0o644, dir_fd=parent_fd))
    except FileExistsError:
        aim = _aim(parent_fd, name, path, links)
        return open_target(root_fd, aim, is_directory=is_directory, links=links - 1)
    finally:
        os.close(parent_fd)
    return open_in_root(root_fd, path, os.O_PATH)


def _aim(dir_fd: int, name: bytes, path: bytes, links: int) -> bytes:
    """Return where a dangling link leads, as /etc/resolv.conf often is one: that is to be made."""
    if links == 0:
        raise SetupFailed(f"{printable(path)} in the image is a loop of links") from None
    text = os.readlink(name, dir_fd=dir_fd)
    return text if text.startswith(b"/") else path.rstrip(b"/").rpartition(b"/")[0] + b"/" + text


def make_directories(root_fd: int, path: bytes, links: int = 40) -> int:
    """Open a directory inside the root, making what is missing; links stay inside the root."""
    fd = open_in_root(root_fd, b"/", os.O_PATH | os.O_DIRECTORY)
    done = b""
    for name in path.split(b"/"):
        if name in (b"", b"."):
            continue
        done += b"/" + name
        try:
            following = open_in_root(root_fd, done, os.O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            try:
                os.mkdir(name, 0o755, dir_fd=fd)
            except FileExistsError:
                os.close(make_directories(root_fd, _aim(fd, name, done, links), links - 1))
            following = open_in_root(root_fd, done, os.O_PATH | os.O_DIRECTORY)
        os.close(fd)
        fd = following
    return fd


def _refuse_kernels_files(root_fd: int, target: int, destination: bytes) -> None:
    """Refuse a mount point that a link of the image leads into /proc or /sys (CVE-2025-52881)."""
    device = os.fstat(target).st_dev
    if device == os.fstat(root_fd).st_dev:
        return  # as nearly always: it leads into no other file system
    for name in (b"proc", b"sys"):
        try:
            status = os.stat(name, dir_fd=root_fd, follow_symlinks=False)
        except FileNotFoundError:
            continue
        if status.st_dev == device:
            raise SetupFailed(f"{printable(destination)} leads into /{name.decode()} by a link of the image")


def _copy_up(root_fd: int, destination: bytes, tree: int, options: Options) -> None:
    """Give a fresh tmpfs what the directory it covers holds, and its attributes."""
    # Most containers copy nothing and spare themselves a module; this is before the pivot.
    from daemonless.isolation.copying import copy_attributes, copy_content  # noqa: PLC0415 - for tmpcopyup

    source = open_in_root(root_fd, destination, os.O_RDONLY | os.O_DIRECTORY)
    top = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=tree)
    copy_content(source, tree)
    if not any(option.startswith("mode=") for option in options.data):
        copy_attributes(source, top)
    os.close(top)
    os.close(source)
