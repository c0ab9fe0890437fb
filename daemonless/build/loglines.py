"""What a step has printed, as lines fit to be shown: control sequences gone, the last ones at hand."""

from __future__ import annotations

import time

from daemonless.errors import printable

TAIL = 20  # lines that are kept of a step, to be shown if it fails
LINE = 4000  # characters of a line that is shown
_PENDING = 1 << 16  # bytes of a line that does not end
_ESCAPE, _BELL = 0x1B, 0x07


class Log:
    """The lines of one step, with the seconds since it began."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._lines: list[tuple[float, bytes]] = []  # the last ones
        self._rest = b""  # the beginning of a line that has not ended yet

    @property
    def seconds(self) -> float:
        """How long the step has been going on."""
        return time.monotonic() - self._begun

    @property
    def tail(self) -> list[tuple[float, str]]:
        """The last lines, fit to be shown."""
        return [(seconds, clean(line)) for seconds, line in self._lines]

    def add(self, data: bytes) -> list[tuple[float, bytes]]:
        """Take what was printed and return the lines that have become complete, as they are."""
        *complete, rest = (self._rest + data).split(b"\n")
        if len(rest) > _PENDING:
            complete.append(rest)
            rest = b""
        self._rest = rest
        return self._keep(complete)

    def end(self) -> list[tuple[float, bytes]]:
        """Return the last line if it has no end."""
        rest, self._rest = self._rest, b""
        return self._keep([rest] if rest else [])

    def newest(self, count: int) -> list[str]:
        """Return the last lines that say something, the one that is being written included."""
        found: list[str] = []
        for line in (self._rest, *(line for _, line in reversed(self._lines))):
            if len(found) == count:
                break
            if text := clean(line):
                found.append(text)
        return found[::-1]

    def _keep(self, lines: list[bytes]) -> list[tuple[float, bytes]]:
        seconds = self.seconds
        timed = [(seconds, line) for line in lines]
        self._lines = [*self._lines, *timed[-TAIL:]][-TAIL:]
        return timed


def clean(line: bytes) -> str:
    """Return a line without control sequences (ECMA-48), and of a progress bar only what it ended with."""
    line = line.rstrip(b"\r")
    line = line.rpartition(b"\r")[2]
    if _ESCAPE in line:
        first, *others = line.split(b"\x1b")
        line = first + b"".join(_without_sequence(part) for part in others)
    return printable(line.decode("utf-8", "replace").expandtabs(8), LINE)


def _without_sequence(part: bytes) -> bytes:
    """Return what follows the control sequence that an escape character and `part` begin with."""
    if part[:1] == b"[":  # CSI: parameters, then a byte from @ to ~
        end = 1
        while end < len(part) and not 0x40 <= part[end] <= 0x7E:
            end += 1
        return part[end + 1 :]
    if part[:1] in (b"]", b"P", b"X", b"^", b"_"):  # a string, which BEL or another escape ends
        return part.partition(bytes([_BELL]))[2]
    if part[:1] in (b"(", b")", b"*", b"+", b"#", b"%", b" "):  # two bytes more: a character set, say
        return part[2:]
    return part[1:]
