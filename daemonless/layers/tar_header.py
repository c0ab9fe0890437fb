"""Headers of tar members, read and written: ustar, pax records, and GNU's extensions to be read.

Follows POSIX pax and ustar (IEEE Std 1003.1, "pax Interchange Format") and the GNU tar manual
("Basic Tar Format"). Whatever two readers could understand differently is refused: a number that
is not plain octal or base-256, a record of the wrong length, a key that comes twice. Names are
bytes, as they stand in the header.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from zlib import adler32

from daemonless.errors import InvalidData, Unsupported, printable

MAX_XATTR = 1 << 16  # bytes of one value: XATTR_SIZE_MAX
_NANOSECONDS = 10**9
_MIN_TIME, _MAX_TIME = -(1 << 63), (1 << 63) - 1  # seconds: time_t

REGULAR, HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0123456"
_OLD_REGULAR, _CONTIGUOUS = 0, ord("7")
PAX, PAX_GLOBAL, GNU_NAME, GNU_LINK, GNU_SPARSE = b"xgLKS"

# name mode uid gid size mtime checksum type linkname magic+version uname gname major minor prefix
_HEADER = Struct("100s 8s 8s 8s 12s 12s 8s B 100s 8s 64x 8s 8s 155s 12x")
_POSIX_MAGIC = b"ustar\x00"
_BLOCK = 512
_NAME_SIZE = 100  # bytes of a name in the header itself
_MAX_ID, _MAX_SIZE = 0o7777777, 0o77777777777  # what the header's octal fields hold
_PAX_NAME = b"././@PaxHeader"  # what readers without pax would make a file of


class Entry:
    """One member of an archive, its extended headers merged in."""

    __slots__ = ("gid", "kind", "link", "major", "minor", "mode", "mtime_ns", "name", "size", "uid", "xattrs")

    name: bytes
    kind: int  # the type flag: REGULAR, HARD_LINK ...
    mode: int  # permission bits, 0o7777 at most
    uid: int
    gid: int
    size: int  # bytes of data
    mtime_ns: int
    link: bytes  # what a link names, verbatim
    major: int
    minor: int
    xattrs: dict[bytes, bytes]


def parse_header(block: bytes) -> Entry:
    """Read one header block of 512 bytes. Raises InvalidData."""
    (name, mode, uid, gid, size, mtime, checksum, kind, link, magic, major, minor, prefix) = _HEADER.unpack(
        block
    )
    # The low half of Adler-32 is one more than the sum of the bytes modulo 65521, and 256 bytes
    # sum to less than that: two calls in C replace a loop over 512 integers (RFC 1950, 8.2).
    total = (adler32(block[:256]) & 0xFFFF) + (adler32(block[256:]) & 0xFFFF) - 2
    if total - sum(checksum) + 8 * 0x20 != _octal(checksum, "checksum"):
        raise InvalidData("the header's checksum is wrong")
    entry = Entry()
    entry.name = _text(name)
    entry.kind = kind
    entry.mode = _number(mode, "mode") & 0o7777
    entry.uid = _number(uid, "uid")
    entry.gid = _number(gid, "gid")
    entry.size = _number(size, "size")
    entry.mtime_ns = _clamp(_signed(mtime, "time")) * _NANOSECONDS
    entry.link = _text(link)
    entry.xattrs = {}
    entry.major = entry.minor = 0
    if kind in (CHARACTER, BLOCK_DEVICE):
        entry.major = _number(major, "device number")
        entry.minor = _number(minor, "device number")
    if prefix[0] and magic.startswith(_POSIX_MAGIC):
        entry.name = _text(prefix) + b"/" + entry.name
    if kind == _OLD_REGULAR:  # before POSIX, a directory was a file with a slash at the end
        entry.kind = DIRECTORY if entry.name.endswith(b"/") else REGULAR
    elif kind == _CONTIGUOUS:
        entry.kind = REGULAR
    return entry


def _text(field: bytes) -> bytes:
    end = field.find(b"\0")
    return field if end < 0 else field[:end]


def _octal(field: bytes, what: str) -> int:
    digits = field.strip(b" \0")
    if not digits:
        return 0
    # isdigit first: int() would take signs, underscores and a 0o prefix as well
    if not digits.isdigit() or b"8" in digits or b"9" in digits:
        raise InvalidData(f"the {what} is not an octal number")
    return int(digits, 8)


@lru_cache(maxsize=1024)  # an archive has few owners, modes and times
def _signed(field: bytes, what: str) -> int:
    """Read octal, or GNU's base-256: the top bit set, the rest big-endian two's complement."""
    if not field[0] & 0x80:
        return _octal(field, what)
    if field[0] not in (0x80, 0xFF):
        raise InvalidData(f"the {what} is out of range")
    return int.from_bytes(field[1:], "big") - (1 << 8 * (len(field) - 1) if field[0] == 0xFF else 0)


def _number(field: bytes, what: str) -> int:
    value = _signed(field, what)
    if value < 0:
        raise InvalidData(f"the {what} is negative")
    return value


def _clamp(seconds: int) -> int:
    return min(max(seconds, _MIN_TIME), _MAX_TIME)


def parse_pax(data: bytes) -> dict[bytes, bytes]:
    """Read the records "LENGTH KEY=VALUE NEWLINE" of a pax header. Raises InvalidData."""
    records: dict[bytes, bytes] = {}
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 8)
        digits = data[position:space]
        if space < 0 or not digits.isdigit() or digits[0] == ord("0"):
            raise InvalidData("an extended header has a record without a length")
        end = position + int(digits)
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if end > len(data) or data[end - 1] != ord("\n") or not equals or not key:
            raise InvalidData("an extended header has a record of the wrong length")
        if key in records:
            raise InvalidData(f"an extended header has {printable(key, 60)} twice")
        if b"\0" in key:
            raise InvalidData("an extended header has a NUL in a key")
        records[key] = value
        position = end
    return records


_XATTR = b"SCHILY.xattr."


def apply_pax(entry: Entry, records: dict[bytes, bytes]) -> None:
    """Let the records override the header's fields; unknown keys have no effect (POSIX).

    Raises InvalidData, or Unsupported for sparse files.
    """
    for key, value in records.items():
        if key.startswith(_XATTR):
            if len(value) > MAX_XATTR:
                raise InvalidData(f"the attribute {printable(key[len(_XATTR) :], 60)} is too large")
            entry.xattrs[key[len(_XATTR) :]] = value
        elif not value:
            continue  # "delete any header block field": the ustar field stays, as Go has it
        elif key == b"path":
            entry.name = _pax_name(value)
        elif key == b"linkpath":
            entry.link = _pax_name(value)
        elif key == b"size":
            entry.size = _decimal(value, "size")
        elif key == b"uid":
            entry.uid = _decimal(value, "uid")
        elif key == b"gid":
            entry.gid = _decimal(value, "gid")
        elif key == b"mtime":
            entry.mtime_ns = _pax_time(value)
        elif key.startswith(b"GNU.sparse."):
            raise Unsupported("a layer may not hold sparse files (image-spec, layer.md)")


def _pax_name(value: bytes) -> bytes:
    if b"\0" in value:
        raise InvalidData("an extended header has a NUL in a name")
    return value


def _decimal(value: bytes, what: str) -> int:
    if not value.isdigit() or len(value) > 20:
        raise InvalidData(f"the {what} is not a decimal number")
    return int(value)


def _pax_time(value: bytes) -> int:
    """Return nanoseconds of `[-]SECONDS[.FRACTION]`, digits past the ninth dropped."""
    whole, _, fraction = value.removeprefix(b"-").partition(b".")
    if not whole.isdigit() or (fraction and not fraction.isdigit()) or len(value) > 64:
        raise InvalidData("the time is not a decimal number")
    nanoseconds = _clamp(int(whole)) * _NANOSECONDS + int(fraction[:9].ljust(9, b"0") or 0)
    return -nanoseconds if value.startswith(b"-") else nanoseconds


# --- writing ----------------------------------------------------------------------------------


def format_headers(entry: Entry) -> bytes:
    """Return the header blocks of a member, the extended header in front where ustar does not suffice.

    The result depends on the entry alone.
    """
    records = _needed_records(entry)
    header = _format_header(entry)
    if not records:
        return header
    data = b"".join(_format_record(key, value) for key, value in records)
    front = Entry()
    front.name, front.kind, front.mode = _PAX_NAME, PAX, 0o644
    front.uid = front.gid = front.mtime_ns = front.major = front.minor = 0
    front.size, front.link = len(data), b""
    return _format_header(front) + data + bytes(-len(data) % _BLOCK) + header


def _needed_records(entry: Entry) -> list[tuple[bytes, bytes]]:
    records = []
    for key, text in ((b"path", entry.name), (b"linkpath", entry.link)):
        if len(text) > _NAME_SIZE or not text.isascii():
            records.append((key, text))
    if not all(_is_utf8(text) for _, text in records):
        records.insert(0, (b"hdrcharset", b"BINARY"))  # POSIX: or readers may take it for an error
    for key, number, most in (
        (b"size", entry.size, _MAX_SIZE),
        (b"uid", entry.uid, _MAX_ID),
        (b"gid", entry.gid, _MAX_ID),
    ):
        if number > most:
            records.append((key, b"%d" % number))
    seconds, nanoseconds = divmod(entry.mtime_ns, _NANOSECONDS)
    if nanoseconds or not 0 <= seconds <= _MAX_SIZE:
        records.append((b"mtime", _format_time(entry.mtime_ns)))
    records += [(_XATTR + name, entry.xattrs[name]) for name in sorted(entry.xattrs)]
    return records


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _format_time(nanoseconds: int) -> bytes:
    seconds, fraction = divmod(abs(nanoseconds), _NANOSECONDS)
    text = b"%d.%09d" % (seconds, fraction) if fraction else b"%d" % seconds
    return (b"-" if nanoseconds < 0 else b"") + (text.rstrip(b"0") if fraction else text)


def _format_record(key: bytes, value: bytes) -> bytes:
    """Return "LENGTH KEY=VALUE NEWLINE", where the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if rest + len(str(length)) > length:
        length += 1
    return b"%d %s=%s\n" % (length, key, value)


def _format_header(entry: Entry) -> bytes:
    """Return one ustar header; what does not fit is zero or cut, and stands in the extended header."""
    seconds = entry.mtime_ns // _NANOSECONDS
    blank = _HEADER.pack(
        _cut(entry.name),
        b"%07o" % entry.mode,
        b"%07o" % (entry.uid if entry.uid <= _MAX_ID else 0),
        b"%07o" % (entry.gid if entry.gid <= _MAX_ID else 0),
        b"%011o" % (entry.size if entry.size <= _MAX_SIZE else 0),
        b"%011o" % (seconds if 0 <= seconds <= _MAX_SIZE else 0),
        b" " * 8,
        entry.kind,
        _cut(entry.link),
        _POSIX_MAGIC + b"00",
        b"%07o" % entry.major,
        b"%07o" % entry.minor,
        b"",
    )
    return blank[:148] + b"%06o\0 " % sum(blank) + blank[156:]


def _cut(name: bytes) -> bytes:
    """Return what stands in the header of a name: all of it if it fits."""
    return name if len(name) <= _NAME_SIZE else name[:_NAME_SIZE].rstrip(b"/")
