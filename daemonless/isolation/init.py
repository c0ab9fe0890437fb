"""The container's half of a start: a straight list of steps that ends in execve.

Runs in the clone3 child, so it shares nothing with the supervisor but memory as it was and the
channel of `isolation.sync`. Up to the pivot the host's files are in reach and Python behaves as
usual. From the pivot on the image's files are: nothing may be imported, no codec looked up, no
traceback printed (shared invariant PY-1), so the import system is emptied and every failure goes
through the channel as data.
"""

from __future__ import annotations

import _signal
import _socket
import fcntl
import os
import sys

from daemonless import syscalls as sc
from daemonless.errors import CommandNotExecutable, CommandNotFound, SetupFailed, printable
from daemonless.isolation import identity, privileges, rootfs
from daemonless.isolation.mounts import make_directories
from daemonless.isolation.reaper import reap_for
from daemonless.isolation.sync import CONSOLE, FAILED, MAPPED, READY, START, Channel, pack_error
from daemonless.isolation.userns import become_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from daemonless.isolation.launch import Start

_SIGKILL, _SIGPIPE, _SIGXFSZ = 9, 13, 25
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
    if channel.receive()[0] != MAPPED:
        os._exit(125)
    os.umask(0o022)
    step[0] = "become root of the user namespace"
    become_root(start.id_map)

    step[0] = "mount the root filesystem"
    sc.mount(None, b"/", None, sc.MS_REC | sc.MS_PRIVATE)
    _own_upper(start)
    root_fd = rootfs.mount_root(spec)
    step[0] = "mount"
    rootfs.mount_all(root_fd, spec)
    slave = -1
    if process.get("terminal"):
        step[0] = "open a terminal"
        master, slave = rootfs.open_console(root_fd)
        channel.send(CONSOLE, fd=master)
        os.close(master)
    step[0] = "set the host name"
    _name_host(spec)
    step[0] = "bring up the loopback interface"
    if start.own_network:
        bring_up_loopback()
    linux = spec["linux"]
    rootfs.write_sysctls(root_fd, linux.get("sysctl", {}))
    step[0] = "find the user"
    user = process["user"]
    who = identity.resolve(root_fd, user.get("username", str(user["uid"])), start.extra_groups)
    step[0] = "prepare privileges"
    privileges.set_oom_score_adj(process)
    dropped = privileges.prepare(
        process, who, start.seccomp, single_id=start.id_map.is_single, death_signal=_SIGKILL
    )
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

    sys.path.clear()
    sys.meta_path.clear()
    sys.path_hooks.clear()
    step[0] = "enter the root filesystem"
    rootfs.pivot(root_fd)
    channel.send(READY)
    if channel.receive()[0] != START:
        os._exit(125)
    _place_streams(start, slave)
    if start.reaper:
        reap_for(channel.fileno(), dropped)  # returns in the child that becomes the command
    execute(args, environment, directory, dropped, start.preserve_fds)


def execute(
    args: list[bytes],
    environment: dict[bytes, bytes],
    directory: bytes,
    dropped: privileges.Privileges,
    preserve_fds: int,
) -> NoReturn:
    """Take on the final identity and execute `args[0]`, looked up in PATH.

    Raises CommandNotFound, CommandNotExecutable or OSError; straight-line, for both run and exec.
    """
    enter_directory(directory)
    sc.close_range(3 + preserve_fds, flags=sc.CLOSE_RANGE_CLOEXEC)
    privileges.drop(dropped)
    denied = 0
    for candidate in _candidates(args[0], environment.get(b"PATH", b"")):
        try:
            os.execve(candidate, args, environment)
        except OSError as error:
            if error.errno in (2, 20):  # ENOENT, ENOTDIR: look on
                continue
            denied = denied or error.errno or 0
            if error.errno not in (13, 21):  # EACCES, EISDIR: a later PATH entry may do
                break
    shown = printable(args[0])
    if denied:
        reason = "is a directory" if _is_directory(args[0]) else os.strerror(denied).lower()
        raise CommandNotExecutable(
            f"cannot execute {shown}: {reason}",
            "the file's architecture or its #! line does not fit this machine" if denied == 8 else "",
        )
    if b"/" in args[0] and os.access(args[0], os.F_OK):
        raise CommandNotFound(
            f"cannot execute {shown}: its interpreter or loader is not in the image",
            "check the #! line, or the libc the program was linked against",
        )
    raise CommandNotFound(f"command not found in the image: {shown}", "")


def _candidates(name: bytes, path: bytes) -> list[bytes]:
    if b"/" in name:
        return [name]
    return [(directory or b".") + b"/" + name for directory in path.split(b":")]


def _is_directory(path: bytes) -> bool:
    try:
        return os.stat(path).st_mode & 0o170000 == 0o040000
    except OSError:
        return False


def enter_directory(directory: bytes) -> None:
    """Change to the working directory and make sure it lies inside the root (CVE-2024-21626)."""
    try:
        os.chdir(directory)
        inside = os.getcwdb().startswith(b"/")
    except FileNotFoundError:
        raise CommandNotFound(f"working directory {printable(directory)} is not in the image") from None
    except OSError as error:
        raise SetupFailed(
            f"cannot enter working directory {printable(directory)}: {error.strerror}"
        ) from error
    if not inside:
        raise SetupFailed(f"working directory {printable(directory)} is outside the container")


def reset_signals() -> None:
    """Undo what Python and the supervisor changed: handlers and ignored signals survive execve."""
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    for number in range(1, 65):
        if number not in (_SIGKILL, 19, 32, 33):  # KILL and STOP are fixed; libc keeps 32 and 33
            _signal.signal(number, _signal.SIG_DFL)


def _own_upper(start: Start) -> None:
    """Give the top directory of the writable layer to the container's root: it is the root's `/`."""
    if start.upper and os.stat(start.upper).st_uid != 0:
        os.chown(start.upper, 0, 0)


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


def final_environment(entries: list[str], home: str) -> dict[bytes, bytes]:
    """Return the process's environment as bytes; HOME comes from the user's passwd entry."""
    environment = {}
    for entry in entries:
        name, _, value = os.fsencode(entry).partition(b"=")
        environment[name] = value
    environment.setdefault(b"HOME", os.fsencode(home))
    return environment


def _place_streams(start: Start, slave: int) -> None:
    if slave >= 0:
        rootfs.take_terminal(slave)
        return
    os.setsid()
    for number, fd in enumerate(start.streams):
        os.dup2(fd, number, inheritable=True)
