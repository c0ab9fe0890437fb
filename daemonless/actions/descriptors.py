"""`--preserve-fds`: descriptors of the caller that a container's process inherits."""

from __future__ import annotations

import os

from daemonless.errors import UsageError


def check_descriptors(count: int) -> None:
    """Make sure the descriptors `--preserve-fds` names are open. Raises UsageError."""
    for fd in range(3, 3 + count):
        try:
            os.fstat(fd)
        except OSError:
            raise UsageError(f"cannot preserve {count} descriptors: {fd} is not open") from None
