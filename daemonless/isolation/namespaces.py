"""Which namespaces a container has of its own."""

from __future__ import annotations

from daemonless import syscalls as sc
from daemonless.errors import SetupFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAMESPACES = {
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
        flags |= _NAMESPACES[namespace["type"]]
    return flags
