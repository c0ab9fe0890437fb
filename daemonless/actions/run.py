"""run: create a container and start it, attached or detached."""

from __future__ import annotations

import os

from daemonless.actions import create
from daemonless.actions.descriptors import preserved
from daemonless.containers import ending, starting
from daemonless.supervisor.attach import DETACHED, Streams, hold_signals, take_part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args
    from daemonless.containers.request import RunRequest


def main(args: Args) -> int:
    """Run a command in a new container; the result is the command's exit status."""
    preserve = preserved(args)
    starting.check_streams(args.log_driver)
    container, request = create.create(args, durable=False)
    paths = args.paths
    if args.tty and args.interactive and not args.detach and not os.isatty(0):
        args.warn("the input is not a terminal, so --tty --interactive may not work as expected")
    passes_signals = args.sig_proxy and not args.tty and not args.detach
    if passes_signals:
        hold_signals(but_interrupt=True)
    try:
        started = starting.start(paths, container, attached=not args.detach, preserve_fds=preserve)
    except BaseException:
        if request.rm:  # a supervisor that came far enough has removed it already
            ending.remove_if_there(paths, container)
        raise
    if passes_signals:
        hold_signals()
    if args.pidfile:
        create.write_new_file(args.pidfile, str(started.pid))
    if args.detach:
        print(container.id)
        return 0
    return attend(started, request, detach_keys=request.detach_keys, proxy=args.sig_proxy)


def attend(
    started: starting.Started, request: RunRequest, *, detach_keys: tuple[int, ...], proxy: bool
) -> int:
    """Take part in a started container until it ends or is detached from."""
    attached = request.attach or ("stdin", "stdout", "stderr")
    streams = Streams(
        terminal=request.tty,
        stdin=request.interactive and "stdin" in attached and request.log_driver != "passthrough",
        shown=tuple(fd for fd, name in ((1, "stdout"), (2, "stderr")) if name in attached),
        detach_keys=bytes(detach_keys),
        proxy_signals=proxy and not request.tty,
    )
    status = take_part(started.socket, started.pidfd, streams)
    started.socket.close()
    if status == DETACHED:
        print(started.container.id)
        return 0
    return status
