r"""Container logs: the k8s-file and json-file formats, written and read back.

k8s-file (CRI):      2026-11-23T20:42:00.123456789Z stdout F text
json-file (docker):  {"log":"text\n","stream":"stdout","time":"2026-11-23T20:42:00.123456789Z"}

A record is appended with one write(2); a reader copes with a cut last line.
"""

from __future__ import annotations

import os

from daemonless import jsonio
from daemonless.clock import timestamp
from daemonless.errors import InvalidData
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

STDOUT, STDERR = 1, 2
_NAMES = {STDOUT: "stdout", STDERR: "stderr"}
FILE_NAME = "ctr.log"


class LogWriter:
    """Append the container's output to its log file; `driver` is k8s-file, json-file or none."""

    def __init__(self, driver: str, path: str) -> None:
        self._format = {"k8s-file": _k8s_file, "json-file": _json_file}.get(driver)
        self._fd = -1
        if self._format:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._fd = os.open(path, flags, 0o600)

    def write(self, stream: int, data: bytes) -> None:
        """Log one chunk of output; a full disk loses log lines, never the container."""
        if self._format is None:
            return
        try:
            os.write(self._fd, self._format(_NAMES[stream], data, timestamp()))
        except OSError:
            pass

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _k8s_file(stream: str, data: bytes, now: str) -> bytes:
    full = f"{now} {stream} F ".encode()
    if data.endswith(b"\n"):
        return full + data[:-1].replace(b"\n", b"\n" + full) + b"\n"
    head, newline, tail = data.rpartition(b"\n")
    partial = f"{now} {stream} P ".encode() + tail + b"\n"
    return _k8s_file(stream, head + newline, now) + partial if newline else partial


def _json_file(stream: str, data: bytes, now: str) -> bytes:
    records = []
    for line in _split_lines(data):
        text = line.decode("utf-8", "replace")
        records.append(jsonio.dumps({"log": text, "stream": stream, "time": now}))
    return ("\n".join(records) + "\n").encode()


def _split_lines(data: bytes) -> list[bytes]:
    """Split after newlines; bytes.splitlines would also split at a lone carriage return."""
    lines = [line + b"\n" for line in data.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


class Entry(Record):
    """One record read back: text ends with a newline unless the line goes on in the next record."""

    time: str
    stream: int
    text: bytes


def parse_line(line: bytes) -> Entry | None:
    """Parse one line of either format; None for a torn or foreign line."""
    if line.startswith(b"{"):
        try:
            record = jsonio.loads(line, what="log line")
            stream = STDERR if record["stream"] == "stderr" else STDOUT
            return Entry(
                time=record["time"], stream=stream, text=record["log"].encode("utf-8", "surrogatepass")
            )
        except (InvalidData, KeyError, TypeError, AttributeError):
            return None
    fields = line.split(b" ", 3)
    if len(fields) != 4 or fields[1] not in (b"stdout", b"stderr") or fields[2] not in (b"F", b"P"):
        return None
    text = fields[3].removesuffix(b"\n") + (b"\n" if fields[2] == b"F" else b"")
    stream = STDERR if fields[1] == b"stderr" else STDOUT
    return Entry(time=fields[0].decode("ascii", "replace"), stream=stream, text=text)


def read_lines(fd: int) -> Iterator[bytes]:
    """Yield the complete lines from the file's position to what is its end now.

    What is cut stays for the next call, and so does what is written meanwhile: a container may
    write faster than anybody reads.
    """
    rest = b""
    left = os.fstat(fd).st_size - os.lseek(fd, 0, os.SEEK_CUR)
    while left > 0 and (chunk := os.read(fd, min(left, 1 << 20))):
        left -= len(chunk)
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        for line in lines:
            yield line + b"\n"
    if rest:
        os.lseek(fd, -len(rest), os.SEEK_CUR)


def seek_tail(fd: int, count: int) -> None:
    """Position `fd` at the start of the last `count` full lines (`P` records join the next)."""
    end = os.lseek(fd, 0, os.SEEK_END)
    data = b""
    position = end
    while position > 0:
        step = min(position, 1 << 16)
        position -= step
        data = os.pread(fd, step, position) + data
        starts = _line_starts(data, whole=position == 0)
        if len(starts) >= count or position == 0:
            offset = position + (starts[-count] if 0 < count <= len(starts) else 0) if count else end
            os.lseek(fd, offset, os.SEEK_SET)
            return
    os.lseek(fd, end if count == 0 else 0, os.SEEK_SET)


def _line_starts(data: bytes, *, whole: bool) -> list[int]:
    """Return the offsets of records that begin an output line; a cut first record is passed over."""
    starts = []
    offset = 0
    continued = False
    for number, line in enumerate(data.split(b"\n")[:-1]):
        if number > 0 or whole:
            if not continued:
                starts.append(offset)
            entry = parse_line(line)
            continued = entry is not None and not entry.text.endswith(b"\n")
        offset += len(line) + 1
    return starts
