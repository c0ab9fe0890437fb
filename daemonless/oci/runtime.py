"""The OCI runtime specification 1.1 as types, and the kernel names its fields hold.

The types exist for the type checker alone: a `TypedDict` costs 0.3 ms to create, and a start
needs a dozen of them. https://github.com/opencontainers/runtime-spec/blob/v1.1.0/config.md
"""

from __future__ import annotations

OCI_VERSION = "1.1.0"

# linux/capability.h, in the order of the numbers: the index is the bit (capabilities(7))
CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)

# asm-generic/resource.h: name and number (getrlimit(2)); the spec writes them RLIMIT_NAME
RLIMITS = {
    "cpu": 0,
    "fsize": 1,
    "data": 2,
    "stack": 3,
    "core": 4,
    "rss": 5,
    "nproc": 6,
    "nofile": 7,
    "memlock": 8,
    "as": 9,
    "locks": 10,
    "sigpending": 11,
    "msgqueue": 12,
    "nice": 13,
    "rtprio": 14,
    "rttime": 15,
}

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NotRequired, TypedDict

    class User(TypedDict):
        """config.md, "User". `username` is ours on Linux: resolved inside the container at start."""

        uid: int
        gid: int
        umask: NotRequired[int]
        additionalGids: NotRequired[list[int]]
        username: NotRequired[str]

    class Capabilities(TypedDict):
        """config.md, "Linux Process": the five sets of capabilities(7)."""

        bounding: list[str]
        effective: list[str]
        inheritable: list[str]
        permitted: list[str]
        ambient: list[str]

    class Rlimit(TypedDict):
        """config.md, "POSIX process"."""

        type: str
        soft: int
        hard: int

    class Process(TypedDict):
        """config.md, "Process"."""

        terminal: bool
        user: User
        args: list[str]
        env: list[str]
        cwd: str
        capabilities: Capabilities
        rlimits: list[Rlimit]
        noNewPrivileges: bool
        oomScoreAdj: NotRequired[int]

    class Mount(TypedDict):
        """config.md, "Mounts"."""

        destination: str
        type: str
        source: str
        options: list[str]

    class Hook(TypedDict):
        """config.md, "POSIX-platform Hooks"; no timeout is 0 here."""

        path: str
        args: list[str]
        env: list[str]
        timeout: int

    class Root(TypedDict):
        """config.md, "Root"."""

        path: str
        readonly: bool

    class Namespace(TypedDict):
        """config-linux.md, "Namespaces"."""

        type: str
        path: NotRequired[str]

    class IdMapping(TypedDict):
        """config-linux.md, "User namespace mappings"."""

        containerID: int
        hostID: int
        size: int

    class Linux(TypedDict):
        """config-linux.md."""

        namespaces: list[Namespace]
        uidMappings: list[IdMapping]
        gidMappings: list[IdMapping]
        maskedPaths: list[str]
        readonlyPaths: list[str]
        sysctl: dict[str, str]
        rootfsPropagation: str
        seccomp: NotRequired[dict[str, Any]]

    class Spec(TypedDict):
        """config.md: the whole of config.json."""

        ociVersion: str
        process: Process
        root: Root
        hostname: NotRequired[str]
        annotations: NotRequired[dict[str, str]]
        mounts: list[Mount]
        hooks: NotRequired[dict[str, list[Hook]]]
        linux: Linux
