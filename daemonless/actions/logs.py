"""logs: show what a container wrote."""

from __future__ import annotations

import os
import time

from daemonless.containers.instant import parse_instant
from daemonless.containers.store import Container, ContainerStore
from daemonless.errors import NotFound, UsageError
from daemonless.files import write_all
from daemonless.supervisor.logs import FILE_NAME, STDERR, parse_line, read_lines, seek_tail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args

_POLL_SECONDS = 0.05


def main(args: Args) -> int:
    """Print the log; with --follow, go on until the container ends."""
    container = ContainerStore(args.paths).find(args.container)
    if container.record["request"]["log_driver"] == "none":
        raise UsageError(f"container {args.container} keeps no log", "it was made with --log-driver=none")
    try:
        fd = os.open(f"{container.directory}/{FILE_NAME}", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        if not args.follow or not container.is_supervised:
            return 0  # it has never run
        raise NotFound(f"container {args.container} has no log file") from None
    tail = _tail(args.tail)
    if tail >= 0:
        seek_tail(fd, tail)
    printer = _Printer(args)
    printer.print_from(fd)
    while args.follow and not printer.past_end and _may_grow(container):
        time.sleep(_POLL_SECONDS)
        printer.print_from(fd)
    printer.print_from(fd)
    os.close(fd)
    return 0


def _may_grow(container: Container) -> bool:
    return container.is_supervised


def _tail(text: str) -> int:
    if text in ("", "all", "-1"):
        return -1
    if text.isascii() and text.isdigit():
        return int(text)
    raise UsageError(f"invalid --tail {text!r}: it is neither a number nor `all`")


class _Printer:
    def __init__(self, args: Args) -> None:
        now = time.time_ns()
        self.since = parse_instant(args.since, now) if args.since else ""
        self.until = parse_instant(args.until, now) if args.until else ""
        self.timestamps = args.timestamps
        self.continues = {1: False, 2: False}  # by stream: whether the last record was partial
        self.past_end = False

    def print_from(self, fd: int) -> None:
        """Print the complete records from the file's position on."""
        pending: list[bytes] = []
        stream = 1
        for line in read_lines(fd):
            entry = parse_line(line)
            if entry is None or (self.since and entry.time < self.since):
                continue
            if self.until and entry.time > self.until:
                self.past_end = True
                break
            if entry.stream != stream or len(pending) > 1000:
                _flush(stream, pending)
                stream = entry.stream
            if self.timestamps and not self.continues[entry.stream]:
                pending.append(f"{entry.time} ".encode())
            self.continues[entry.stream] = not entry.text.endswith(b"\n")
            pending.append(entry.text)
        _flush(stream, pending)


def _flush(stream: int, pending: list[bytes]) -> None:
    if pending:
        write_all(2 if stream == STDERR else 1, b"".join(pending))
        pending.clear()
