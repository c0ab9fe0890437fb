"""Archives byte by byte, so that they can be as wrong as an attacker's."""

from __future__ import annotations

FIELDS = {
    "name": (0, 100),
    "mode": (100, 8),
    "uid": (108, 8),
    "gid": (116, 8),
    "size": (124, 12),
    "mtime": (136, 12),
    "checksum": (148, 8),
    "type": (156, 1),
    "link": (157, 100),
    "magic": (257, 8),
    "major": (329, 8),
    "minor": (337, 8),
    "prefix": (345, 155),
}


def octal(value: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, value)


def base256(value: int, width: int) -> bytes:
    field = value.to_bytes(width, "big", signed=True)
    return bytes([0x80 | field[0] if value >= 0 else 0xFF]) + field[1:]


def header(name=b"f", kind=b"0", *, checksum=None, **fields) -> bytes:
    """One header block; ints become octal, bytes are taken as they are."""
    values = {"mode": 0o644, "uid": 0, "gid": 0, "size": 0, "mtime": 0, "magic": b"ustar\x0000"}
    values |= {"name": name, "type": kind, "major": 0, "minor": 0, **fields}
    block = bytearray(512)
    for field, value in values.items():
        start, width = FIELDS[field]
        raw = octal(value, width) if isinstance(value, int) else value
        block[start : start + width] = raw.ljust(width, b"\0")[:width]
    block[148:156] = b" " * 8
    block[148:156] = checksum if checksum is not None else b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def member(name=b"f", data=b"", kind=b"0", **fields) -> bytes:
    return header(name, kind, **{"size": len(data), **fields}) + padded(data)


def directory(name, **fields) -> bytes:
    return member(name, b"", b"5", **{"mode": 0o755, **fields})


def symlink(name, target, **fields) -> bytes:
    return member(name, b"", b"2", link=target, **{"mode": 0o777, **fields})


def hardlink(name, target, **fields) -> bytes:
    return member(name, b"", b"1", link=target, **fields)


def record(key: bytes, value: bytes) -> bytes:
    body = b" " + key + b"=" + value + b"\n"
    length = len(body)
    while len(b"%d" % length) + len(body) != length:
        length = len(b"%d" % length) + len(body)
    return b"%d" % length + body


def pax(*records, kind=b"x", **values) -> bytes:
    """An extended header of raw records and of KEY=value arguments."""
    data = b"".join(records) + b"".join(record(key.encode(), value) for key, value in values.items())
    return member(b"PaxHeaders/f", data, kind)


def gnu_long(name: bytes, kind=b"L") -> bytes:
    return member(b"././@LongLink", name + b"\0", kind)


def archive(*members: bytes, end: bytes = bytes(1024)) -> bytes:
    return b"".join(members) + end


def chunks(data: bytes, size: int = 1 << 16):
    return (data[start : start + size] for start in range(0, len(data), size))
