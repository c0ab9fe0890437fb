"""The raw system calls: the only module that may import ctypes (a lint test guards it).

Each wrapper is two lines and raises OSError with the kernel's errno. Everything goes through
libc's syscall(2), so there is one prototype and one table of numbers. `_ctypes` is used without
the `ctypes` package around it because that package costs 3 to 4 ms at import and offers nothing
more that is needed here.

Numbers from 424 on are the same on every architecture; the few older ones stand in `_OLD`.
"""

from __future__ import annotations

import os
from _ctypes import (
    FUNCFLAG_CDECL,
    FUNCFLAG_USE_ERRNO,
    CFuncPtr,
    _SimpleCData,
    dlopen,
    dlsym,
    get_errno,
)

# --- constants, as the kernel's headers name them -------------------------------------------

AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
AT_FDCWD = -100

CLONE_NEWCGROUP = 0x02000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWNET = 0x40000000
CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWUTS = 0x04000000
CLONE_INTO_CGROUP = 0x200000000

CLOSE_RANGE_CLOEXEC = 4

FSCONFIG_SET_FLAG = 0
FSCONFIG_SET_STRING = 1
FSCONFIG_SET_FD = 5
FSCONFIG_CMD_CREATE = 6

IN_MODIFY = 0x2
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE = 0x200

MNT_DETACH = 2

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR_STRICTATIME = 0x20
MOUNT_ATTR__ATIME = 0x70
MOUNT_ATTR_NODIRATIME = 0x80

MOVE_MOUNT_F_EMPTY_PATH = 0x4
MOVE_MOUNT_T_EMPTY_PATH = 0x40

MS_BIND = 4096
MS_MOVE = 8192
MS_PRIVATE = 1 << 18
MS_REC = 16384
MS_SHARED = 1 << 20
MS_SLAVE = 1 << 19
MS_UNBINDABLE = 1 << 17

OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC

PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
PR_CAP_AMBIENT_RAISE = 2
PR_CAPBSET_DROP = 24
PR_CAPBSET_READ = 23
PR_SET_CHILD_SUBREAPER = 36
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_SET_NAME = 15
PR_SET_NO_NEW_PRIVS = 38
PR_SET_PDEATHSIG = 1

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

SECCOMP_SET_MODE_FILTER = 1
SECCOMP_FILTER_FLAG_LOG = 2

KEYCTL_JOIN_SESSION_KEYRING = 1

CAPABILITY_VERSION_3 = 0x20080522

# name: (x86-64, aarch64)
_OLD = {
    "capset": (126, 91),
    "inotify_add_watch": (254, 27),
    "inotify_init1": (294, 26),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "pivot_root": (155, 41),
    "prctl": (157, 167),
    "seccomp": (317, 277),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "syncfs": (306, 267),
    "umount2": (166, 39),
    "unshare": (272, 97),
}
_COLUMN = {"x86_64": 0, "aarch64": 1}
MACHINE = os.uname().machine
_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT = 428, 429, 430, 431, 432
_CLONE3, _CLOSE_RANGE, _OPENAT2, _MOUNT_SETATTR, _FCHMODAT2 = 435, 436, 437, 442, 452


class _Long(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "l"


class _Word(_SimpleCData):  # type: ignore[type-arg]
    """One argument register: an int, bytes (passed by address) or None (zero)."""

    _type_ = "P"


class _CharPointer(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "z"


class _Prototype(CFuncPtr):
    _flags_ = FUNCFLAG_CDECL | FUNCFLAG_USE_ERRNO
    _restype_ = _Long
    _argtypes_ = (_Long, _Word, _Word, _Word, _Word, _Word, _Word)


_libc = dlopen(None, 2)  # type: ignore[arg-type] # None: this process; 2: RTLD_NOW
_raw = _Prototype(dlsym(_libc, "syscall"))


def _number(name: str) -> int:
    try:
        return _OLD[name][_COLUMN[MACHINE]]
    except KeyError:
        raise OSError(38, f"{name}: no system call table for {MACHINE}") from None


def _call(
    number: int,
    a: int | bytes | None = 0,
    b: int | bytes | None = 0,
    c: int | bytes | None = 0,
    d: int | bytes | None = 0,
    e: int | bytes | None = 0,
    f: int | bytes | None = 0,
    *,
    path: bytes | str | None = None,
) -> int:
    """Make one system call; `path` only names the object in the error."""
    result: int = _raw(number, a, b, c, d, e, f)
    if result < 0:
        error = get_errno()
        raise OSError(error, os.strerror(error), path)
    return result


def _u64(*words: int) -> bytes:
    """Lay out a C struct whose members are all 64 bits wide."""
    return b"".join(word.to_bytes(8, "little") for word in words)


# --- processes and namespaces ----------------------------------------------------------------


def clone3(flags: int, *, exit_signal: int = 17, cgroup_fd: int = 0) -> int:
    """Clone the calling process as clone3(2) does; return the child's pid, or 0 in the child.

    The caller must have one thread. CPython's after-fork hooks do not run in the child: it may
    go on in straight-line code until execve or _exit.
    """
    args = _u64(flags, 0, 0, 0, exit_signal, 0, 0, 0, 0, 0, cgroup_fd)
    return _call(_CLONE3, args, len(args))


def unshare(flags: int) -> None:
    """unshare(2)."""
    _call(_number("unshare"), flags)


def setns(fd: int, nstype: int) -> None:
    """setns(2); `fd` may be a pidfd, then `nstype` may name several namespaces at once."""
    _call(_number("setns"), fd, nstype)


def prctl(option: int, a: int | bytes = 0, b: int = 0, c: int = 0, d: int = 0) -> int:
    """prctl(2)."""
    return _call(_number("prctl"), option, a, b, c, d)


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """Set the calling thread's capability sets, each a 64-bit mask (capset(2))."""
    header = CAPABILITY_VERSION_3.to_bytes(4, "little") + bytes(4)
    sets = (effective, permitted, inheritable)
    words = [mask & 0xFFFFFFFF for mask in sets] + [mask >> 32 for mask in sets]
    _call(_number("capset"), header, b"".join(word.to_bytes(4, "little") for word in words))


def sethostname(name: bytes) -> None:
    """sethostname(2)."""
    _call(_number("sethostname"), name, len(name))


def setdomainname(name: bytes) -> None:
    """setdomainname(2)."""
    _call(_number("setdomainname"), name, len(name))


def join_session_keyring() -> None:
    """Join a fresh anonymous session keyring (keyctl_join_session_keyring(3))."""
    _call(_number("keyctl"), KEYCTL_JOIN_SESSION_KEYRING, None)


def seccomp_set_filter(program: bytes, flags: int = 0) -> None:
    """Install a BPF `program` (struct sock_filter array, 8 bytes an instruction; seccomp(2))."""
    pointer = _CharPointer(program)  # its bytes are the address; it keeps `program` alive
    fprog = (len(program) // 8).to_bytes(8, "little") + bytes(pointer)
    _call(_number("seccomp"), SECCOMP_SET_MODE_FILTER, flags, fprog)


# --- files ------------------------------------------------------------------------------------


def openat2(dir_fd: int, path: bytes, flags: int, mode: int = 0, resolve: int = 0) -> int:
    """openat2(2); the result is close-on-exec."""
    how = _u64(flags | os.O_CLOEXEC, mode, resolve)
    return _call(_OPENAT2, dir_fd, path, how, len(how), path=path)


def close_range(first: int, last: int = 0xFFFFFFFF, flags: int = 0) -> None:
    """close_range(2)."""
    _call(_CLOSE_RANGE, first, last, flags)


def syncfs(fd: int) -> None:
    """syncfs(2)."""
    _call(_number("syncfs"), fd)


def fchmodat2(dir_fd: int, path: bytes, mode: int, flags: int) -> None:
    """fchmodat2(2), Linux 6.6; raises OSError(ENOSYS) before."""
    _call(_FCHMODAT2, dir_fd, path, mode, flags, path=path)


# --- watching files --------------------------------------------------------------------------


def inotify_init() -> int:
    """Return a descriptor that becomes readable as what it watches changes (inotify(7))."""
    return _call(_number("inotify_init1"), os.O_CLOEXEC | os.O_NONBLOCK)


def inotify_add_watch(fd: int, path: bytes, mask: int) -> None:
    """Watch a file or directory for IN_* events."""
    _call(_number("inotify_add_watch"), fd, path, mask, path=path)


# --- mounts -----------------------------------------------------------------------------------


def mount(
    source: bytes | None, target: bytes, fstype: bytes | None, flags: int, data: bytes | None = None
) -> None:
    """mount(2)."""
    _call(_number("mount"), source, target, fstype, flags, data, path=target)


def umount2(target: bytes, flags: int) -> None:
    """umount2(2)."""
    _call(_number("umount2"), target, flags, path=target)


def pivot_root(new_root: bytes, put_old: bytes) -> None:
    """pivot_root(2)."""
    _call(_number("pivot_root"), new_root, put_old, path=new_root)


def open_tree(dir_fd: int, path: bytes, flags: int) -> int:
    """open_tree(2)."""
    return _call(_OPEN_TREE, dir_fd, path, flags, path=path)


def move_mount(from_fd: int, from_path: bytes, to_fd: int, to_path: bytes, flags: int) -> None:
    """move_mount(2)."""
    _call(_MOVE_MOUNT, from_fd, from_path, to_fd, to_path, flags, path=to_path)


def mount_setattr(
    dir_fd: int, path: bytes, flags: int, attr_set: int, attr_clr: int = 0, propagation: int = 0
) -> None:
    """mount_setattr(2)."""
    attr = _u64(attr_set, attr_clr, propagation, 0)
    _call(_MOUNT_SETATTR, dir_fd, path, flags, attr, len(attr), path=path)


def fsopen(fstype: bytes) -> int:
    """fsopen(2); the result is close-on-exec."""
    return _call(_FSOPEN, fstype, 1, path=fstype)


def fsconfig(
    fd: int, command: int, key: bytes | None = None, value: bytes | None = None, aux: int = 0
) -> None:
    """fsconfig(2)."""
    _call(_FSCONFIG, fd, command, key, value, aux, path=key)


def fsmount(fd: int, attributes: int) -> int:
    """fsmount(2); the result is close-on-exec."""
    return _call(_FSMOUNT, fd, 1, attributes)
