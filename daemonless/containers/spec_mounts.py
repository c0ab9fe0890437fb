"""`mounts` of the runtime spec: the container's own, in the order they are made, and the user's.

A mount of the user replaces the container's at the same destination. All but the root filesystem
are sorted by depth, stably, so that a mount never hides one made before it.
"""

from __future__ import annotations

from daemonless.containers.host_facts import HostFacts
from daemonless.containers.request import RunRequest
from daemonless.isolation.userns import IdMap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from daemonless.oci.runtime import Mount

_TTY_GROUP = 5  # the group `tty` of every distribution; owner of terminals


def build_mounts(
    request: RunRequest,
    rootfs_mount: dict[str, Any],
    prepared: Mapping[str, Mount],
    *,
    run_dir: str,
    id_map: IdMap,
    host: HostFacts,
) -> list[Mount]:
    """Return all mounts; the first is the root filesystem.

    `prepared` are mounts by destination: the request's that are no plain bind or tmpfs, and secrets.
    """
    user = [
        prepared.get(m.destination) or _mount(m.destination, m.type, m.source, *m.options)
        for m in request.mounts
    ]
    user += [
        _mount(
            d.destination,
            "bind",
            d.source,
            "rbind",
            "slave",
            "nosuid",
            "noexec",
            "rw" if d.writable else "ro",
        )
        for d in request.devices
    ]
    taken = {mount["destination"] for mount in user}
    user += [mount for destination, mount in prepared.items() if destination not in taken]
    taken.update(prepared)
    own = [
        *_filesystems(request, id_map, host),
        *_files(request, run_dir),
        *_read_only_scratch(request),
        *_privileged_devices(host),
    ]
    mounts = [*(mount for mount in own if mount["destination"] not in taken), *user]
    mounts.sort(key=lambda mount: mount["destination"].count("/"))
    root: Any = rootfs_mount
    return [root, *mounts]


def _mount(destination: str, kind: str, source: str, *options: str) -> Mount:
    return {"destination": destination, "type": kind, "source": source, "options": [*options]}


def _bind(path: str, *options: str) -> Mount:
    """Return a bind of a part of the host's own /proc, /sys or /dev to the same place."""
    return _mount(path, "bind", path, "rbind", "rprivate", *options)


def _filesystems(request: RunRequest, id_map: IdMap, host: HostFacts) -> list[Mount]:
    """Return the kernel's filesystems; where a namespace is the host's, the host's mount is bound.

    The kernel would not mount a new instance of a namespace that the container's root does not
    own (namespaces(7)).
    """
    plain = ("nosuid", "noexec", "nodev")
    writable = "rw" if request.privileged else "ro"
    has_tty = any(inside <= _TTY_GROUP < inside + length for inside, _, length in id_map.gids)
    dev = ["nosuid", "strictatime", "mode=755", "size=65536k"]
    if request.read_only and not request.read_only_tmpfs:
        dev.append("ro")
    devpts = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
    mounts = [
        _bind("/proc", *plain) if request.pid == "host" else _mount("/proc", "proc", "proc", *plain),
        _mount("/dev", "tmpfs", "tmpfs", *dev),
        _mount("/dev/pts", "devpts", "devpts", *devpts, *([f"gid={_TTY_GROUP}"] if has_tty else [])),
    ]
    if request.ipc == "host" or request.ipc.startswith("container:"):  # that's takes its place at a start
        mounts.append(_bind("/dev/shm", *plain))
        if request.ipc != "host":
            mounts.append(_mount("/dev/mqueue", "mqueue", "mqueue", *plain))
        elif host.has_mqueue:
            mounts.append(_bind("/dev/mqueue", *plain))
    else:
        size = (
            f"size={request.shm_size >> 10}k" if request.shm_size % 1024 == 0 else f"size={request.shm_size}"
        )
        if request.ipc != "none":
            mounts.append(_mount("/dev/shm", "tmpfs", "shm", *plain, "mode=1777", size))
        mounts.append(_mount("/dev/mqueue", "mqueue", "mqueue", *plain))
    if request.network.mode == "host":
        mounts.append(_bind("/sys", *plain, writable))
    else:
        mounts.append(_mount("/sys", "sysfs", "sysfs", *plain, writable))
    if request.cgroupns == "host":
        mounts.append(_bind("/sys/fs/cgroup", *plain, "ro"))
    else:
        mounts.append(_mount("/sys/fs/cgroup", "cgroup", "cgroup", "rprivate", *plain, "relatime", writable))
    return mounts


def _files(request: RunRequest, run_dir: str) -> list[Mount]:
    """Return the binds of the files that are generated at every start."""
    names = [("/etc/hostname", "hostname"), ("/run/.containerenv", ".containerenv")]
    if not request.no_hosts:
        names.insert(0, ("/etc/hosts", "hosts"))
    if "none" not in request.dns:
        names.insert(-1, ("/etc/resolv.conf", "resolv.conf"))
    writable = "ro" if request.read_only else "rw"
    options = ("bind", "rprivate", "nosuid", "noexec", "nodev", writable)
    return [_mount(destination, "bind", f"{run_dir}/{name}", *options) for destination, name in names]


def _read_only_scratch(request: RunRequest) -> list[Mount]:
    """Return what stays writable under --read-only, as in podman."""
    if not (request.read_only and request.read_only_tmpfs):
        return []
    options = ("rw", "rprivate", "nosuid", "nodev", "tmpcopyup")
    return [_mount(path, "tmpfs", "tmpfs", *options) for path in ("/run", "/tmp", "/var/tmp")]


def _privileged_devices(host: HostFacts) -> list[Mount]:
    options = ("bind", "slave", "nosuid", "noexec", "rw")
    return [_mount(path, "bind", path, *options) for path in host.devices]
