"""Who a process is: USER and groups, looked up in the container's own passwd and group files.

Both files are the image's and may be anything: they are read through one bounded function and
parsed as bytes. No NSS is asked; its modules would come from the image. Runs inside a container
as well, so nothing here imports or looks up a codec. Follows passwd(5), group(5) and docker's
rules for USER.
"""

from __future__ import annotations

import os

from daemonless.errors import InvalidData, SetupFailed, printable
from daemonless.files import open_in_root, read_fd
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_FILE = 1 << 20  # bytes
MAX_LINE = 10_000  # bytes
KEEP_GROUPS = ("keep-groups",)  # what stands for the caller's own groups in the place of extra ones
MAX_ID = (1 << 32) - 2  # 2^32-1 means "leave it" to setresuid(2)

_ENOENT, _ENOTDIR = 2, 20
_LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_NAME = _LETTERS | frozenset(b"0123456789.-@$+")
_NO_ENTRY = (b"", b"#", b"+", b"-")  # how lines begin that name nobody: comments, and NIS


class Identity(Record):
    """The ids of a process in its container, and the home directory of its user."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()  # supplementary, the primary one among them
    home: str = "/"


def resolve(root_fd: int, user: str, groups: Iterable[str]) -> Identity:
    """Return the identity that `user[:group]` has in the root filesystem `root_fd`.

    Either part is a name or a number; an empty `user` is 0. Without a group the user's passwd
    entry gives the primary one, 0 if there is no entry, and the group file the supplementary ones.
    `groups` are further ones, names or numbers, or KEEP_GROUPS, which are no groups of the file.

    Digits are a number and nothing else: one out of range is refused, never looked up as a name
    (CVE-2024-40635, CVE-2026-46680). Raises SetupFailed for unknown names, ids out of range and
    unreadable files, InvalidData for files that are too large or not regular.
    """
    name, colon, group = os.fsencode(user).partition(b":")
    entry = _find_user(_entries(root_fd, b"passwd"), name or b"0", user)
    members = _entries(root_fd, b"group") if _needs_groups(entry, colon, group, groups) else []
    if colon:
        gid = _find_group(members, group)
        supplementary = []
    else:
        gid = entry.gid
        supplementary = _memberships(members, entry.name)
    if groups != KEEP_GROUPS:
        supplementary += [_find_group(members, os.fsencode(extra)) for extra in groups]
    # the primary group is one of them, or giving it up would pass by a file's group permissions
    return Identity(
        uid=entry.uid, gid=gid, groups=tuple(dict.fromkeys((gid, *supplementary))), home=entry.home
    )


def names_of_ids(root_fd: int, file: str) -> dict[int, str]:
    """Return the names that `passwd` or `group` (`file`) below `root_fd` gives to ids, fit to be shown.

    The first entry of an id counts. Raises SetupFailed for an unreadable file, InvalidData for one
    that is too large or not regular.
    """
    names: dict[int, str] = {}
    for fields in _entries(root_fd, os.fsencode(file)):
        number = _parse(fields[2])
        if number is not None:
            names.setdefault(number, printable(fields[0]))
    return names


class _User:
    """A passwd entry, or what stands for one that is missing."""

    def __init__(self, uid: int, gid: int = 0, name: bytes = b"", home: bytes = b"") -> None:
        self.uid = uid
        self.gid = gid
        self.name = name
        absolute = home.startswith(b"/") and b"\0" not in home
        self.home = os.fsdecode(home) if absolute else "/"


def _find_user(entries: list[list[bytes]], name: bytes, given: str) -> _User:
    wanted = _number(name, "user")
    if wanted is None and not _is_name(name):
        raise SetupFailed(f"unable to find user {printable(given)}: it is neither a name nor a number")
    for fields in entries:
        uid, gid = _parse(fields[2]), _parse(fields[3])
        if uid is None or gid is None:  # never read as 0 (CVE-2026-30892)
            continue
        if uid == wanted if wanted is not None else fields[0] == name:
            return _User(uid, gid, fields[0], fields[5] if len(fields) > 5 else b"")
    if wanted is None:
        raise SetupFailed(
            f"unable to find user {printable(name)}: no matching entries in passwd file",
            "give a number, or a user of the image's /etc/passwd",
        )
    return _User(wanted)


def _find_group(entries: list[list[bytes]], name: bytes) -> int:
    wanted = _number(name, "group")
    if wanted is not None:
        return wanted
    if not _is_name(name):
        raise SetupFailed(f"unable to find group {printable(name)}: it is neither a name nor a number")
    for fields in entries:
        gid = _parse(fields[2])
        if gid is not None and fields[0] == name:
            return gid
    raise SetupFailed(
        f"unable to find group {printable(name)}: no matching entries in group file",
        "give a number, or a group of the image's /etc/group",
    )


def _needs_groups(entry: _User, colon: bytes, group: bytes, extra: Iterable[str]) -> bool:
    if not colon and entry.name:
        return True
    return any(_parse(os.fsencode(text)) is None for text in extra) or (bool(colon) and _parse(group) is None)


def _memberships(entries: list[list[bytes]], user: bytes) -> list[int]:
    if not user:
        return []
    gids = (_parse(fields[2]) for fields in entries if user in fields[3].split(b","))
    return [gid for gid in gids if gid is not None]


def _is_name(text: bytes) -> bool:
    return bool(text) and text[0] in _LETTERS and _NAME.issuperset(text)


def _parse(text: bytes) -> int | None:
    """Return an id, None for anything but up to ten ASCII digits within the range."""
    if not text.isdigit() or len(text) > 10:
        return None
    value = int(text)
    return value if value <= MAX_ID else None


def _number(text: bytes, what: str) -> int | None:
    """Return the id that `text` is, None if it is not made of digits; raises SetupFailed."""
    if not text.isdigit():
        return None
    value = _parse(text)
    if value is None:
        raise SetupFailed(
            f"unable to find {what} {printable(text)}: the number is out of range",
            f"ids go from 0 to {MAX_ID}",
        )
    return value


def _entries(root_fd: int, name: bytes) -> list[list[bytes]]:
    """Return the fields of each entry of /etc/passwd or /etc/group; no file, no entries."""
    entries = (line.split(b":") for line in _lines(root_fd, b"etc/" + name))
    return [fields for fields in entries if len(fields) >= 4 and fields[0][:1] not in _NO_ENTRY]


def _lines(root_fd: int, path: bytes) -> list[bytes]:
    """Read a small file of a root filesystem, which may hold links, FIFOs and devices instead.

    The path is resolved inside the root, opening never blocks, only a regular file is read, and
    length of file and lines are bounded (CVE-2024-9676, CVE-2026-47262).
    """
    shown = printable(b"/" + path)
    try:
        fd = open_in_root(root_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        if error.errno in (_ENOENT, _ENOTDIR):
            return []
        raise SetupFailed(f"cannot read the container's {shown}: {error.strerror}") from error
    try:
        lines = read_fd(fd, MAX_FILE, what=f"the container's {shown}").split(b"\n")
    finally:
        os.close(fd)
    if any(len(line) > MAX_LINE for line in lines):
        raise InvalidData(f"the container's {shown} has a line of more than {MAX_LINE} bytes")
    return lines
