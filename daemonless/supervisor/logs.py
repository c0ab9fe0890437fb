r"""Container logs as they are written: the k8s-file and json-file formats, and rotation.

k8s-file (CRI):      2026-11-23T20:42:00.123456789Z stdout F text
json-file (docker):  {"log":"text\n","stream":"stdout","time":"2026-11-23T20:42:00.123456789Z"}

A container may write faster than Python can look at lines, so a chunk of output becomes records by
replacing its newlines: a few passes in C, whatever the number of lines. All records of a chunk have
the time at which it was read. Only whole records are ever appended, and what a power loss cut short is
cut off before the next one. A file of `max_size` bytes is renamed to PATH.1, that one to PATH.2.
"""

from __future__ import annotations

import os

from daemonless import jsonio
from daemonless.clock import timestamp
from daemonless.files import unlink_if_there

STDOUT, STDERR = 1, 2
STREAM_NAMES = {STDOUT: "stdout", STDERR: "stderr"}

_CONTROLS = bytes(byte for byte in range(32) if byte != 10)
_ESCAPES = {8: b"\\b", 9: b"\\t", 12: b"\\f", 13: b"\\r"}


class Log:
    """A log that keeps nothing: what the drivers `none` and `passthrough` need."""

    def write(self, stream: int, data: bytes) -> None:
        """Log one chunk of output; a log that cannot be written loses lines, never the container."""

    def close(self) -> None:
        """Write what was held back."""


class FileLog(Log):
    """Append to the file at `path`; `max_size` is in bytes (0: no bound), `max_files` counts all of them.

    `attributes` go with each record, if the format has a place for them.
    """

    def __init__(
        self,
        driver: str,
        path: str,
        *,
        max_size: int = 0,
        max_files: int = 1,
        attributes: dict[str, str] | None = None,
    ) -> None:
        self._format = {"k8s-file": k8s_records, "json-file": json_records}[driver]
        self._attributes = f',"attrs":{jsonio.dumps(attributes)}' if attributes else ""
        self._cuts_characters = driver == "json-file"  # it holds text; the other one, bytes as they came
        self._held: dict[int, bytes] = {}  # by stream: the beginning of a character
        self._path = path
        self._max_size, self._max_files = max_size, max_files
        self._fd = self._open()
        self._size = _cut_torn_record(self._fd)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        return os.open(self._path, flags, 0o600)

    def write(self, stream: int, data: bytes) -> None:
        """Log one chunk of output."""
        if self._cuts_characters:
            data = self._held.pop(stream, b"") + data
            if rest := _unfinished_character(data):
                self._held[stream] = data[-rest:]
                data = data[:-rest]
        if data:
            self._append(self._records(stream, data))

    def close(self) -> None:
        """Write what was held back and close the file."""
        for stream, data in self._held.items():
            self._append(self._records(stream, data))
        self._held.clear()
        os.close(self._fd)

    def _records(self, stream: int, data: bytes) -> bytes:
        return self._format(STREAM_NAMES[stream], data, timestamp(), self._attributes)

    def _append(self, records: bytes) -> None:
        start = 0
        while self._max_size and self._size + len(records) - start > self._max_size:
            end = records.rfind(b"\n", start, start + max(0, self._max_size - self._size)) + 1
            if not end and not self._size:  # longer than a file may be: it gets one of its own
                end = records.index(b"\n", start) + 1
            if end:
                self._put(records[start:end])
                start = end
            if start == len(records):
                return
            if not self._rotate():
                break
        self._put(records[start:] if start else records)

    def _put(self, records: bytes) -> None:
        try:
            written = os.write(self._fd, records)
            if written < len(records):  # the disk is full
                written = records.rfind(b"\n", 0, written) + 1
                os.ftruncate(self._fd, self._size + written)
        except OSError:
            return
        self._size += written

    def _rotate(self) -> bool:
        """Begin a new file; False if there is no room even for that."""
        try:
            if self._max_files == 1:
                unlink_if_there(self._path)
            for number in range(self._max_files - 1, 0, -1):
                older = f"{self._path}.{number - 1}" if number > 1 else self._path
                try:
                    os.rename(older, f"{self._path}.{number}")
                except FileNotFoundError:
                    continue
            fd = self._open()
        except OSError:
            return False
        os.close(self._fd)
        self._fd = fd
        self._size = 0
        return True


def _cut_torn_record(fd: int) -> int:
    """Cut off an unfinished record at the end of the file; return the size that is left."""
    size = end = os.fstat(fd).st_size
    while end:
        start = max(0, end - 65536)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        end = start + newline + 1
        if newline >= 0:
            break
    if end < size:
        os.ftruncate(fd, end)
    return end


def k8s_records(stream: str, data: bytes, now: str, _attributes: str = "") -> bytes:
    """Return the k8s-file records of a chunk; P marks a line that goes on in the next record."""
    full = f"{now} {stream} F ".encode()
    if data.endswith(b"\n"):
        return full + data[:-1].replace(b"\n", b"\n" + full) + b"\n"
    lines, newline, rest = data.rpartition(b"\n")
    partial = f"{now} {stream} P ".encode() + rest + b"\n"
    return full + lines.replace(b"\n", b"\n" + full) + b"\n" + partial if newline else partial


def json_records(stream: str, data: bytes, now: str, attributes: str = "") -> bytes:
    """Return the json-file records of a chunk; a line that goes on in the next has no newline.

    What is not UTF-8 becomes U+FFFD, as docker has it. `attributes` is a member of the record, with
    the comma before it.
    """
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            data = data.decode("utf-8", "replace").encode()
    data = data.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    if len(data.translate(None, _CONTROLS)) != len(data):
        for byte in _CONTROLS:
            data = data.replace(bytes((byte,)), _ESCAPES.get(byte) or b"\\u%04x" % byte)
    head = b'{"log":"'
    tail = f'","stream":"{stream}"{attributes},"time":"{now}"}}\n'.encode()
    end = b"\\n" + tail
    lines, newline, rest = data.rpartition(b"\n")
    records = head + lines.replace(b"\n", end + head) + end if newline else b""
    return records + head + rest + tail if rest else records


def _unfinished_character(data: bytes) -> int:
    """Return how many bytes at the end of `data` begin a UTF-8 character that is not all there."""
    for length in range(1, min(3, len(data)) + 1):
        byte = data[-length]
        if byte < 0x80:
            break
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return length if length < needed and byte < 0xF5 else 0
    return 0
