"""Names of archive members, made into paths that can only go down."""

from __future__ import annotations

from daemonless.errors import InvalidData

MAX_NAME = 4096  # bytes
MAX_COMPONENT = 255  # bytes: NAME_MAX
MAX_DEPTH = 256


def normalise(name: bytes) -> bytes:
    """Return `name` relative to the root of the archive, without empty and `.` components.

    The root itself is b"". A leading slash has no meaning, so `/etc` is `etc`. Raises
    InvalidData for names with `..` or NUL, empty ones, and ones that are too long or too deep.
    """
    if not name or b"\0" in name:
        raise InvalidData("the name is empty" if not name else "the name has a NUL in it")
    if len(name) > MAX_NAME:
        raise InvalidData(f"the name is longer than {MAX_NAME} bytes")
    parts = [part for part in name.split(b"/") if part and part != b"."]
    if b".." in parts:
        raise InvalidData('the name has a ".." in it')
    if len(parts) > MAX_DEPTH:
        raise InvalidData(f"the name is more than {MAX_DEPTH} directories deep")
    if len(name) > MAX_COMPONENT and any(len(part) > MAX_COMPONENT for part in parts):
        raise InvalidData(f"the name has a component longer than {MAX_COMPONENT} bytes")
    return b"/".join(parts)
