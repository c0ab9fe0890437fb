"""The container's half of a start: a straight list of steps that ends in execve.

Runs in the clone3 child, so it shares nothing with the supervisor but memory as it was and the
channel of `isolation.sync`. Up to the pivot the host's files are in reach and Python behaves as
usual. From the pivot on the image's files are: nothing may be imported, no codec looked up, no
traceback printed (shared invariant PY-1), so the import system is emptied and every failure goes
through the channel as data.
"""

from __future__ import annotations

import _socket
import fcntl
import os

from daemonless import syscalls as sc
from daemonless.isolation import identity, privileges, rootfs
from daemonless.isolation.execute import (
    execute,
    final_environment,
    place_streams,
    reset_signals,
    switch_off_imports,
)
from daemonless.isolation.mounts import make_directories
from daemonless.isolation.reaper import reap_for
from daemonless.isolation.sync import CONSOLE, FAILED, MAPPED, READY, START, Channel, pack_error
from daemonless.isolation.terminal import take_terminal
from daemonless.isolation.userns import become_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from daemonless.isolation.launch import Start

_SIGKILL = 9
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def init(start: Start, channel: Channel) -> NoReturn:
    """Become the container's process; a failure is sent through `channel` before exiting."""
    step = ["start"]
    try:
        _init(start, channel, step)
    except BaseException as error:
        try:
            channel.send(FAILED, pack_error(error, step[0]))
        finally:
            os._exit(125)


def _init(start: Start, channel: Channel, step: list[str]) -> NoReturn:
    spec, process = start.spec, start.spec["process"]
    sc.prctl(sc.PR_SET_PDEATHSIG, _SIGKILL)  # a supervisor that dies takes the container along
    reset_signals()
    os.umask(0o022)
    if any(namespace["type"] == "cgroup" for namespace in spec["linux"]["namespaces"]):
        sc.unshare(sc.CLONE_NEWCGROUP)  # not with clone3: its root would be the supervisor's cgroup
    # What needs no mapped id is done while the supervisor waits for newuidmap and newgidmap.
    step[0] = "set the host name"
    _name_host(spec)
    step[0] = "bring up the loopback interface"
    if start.own_network:
        bring_up_loopback()
    sc.mount(None, b"/", None, sc.MS_REC | sc.MS_PRIVATE)
    if channel.receive()[0] != MAPPED:
        os._exit(125)
    opened: list[int] = []
    whole = spec
    if not start.has_caller:
        step[0] = "open the files of the container"
        from daemonless.isolation.early import open_early  # noqa: PLC0415 - few containers are such

        start, opened = open_early(start)
        spec = start.spec
    step[0] = "become root of the user namespace"
    keep_groups = start.id_map.is_single or start.extra_groups == identity.KEEP_GROUPS
    become_root(start.id_map, keep_groups=keep_groups)

    step[0] = "mount the root filesystem"
    if start.upper:
        rootfs.own_upper(start.upper)
    if start.remount:
        _allow_remount(start.upper)
    root_fd = rootfs.mount_root(spec)
    step[0] = "mount"
    owed = rootfs.mount_all(root_fd, spec, start.sources)
    for fd in opened:
        os.close(fd)
    made = _made(start.upper) if start.tell_made else b""
    if spec.get("hooks"):
        step[0] = "run the hooks"
        from daemonless.isolation.hooks import run_hooks  # noqa: PLC0415 - few containers have any

        run_hooks(whole)
    slave = -1
    if process.get("terminal"):
        step[0] = "open a terminal"
        master, slave = rootfs.open_console(root_fd)
        channel.send(CONSOLE, fd=master)
        os.close(master)
    linux = spec["linux"]
    step[0] = "set kernel parameters"
    rootfs.write_sysctls(root_fd, linux.get("sysctl", {}))
    step[0] = "find the user"
    user = process["user"]
    who = identity.resolve(root_fd, user.get("username", str(user["uid"])), start.extra_groups)
    for each in owed:
        each.give(who.uid, who.gid)
    step[0] = "prepare privileges"
    if not start.joined:  # who joins has done so, and is not dumpable
        privileges.set_oom_score_adj(process)
    dropped = privileges.prepare(process, who, start.seccomp, keep_groups=keep_groups, death_signal=_SIGKILL)
    environment = final_environment(process["env"], who.home)
    directory = os.fsencode(process["cwd"])
    step[0] = "make the working directory"
    if start.make_cwd:
        os.close(make_directories(root_fd, directory))
    step[0] = "protect /proc and /sys"
    rootfs.mask_paths(root_fd, linux.get("maskedPaths", []))
    rootfs.make_read_only(root_fd, linux.get("readonlyPaths", []))
    if spec["root"].get("readonly"):
        sc.mount_setattr(root_fd, b"", sc.AT_EMPTY_PATH, sc.MOUNT_ATTR_RDONLY)
    args = [os.fsencode(arg) for arg in process["args"]]

    switch_off_imports()
    step[0] = "enter the root filesystem"
    rootfs.pivot(root_fd)
    channel.send(READY, made)
    if channel.receive()[0] != START:
        os._exit(125)
    if slave >= 0:
        take_terminal(slave)
    else:
        place_streams(start.streams, dropped.uid, are_ours=not start.streams_are_callers)
    if start.reaper:
        reap_for(dropped)  # returns in the child that becomes the command
    execute(args, environment, directory, dropped, start.preserve_fds)


def _allow_remount(upper: str) -> None:
    """Remove what makes a volatile overlay refuse to be mounted again (overlayfs, "Volatile mount").

    It guards against data that a crash has lost; what was written under this same supervisor is
    there.
    """
    incompat = f"{upper.rpartition('/')[0]}/work/work/incompat"
    try:
        os.unlink(f"{incompat}/volatile/dirty")
        os.rmdir(f"{incompat}/volatile")
        os.rmdir(incompat)
    except FileNotFoundError:  # it is not volatile
        pass


def _made(upper: str) -> bytes:
    from daemonless.isolation.mountpoints import list_made, pack  # noqa: PLC0415 - nothing but a build asks

    return pack(list_made(upper))


def _name_host(spec: dict[str, Any]) -> None:
    if spec.get("hostname"):
        sc.sethostname(spec["hostname"].encode())
    if spec.get("domainname"):
        sc.setdomainname(spec["domainname"].encode())


def bring_up_loopback() -> None:
    """Set IFF_UP on `lo` (netdevice(7)); two ioctls instead of a netlink library."""
    control = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    request = b"lo".ljust(16, b"\0") + bytes(24)  # struct ifreq: the name, then a union
    request = fcntl.ioctl(control.fileno(), _SIOCGIFFLAGS, request)
    flags = int.from_bytes(request[16:18], "little") | _IFF_UP
    fcntl.ioctl(control.fileno(), _SIOCSIFFLAGS, request[:16] + flags.to_bytes(2, "little") + request[18:])
    control.close()
