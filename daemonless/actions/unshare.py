"""unshare: a command in the user namespace of this user's containers."""

from __future__ import annotations

import os

from daemonless.actions.image_mounts import SESSION
from daemonless.errors import UsageError
from daemonless.images.leases import Lease
from daemonless.isolation import session
from daemonless.isolation.userns import load_id_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Run the command, or the user's shell, and return its exit status."""
    if os.environ.get(SESSION):
        raise UsageError("this is a session of daemonless unshare already", "run the command as it is")
    id_map = load_id_map(os.getuid(), os.getgid())
    if id_map.is_single:
        args.warn(id_map.reason)
    command = args.command or (os.environ.get("SHELL") or "/bin/sh",)
    paths = args.paths
    with Lease(paths.data) as lease:
        environment = {
            **os.environ,
            "DAEMONLESS_ROOT": paths.data,  # inside, the caller's id is 0
            "DAEMONLESS_RUNROOT": paths.run,
            SESSION: lease.path,
        }
        return session.run(command, environment, id_map)
