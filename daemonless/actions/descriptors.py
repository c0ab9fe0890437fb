"""`--preserve-fds` and `--preserve-fd`: descriptors of the caller that a container's process inherits."""

from __future__ import annotations

import os

from daemonless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args

_LAST = 65535


def preserved(args: Args) -> tuple[int, ...]:
    """Return the descriptors that were asked for, in order; all are open. Raises UsageError."""
    if not args.preserve_fds and not args.preserve_fd:
        return ()
    wanted = {*range(3, 3 + args.preserve_fds)}
    for value in args.preserve_fd or ():
        for word in value.split(","):
            if not (word.isascii() and word.isdigit() and 3 <= int(word) <= _LAST):
                raise UsageError(
                    f"invalid value for --preserve-fd, {value!r}: {word!r} is no descriptor from 3 on"
                )
            wanted.add(int(word))
    for fd in sorted(wanted):
        try:
            is_given = os.get_inheritable(fd)  # ours never are
        except OSError:
            is_given = False
        if not is_given:
            raise UsageError(f"cannot preserve descriptor {fd}: it is not open")
    return tuple(sorted(wanted))
