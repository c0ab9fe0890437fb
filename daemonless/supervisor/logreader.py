r"""Container logs as they are read: by others' records too, across rotation, in bounded memory.

An entry is a tuple (time, stream, text): bytes of RFC 3339, 1 or 2, and bytes that end with a newline
unless the line goes on in the stream's next record.

Nearly all lines of a log are complete ones of one stream, written by us, whose times are 30 bytes
wide. `plain_text` takes a block of such lines as one, in C; `parse` takes anything.
"""

from __future__ import annotations

import os

from daemonless import jsonio
from daemonless.errors import InvalidData
from daemonless.supervisor.logs import STDERR, STDOUT, STREAM_NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Entry = tuple[bytes, int, bytes]

_BLOCK = 1 << 20
_TIME = 30  # bytes of a time as `clock.timestamp` writes it
_JSON_HEAD = b'{"log":"'
_NOT_IN_RECORDS = 4096  # more of a record's end than what follows its text, unless docker keeps attributes


class LogFile:
    """The log at `path`, and the files it was renamed to, as one stream of lines."""

    def __init__(self, path: str, max_files: int = 1) -> None:
        self._path = path
        self._max_files = max_files
        self._files: list[int] = []  # oldest first; the last one is written to
        self._follow_rotation()

    def _follow_rotation(self) -> None:
        """Open what was made, and perhaps renamed, since the last call."""
        known = {_identity(os.fstat(fd)) for fd in self._files}
        try:
            if _identity(os.stat(self._path)) in known:
                return
        except FileNotFoundError:  # not yet, no longer, or just being renamed
            if known:
                return
        seen = set(known)
        found: list[int] = []
        # Newest first: a file that is renamed meanwhile is met twice, never missed.
        for number in range(self._max_files):
            path = f"{self._path}.{number}" if number else self._path
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            except FileNotFoundError:
                continue
            identity = _identity(os.fstat(fd))
            if identity in seen:
                os.close(fd)
                if identity in known:
                    break  # it and all before it were there at the last call
                continue
            seen.add(identity)
            found.append(fd)
        self._files += reversed(found)

    def lines(self) -> Iterator[list[bytes]]:
        """Yield lines without their newlines, in blocks, from the last call's end to what is the end now.

        What is written meanwhile stays for the next call: a container may write faster than
        anybody reads. So does an unfinished last line.
        """
        self._follow_rotation()
        while self._files:
            fd = self._files[0]
            yield from _lines(fd)
            if len(self._files) == 1:
                return
            os.close(fd)
            del self._files[0]

    def seek_tail(self, count: int) -> None:
        """Pass over all but the last `count` lines; memory is bounded however long they are."""
        for index in range(len(self._files) - 1, -1, -1):
            count = _seek_tail(self._files[index], count)
            if count == 0:
                for fd in self._files[:index]:
                    os.close(fd)
                del self._files[:index]
                return

    def close(self) -> None:
        """Close all files."""
        for fd in self._files:
            os.close(fd)
        self._files.clear()


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _lines(fd: int) -> Iterator[list[bytes]]:
    rest = b""
    left = os.fstat(fd).st_size - os.lseek(fd, 0, os.SEEK_CUR)
    while left > 0 and (block := os.read(fd, min(left, _BLOCK))):
        left -= len(block)
        lines = (rest + block if rest else block).split(b"\n")
        rest = lines.pop()
        if lines:
            yield lines
    if rest:
        os.lseek(fd, -len(rest), os.SEEK_CUR)


# --- records ----------------------------------------------------------------------------------


def parse(line: bytes) -> Entry | None:
    """Return the record of one line of either format; None for a torn or foreign line."""
    if line.startswith(b"{"):
        try:
            record = jsonio.loads(line, what="log line")
            stream = STDERR if record["stream"] == "stderr" else STDOUT
            return record["time"].encode(), stream, record["log"].encode("utf-8", "surrogatepass")
        except (InvalidData, KeyError, TypeError, AttributeError):
            return None
    fields = line.split(b" ", 3)
    if len(fields) != 4 or fields[1] not in (b"stdout", b"stderr") or fields[2] not in (b"F", b"P"):
        return None
    text = fields[3] + b"\n" if fields[2] == b"F" else fields[3]
    return fields[0], STDERR if fields[1] == b"stderr" else STDOUT, text


def runs(lines: list[bytes]) -> Iterator[list[bytes]]:
    """Cut a block of lines into runs for `plain_text`, and what lies between for `parse`.

    A container that prints a lot leaves a cut line in every block, where a chunk of output ended.
    """
    for line in lines[:3]:
        if marker := _marker(line):
            break
    else:
        yield lines
        return
    text, begin, end = marker
    odd = [index for index, line in enumerate(lines) if line[begin:end] != text]
    if len(odd) > len(lines) >> 3:
        yield lines
        return
    start = 0
    for index in odd:
        if index >= start:
            if index > start:
                yield lines[start:index]
            yield lines[index : index + 2]  # with what may be the rest of a cut line
            start = index + 2
    if start < len(lines):
        yield lines[start:]


def plain_text(lines: list[bytes], *, times: bool = False) -> tuple[int, bytes] | None:
    """Return the stream and the text of whole lines of one stream, with their times if wanted.

    None if these are not all such lines; then each has to be parsed.
    """
    marker = _marker(lines[0])
    if marker is None:
        return None
    text, begin, end = marker
    stream = STDERR if b"stderr" in text else STDOUT
    if lines[0][:1] == b"{":
        pieces = _json_pieces(lines, text, begin, end, times=times)
        block = _decode_json(b"".join(pieces)) if len(pieces) == len(lines) else None
        return None if block is None else (stream, block)
    if times:
        pieces = [line[: _TIME + 1] + line[end:] for line in lines if line[begin:end] == text]
    else:
        pieces = [line[end:] for line in lines if line[begin:end] == text]
    if len(pieces) != len(lines):
        return None
    pieces.append(b"")
    return stream, b"\n".join(pieces)


def _json_pieces(lines: list[bytes], text: bytes, begin: int, end: int, *, times: bool) -> list[bytes]:
    r"""Return what lies between the quotes of each plain line, still with its own `\n`."""
    closing = begin + 2
    head = len(_JSON_HEAD)
    if times:
        return [
            line[end : end + _TIME] + b" " + line[head:closing]
            for line in lines
            if line[begin:end] == text and line[:head] == _JSON_HEAD
        ]
    return [line[head:closing] for line in lines if line[begin:end] == text and line[:head] == _JSON_HEAD]


def _decode_json(text: bytes) -> bytes | None:
    """Decode the content of a JSON string; None if it is not that of one."""
    if b'"' not in text and text.count(b"\\") == text.count(b"\\n"):
        return text.replace(b"\\n", b"\n")
    try:
        decoded = jsonio.loads(b'"' + text + b'"', limit=len(text) + 2)
    except InvalidData:
        return None
    return decoded.encode("utf-8", "surrogatepass") if isinstance(decoded, str) else None


def _marker(line: bytes) -> tuple[bytes, int, int] | None:
    """Return what tells a plain line of the same format and stream, and where it stands in it.

    Offsets are from the line's beginning, or negative from its end.
    """
    for name in STREAM_NAMES.values():
        text = f"Z {name} F ".encode()
        begin, end = _TIME - 1, _TIME - 1 + len(text)
        if line[:1] == b"{":
            text = f'\\n","stream":"{name}","time":"'.encode()
            end = -_TIME - len('"}')
            begin = end - len(text)
        if line[begin:end] == text:
            return text, begin, end
    return None


# --- the last lines ---------------------------------------------------------------------------


def _seek_tail(fd: int, count: int) -> int:
    """Position `fd` at the start of its last `count` lines; return how many more there should be.

    Records are found by their newlines, from the end; of a record only its ends are looked at.
    A line begins after a record that ends one, and what no record has ended yet is a line too.
    """
    end = _last_newline(fd, os.fstat(fd).st_size) + 1
    begun = end  # where the records begin that have been passed
    while begun:
        before = _last_newline(fd, begun - 1) + 1
        if _ends_line(fd, before, begun) or begun == end:
            if count == 0:
                os.lseek(fd, begun, os.SEEK_SET)
                return 0
            count -= 1
        begun = before
    os.lseek(fd, 0, os.SEEK_SET)
    return count


def _last_newline(fd: int, end: int) -> int:
    """Return the offset of the last newline before `end`, or -1."""
    while end > 0:
        start = max(0, end - 65536)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline
        end = start
    return -1


def _ends_line(fd: int, start: int, end: int) -> bool:
    """Whether the record of these offsets ends an output line."""
    head = os.pread(fd, min(64, end - start), start)
    if head[:1] != b"{":
        fields = head.split(b" ", 3)
        return len(fields) < 3 or fields[2] != b"P"
    tail = os.pread(fd, min(_NOT_IN_RECORDS, end - start), max(start, end - _NOT_IN_RECORDS))
    text = tail[: max(0, tail.rfind(b'","stream":"'))]
    escapes = len(text) - 1 - len(text[:-1].rstrip(b"\\"))  # of n, if it is one: an even number is none
    return not text or (text.endswith(b"n") and escapes % 2 == 1)
