"""Which compression some bytes are of."""

from __future__ import annotations

_GZIP = b"\x1f\x8b"
_BZIP2 = b"BZh"
_XZ = b"\xfd7zXZ\x00"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"  # after one byte 0x50 to 0x5f
MAGIC = {"gzip": _GZIP, "bzip2": _BZIP2, "xz": _XZ, "zstd": _ZSTD}
LONGEST = max(map(len, MAGIC.values()))  # bytes that `detect` needs


def detect(start: bytes) -> str:
    """Return "gzip", "bzip2", "xz", "zstd" or "" (anything else) from the first bytes of a file."""
    for name, magic in MAGIC.items():
        if start.startswith(magic):
            return name
    if start[1:4] == _ZSTD_SKIPPABLE and start[0] >> 4 == 5:
        return "zstd"
    return ""
