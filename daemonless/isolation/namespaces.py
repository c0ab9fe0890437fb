"""Which namespaces a container has of its own, and cloning into its cgroup."""

from __future__ import annotations

import os

from daemonless import syscalls as sc
from daemonless.errors import SetupFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAMESPACES = {
    "user": sc.CLONE_NEWUSER,
    "mount": sc.CLONE_NEWNS,
    "pid": sc.CLONE_NEWPID,
    "ipc": sc.CLONE_NEWIPC,
    "uts": sc.CLONE_NEWUTS,
    "network": sc.CLONE_NEWNET,
    "cgroup": sc.CLONE_NEWCGROUP,
}


def namespace_flags(spec: dict[str, Any]) -> int:
    """Return the CLONE_NEW* flags of the namespaces the spec asks for; raises SetupFailed."""
    flags = 0
    for namespace in spec["linux"]["namespaces"]:
        if namespace.get("path"):
            raise SetupFailed(f"joining an existing {namespace['type']} namespace is not supported")
        flags |= NAMESPACES[namespace["type"]]
    return flags


def clone_into_cgroup(flags: int, cgroup: str) -> int:
    """clone3(2) with CLONE_INTO_CGROUP if there is a `cgroup`; without, if it has just gone.

    Writing to cgroup.procs instead would wait for a grace period of the kernel, 5 ms.
    """
    if cgroup:
        try:
            fd = os.open(cgroup, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return sc.clone3(flags)
        try:
            return sc.clone3(flags | sc.CLONE_INTO_CGROUP, cgroup_fd=fd)
        except OSError:
            pass
        finally:
            os.close(fd)
    return sc.clone3(flags)
