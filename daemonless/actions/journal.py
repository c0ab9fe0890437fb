"""A container's log in systemd's journal, read through journalctl(1).

Its export format is the one that keeps any bytes (https://systemd.io/JOURNAL_EXPORT_FORMATS).
"""

from __future__ import annotations

import os
import select

from daemonless.clock import timestamp
from daemonless.errors import Conflict, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemonless.supervisor.logreader import Entry

_CHUNK = 1 << 18
_FIELDS = "MESSAGE,PRIORITY,CONTAINER_PARTIAL_MESSAGE"
_STDOUT, _STDERR = 1, 2  # with the priorities 6 and 3


class Journal:
    """The entries of one container; `since` is a time in seconds since the epoch to begin at, or empty.

    Every method raises Conflict if journalctl is missing or may not read the journal.
    """

    def __init__(self, container_id: str, since: str = "") -> None:
        self._match = (f"CONTAINER_ID_FULL={container_id}", "PRIORITY=3", "PRIORITY=6")
        self._begin = [f"--since=@{since}"] if since else []
        self._follower: _Journalctl | None = None

    def seek_tail(self, count: int) -> None:
        """Pass over all but the last `count` lines. A line begins after an entry that ends one."""
        newest_first = _Journalctl(["--reverse", *self._match])
        following = ""  # the cursor of the entry after this one
        for cursor, (_, _, text) in newest_first.rest():
            if text.endswith(b"\n") or not following:
                if count == 0:
                    self._begin = [f"--cursor={following}" if following else f"--after-cursor={cursor}"]
                    break
                count -= 1
            following = cursor
        newest_first.close()

    def entries(self, *, follow: bool) -> Iterator[Entry]:
        """Yield what is new since the last call; not to `follow` any longer yields all that is left."""
        if follow and not self._follower:
            self._follower = _Journalctl(["--follow", "--no-tail", *self._begin, *self._match])
        if not follow and self._follower:
            self._follower.close()
            self._follower = None
        source = self._follower or _Journalctl([*self._begin, *self._match])
        for cursor, entry in source.ready() if follow else source.rest():
            self._begin = [f"--after-cursor={cursor}"]
            yield entry

    def close(self) -> None:
        """End what was started to follow the journal."""
        if self._follower:
            self._follower.close()


class _Journalctl:
    """One run of journalctl, and the entries it prints: pairs of a cursor and an entry."""

    def __init__(self, arguments: list[str]) -> None:
        options = ["--quiet", "--no-pager", "--all", "--output=export", f"--output-fields={_FIELDS}"]
        self._output, theirs = os.pipe()
        self._errors = os.memfd_create("journalctl-errors")
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, theirs, 1),
            (os.POSIX_SPAWN_DUP2, self._errors, 2),
        ]
        try:
            self._pid = os.posix_spawnp(
                "journalctl", ["journalctl", *options, *arguments], os.environ, file_actions=actions
            )
        except FileNotFoundError:
            raise Conflict(
                "cannot read the journal: there is no journalctl here", "sudo apt-get install systemd"
            ) from None
        finally:
            os.close(theirs)
        self._pending = b""

    def ready(self) -> Iterator[tuple[str, Entry]]:
        """Yield what it has printed by now."""
        poll = select.poll()
        poll.register(self._output, select.POLLIN)
        while poll.poll(0):
            if not (data := os.read(self._output, _CHUNK)):
                self._check_end()
                return
            yield from self._take(data)

    def rest(self) -> Iterator[tuple[str, Entry]]:
        """Yield what it prints until it ends."""
        while data := os.read(self._output, _CHUNK):
            yield from self._take(data)
        self._check_end()

    def _take(self, data: bytes) -> Iterator[tuple[str, Entry]]:
        found, self._pending = parse_export(self._pending + data)
        for fields in found:
            yield fields[b"__CURSOR"].decode(), _entry(fields)

    def _check_end(self) -> None:
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        said = os.pread(self._errors, 1000, 0).decode("utf-8", "replace").strip()
        self.close()
        if status and said:
            raise Conflict(
                f"cannot read the journal: {printable(said.splitlines()[0])}",
                "a member of the group systemd-journal can; --log-driver=k8s-file needs nobody's leave",
            )

    def close(self) -> None:
        """End it."""
        if self._pid > 0:
            os.kill(self._pid, 9)
            os.waitpid(self._pid, 0)
            self._pid = 0
        if self._output >= 0:
            os.close(self._output)
            os.close(self._errors)
            self._output = -1


def _entry(fields: dict[bytes, bytes]) -> Entry:
    moment = timestamp(int(fields[b"__REALTIME_TIMESTAMP"]) * 1000).encode()
    end = b"" if fields.get(b"CONTAINER_PARTIAL_MESSAGE") == b"true" else b"\n"
    stream = _STDERR if fields.get(b"PRIORITY") == b"3" else _STDOUT
    return moment, stream, fields.get(b"MESSAGE", b"") + end


def parse_export(data: bytes) -> tuple[list[dict[bytes, bytes]], bytes]:
    """Return the complete entries at the beginning of `data`, and the rest."""
    found = []
    fields: dict[bytes, bytes] = {}
    begun = position = 0
    while (newline := data.find(b"\n", position)) >= 0:
        if newline == position:
            position = begun = newline + 1
            if fields:
                found.append(fields)
                fields = {}
            continue
        name, equals, value = data[position:newline].partition(b"=")
        position = newline + 1
        if not equals:  # any bytes, preceded by their length
            length = int.from_bytes(data[position : position + 8], "little")
            value = data[position + 8 : position + 8 + length]
            position += 8 + length + 1
            if position > len(data):
                break
        fields[name] = value
    return found, data[begun:]
