"""Hooks of a runtime spec (config.md, "POSIX-platform Hooks"): programs of the host, run at a start.

Only `createContainer` ones: init runs them in the container's namespaces, with all mounted and the host's
files still in reach, as root of the container's user namespace. They find the container's root where the
bundle's config.json says.
"""

from __future__ import annotations

import os
import select

from daemonless import jsonio
from daemonless.errors import SetupFailed, printable
from daemonless.files import write_all
from daemonless.oci.runtime import OCI_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PATIENCE = 60  # seconds for a hook without a timeout
_SIGKILL = 9


def run_hooks(spec: dict[str, Any]) -> None:
    """Run them one after the other. Raises SetupFailed for one that fails, or takes too long."""
    bundle = os.path.dirname(spec["root"]["path"])
    state = {
        "ociVersion": OCI_VERSION,
        "id": os.path.basename(bundle),
        "status": "creating",
        "pid": int(os.readlink("/proc/self")),  # as the host counts, whose /proc it is
        "bundle": bundle,
        "annotations": spec.get("annotations", {}),
    }
    for hook in (spec.get("hooks") or {}).get("createContainer", ()):
        _run(hook, jsonio.dumps(state).encode())


def _run(hook: dict[str, Any], state: bytes) -> None:
    given = os.memfd_create("state")
    write_all(given, state)
    os.lseek(given, 0, os.SEEK_SET)
    said = os.memfd_create("said")
    environment = dict(entry.partition("=")[::2] for entry in hook.get("env") or ())
    actions = [
        (os.POSIX_SPAWN_DUP2, given, 0),
        (os.POSIX_SPAWN_DUP2, said, 1),
        (os.POSIX_SPAWN_DUP2, said, 2),
    ]
    shown = printable(hook["path"])
    try:
        pid = os.posix_spawn(hook["path"], hook["args"], environment, file_actions=actions)
    except OSError as error:
        raise SetupFailed(f"cannot run hook {shown}: {error.strerror}") from None
    pidfd = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    limit = hook.get("timeout") or _PATIENCE
    in_time = bool(poll.poll(limit * 1000))
    if not in_time:
        os.kill(pid, _SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    words = printable(os.pread(said, 500, 0).strip())
    for fd in (pidfd, given, said):
        os.close(fd)
    if not in_time:
        raise SetupFailed(f"hook {shown} took longer than {limit} s")
    if status:
        raise SetupFailed(f"hook {shown} failed with status {status}" + (f": {words}" if words else ""))
