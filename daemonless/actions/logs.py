"""logs: show what containers wrote.

The lines of one container go straight through, in blocks; those of several are put in order of
time, each with the name or id of its container before it. --follow goes on until all have ended,
across restarts for as long as there is a supervisor. What a container wrote to systemd's journal is
read there.
"""

from __future__ import annotations

import os
import time

from daemonless.clock import timestamp
from daemonless.containers.instant import parse_instant, rfc3339
from daemonless.containers.store import ContainerStore
from daemonless.errors import Conflict, UsageError
from daemonless.files import write_all
from daemonless.supervisor.logreader import LogFile, parse, plain_text, runs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemonless.actions.args import Args
    from daemonless.actions.journal import Journal
    from daemonless.containers.store import Container
    from daemonless.supervisor.logreader import Entry

_SHORTEST, _LONGEST = 0.01, 0.1  # seconds between two looks at a log that is followed
_COLOURS = (37, 31, 32, 33, 34, 35, 36)  # podman's, in its order: white, red, green ...
_PENDING = 1 << 16  # bytes to gather before they are written
_LONGEST_LINE = 1 << 20  # bytes to wait for before a line is shown in parts


def main(args: Args) -> int:
    """Print the logs; with --follow, go on until the containers have ended."""
    sources = [_Source(args, container, index) for index, container in enumerate(_containers(args))]
    output = _Output(args)
    pause = _SHORTEST
    while True:
        alive = [source for source in sources if args.follow and source.container.is_supervised]
        for source in sources:
            source.goes_on = source in alive
        if output.print_from(sources):
            pause = _SHORTEST
        for source in sources:
            if source not in alive or output.is_past_end:
                output.finish(source)
        if not alive or output.is_past_end:
            for source in sources:
                source.close()
            return 0
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST)
        sources = alive


def _containers(args: Args) -> list[Container]:
    store = ContainerStore(args.paths)
    if args.latest:
        if args.containers:
            raise UsageError("--latest and containers cannot be used together")
        return [store.latest()]
    if not args.containers:
        raise UsageError("you must provide at least one name or id", "or choose the newest with --latest")
    return [store.find(name) for name in args.containers]


def _tail(text: str) -> int:
    if text in ("", "all", "-1"):
        return -1
    if text.isascii() and text.isdigit():
        return int(text)
    raise UsageError(f"invalid --tail {text!r}: it is neither a number nor `all`")


class _Source:
    """One container's log, and what is printed before its lines."""

    def __init__(self, args: Args, container: Container, index: int) -> None:
        self.container = container
        request = container.record["request"]
        driver = request["log_driver"]
        if driver in ("none", "passthrough"):
            raise Conflict(
                f"container {container.name} is using the {driver!r} log driver, cannot read logs",
                "it was made with --log-driver",
            )
        options = request.get("log_opts") or {}
        self._log: LogFile | Journal
        if driver == "journald":
            from daemonless.actions.journal import Journal  # noqa: PLC0415 - few log there

            self._log = Journal(container.id, str(_seconds(args.since)) if args.since else "")
        else:
            self._log = LogFile(container.log_path, options.get("max_file", 1))
        self.goes_on = False  # there may be more than what it gives now
        self.prefix = self.suffix = b""
        if args.names or len(args.containers) > 1:
            self.prefix = f"{container.name if args.names else container.id[:12]} ".encode()
        self.details = b""
        if args.details:
            self.details = _details(container)
        if _wants_colour(args):
            self.prefix = b"\x1b[%dm" % _COLOURS[index % len(_COLOURS)] + self.prefix
            self.suffix = b"\x1b[0m"
        self.unfinished: dict[int, bytes] = {}  # by stream: a line that has begun
        self.continues = {1: False, 2: False}  # by stream: whether its last record did not end a line
        tail = _tail(args.tail)
        if tail >= 0:
            self._log.seek_tail(tail)

    @property
    def decorates(self) -> bool:
        """Whether anything but the time is added to its lines."""
        return bool(self.prefix or self.suffix or self.details)

    @property
    def file(self) -> LogFile | None:
        """Its log, if that is a file."""
        return self._log if isinstance(self._log, LogFile) else None

    def entries(self) -> Iterator[Entry]:
        """Yield the records that are new since the last call."""
        if not isinstance(self._log, LogFile):
            yield from self._log.entries(follow=self.goes_on)
            return
        for lines in self._log.lines():
            for line in lines:
                if entry := parse(line):
                    yield entry

    def close(self) -> None:
        """Let go of its log."""
        self._log.close()


def _details(container: Container) -> bytes:
    """Return what --details puts before a line, in docker's form."""
    options = container.record["request"].get("log_opts") or {}
    if not any(options.get(name) for name in ("tag", "labels", "env")):
        return b" "
    from daemonless.containers.logattributes import attributes_of  # noqa: PLC0415 - few have any
    from daemonless.containers.request import RunRequest  # noqa: PLC0415 - as above

    request = RunRequest.from_dict(container.record["request"])
    attributes = attributes_of(container, request.log_opts)
    shown = (f"{name}={value}" for name, value in sorted(attributes.items()))
    return ",".join(shown).replace("\n", "%0A").encode("utf-8", "surrogateescape") + b" "


def _seconds(moment: str) -> int:
    """Return --since in seconds since the epoch, rounded down."""
    found = rfc3339(parse_instant(moment, time.time_ns()))
    return found // 10**9 if found else 0


def _wants_colour(args: Args) -> bool:
    """Whether to colour: if asked to or where lines are told apart on a terminal; NO_COLOR wins."""
    if os.environ.get("NO_COLOR"):
        return False
    return args.color or (len(args.containers) > 1 and os.isatty(1))


class _Output:
    def __init__(self, args: Args) -> None:
        now = time.time_ns()
        self.since = parse_instant(args.since, now).encode() if args.since else b""
        self.until = parse_instant(args.until, now).encode() if args.until else b""
        self.times = args.timestamps
        self.is_past_end = False
        self._pending: list[bytes] = []
        self._size = 0
        self._stream = 1

    def print_from(self, sources: list[_Source]) -> bool:
        """Print what is new; return whether anything is."""
        later = bool(self.until) and timestamp().encode() > self.until
        if len(sources) > 1:
            found = self._print_merged(sources)
        elif self.since or self.until or sources[0].decorates or not (file := sources[0].file):
            found = self._print_entries(sources[0])
        else:
            found = self._print_blocks(sources[0], file)
        self._flush()
        self.is_past_end = self.is_past_end or later
        return found

    def _print_blocks(self, source: _Source, file: LogFile) -> bool:
        """Print whole blocks where nothing has to be decided for each line."""
        found = False
        for lines in file.lines():
            found = True
            for run in runs(lines):
                whole = not (self.times and any(source.continues.values()))
                if block := plain_text(run, times=self.times) if whole else None:
                    self._add(*block)
                    source.continues[block[0]] = False
                    continue
                for line in run:
                    if entry := parse(line):
                        self._print(source, entry)
        return found

    def _print_entries(self, source: _Source) -> bool:
        found = False
        for entry in source.entries():
            found = True
            self._print(source, entry)
            if self.is_past_end:
                break
        return found

    def _print_merged(self, sources: list[_Source]) -> bool:
        """Print the records of several logs in order of their times."""
        waiting = []
        for index, source in enumerate(sources):
            entries = source.entries()
            if entry := next(entries, None):
                waiting.append((entry[0], index, entry, entries))
        found = bool(waiting)
        while waiting and not self.is_past_end:
            waiting.sort(key=lambda item: item[:2])
            _, index, entry, entries = waiting.pop(0)
            self._print(sources[index], entry)
            if following := next(entries, None):
                waiting.append((following[0], index, following, entries))
        return found

    def _print(self, source: _Source, entry: Entry) -> None:
        moment, stream, text = entry
        if moment < self.since:
            return
        if self.until and moment > self.until:
            self.is_past_end = True
            return
        starts = not source.continues[stream]
        ends = text.endswith(b"\n")
        source.continues[stream] = not ends
        if starts:
            time_and_details = source.details + moment + b" " if self.times else source.details
            text = source.prefix + time_and_details + text
        if source.decorates:  # such a line is shown as one, or those of others would come in between
            text = source.unfinished.pop(stream, b"") + text
            if not ends and len(text) < _LONGEST_LINE:
                source.unfinished[stream] = text
                return
            if ends and source.suffix:
                text = text[:-1] + source.suffix + b"\n"
        self._add(stream, text)

    def finish(self, source: _Source) -> None:
        """Print the last line of a container that did not end it."""
        for stream, text in source.unfinished.items():
            self._add(stream, text + source.suffix + b"\n")
        source.unfinished.clear()
        self._flush()

    def _add(self, stream: int, text: bytes) -> None:
        if stream != self._stream or self._size > _PENDING:
            self._flush()
            self._stream = stream
        self._pending.append(text)
        self._size += len(text)

    def _flush(self) -> None:
        if self._pending:
            write_all(self._stream, b"".join(self._pending))
            self._pending.clear()
            self._size = 0
