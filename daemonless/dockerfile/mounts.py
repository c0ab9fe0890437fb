"""`RUN --mount`: comma-separated options, quoted as in CSV files.

Defaults are BuildKit's: a bind is read-only, a cache shared, a secret 0400 at /run/secrets/ID.
"""

from __future__ import annotations

import posixpath

from daemonless.dockerfile.document import near
from daemonless.dockerfile.steps import RunMount
from daemonless.errors import UsageError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Fields = dict[str, str]

TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
SHARING = ("shared", "private", "locked")
_ALIASES = {
    "src": "source",
    "dst": "target",
    "destination": "target",
    "ro": "readonly",
    "rw": "readwrite",
    "tmpfs-size": "size",  # buildah's, as the next one
    "z": "relabel",
}
_SWITCHES = ("readonly", "readwrite", "required", "relabel")
_FILES = ("mode", "uid", "gid")
# some are of no effect, as in BuildKit; relabel, or z and Z, is for SELinux, whose labels RUN does without
_COMMON = ("target", "source", "from", "id", "readonly", "readwrite", "relabel")
_OPTIONS = {
    "bind": _COMMON,
    "cache": (*_COMMON, "sharing", *_FILES),
    "tmpfs": (*_COMMON, "size"),
    "secret": ("target", "source", "id", "required", "env", "readonly", "readwrite", *_FILES),
    "ssh": (*_COMMON, "required", *_FILES),
}
_UNITS = {"": 0, "b": 0, "k": 10, "m": 20, "g": 30, "t": 40, "p": 50}
_DIRECTORIES = ("bind", "cache", "tmpfs")
_SECRETS = "/run/secrets/"


def parse_mount(text: str, expand: Callable[[str], str], resolve: Callable[[str], str]) -> RunMount:
    """Return the mount of one `--mount`.

    `expand` expands the variables of a value, `resolve` makes a path absolute. Raises UsageError.
    """
    fields: Fields = {}
    for field in _csv(text):
        name, equals, value = field.partition("=")
        name = _ALIASES.get(name.lower(), name.lower())
        if not equals and name not in _SWITCHES:
            raise _refusal(text, f"{printable(field)!r} is not KEY=VALUE")
        fields[name] = expand(value) if equals else "true"
    kind = fields.pop("type", "bind").lower()
    if kind not in TYPES:
        raise _refusal(
            text, f"there is no type {printable(kind)!r}", near(kind, TYPES) or f"one of {' '.join(TYPES)}"
        )
    for name in fields:
        if name not in _OPTIONS[kind]:
            hint = near(name, _OPTIONS[kind]) or f"it takes {' '.join(_OPTIONS[kind])}"
            raise _refusal(text, f"a {kind} has no option {printable(name)!r}", hint)
    return _mount(text, kind, fields, resolve)


def _mount(text: str, kind: str, fields: Fields, resolve: Callable[[str], str]) -> RunMount:
    target, source, identity = (fields.get(name, "") for name in ("target", "source", "id"))
    if kind in _DIRECTORIES and resolve(target) == "/":
        raise _refusal(text, "it cannot be mounted on /", "say where with target=PATH")
    sharing = fields.get("sharing", "shared").lower()
    if sharing not in SHARING:
        raise _refusal(text, f"there is no sharing {printable(sharing)!r}", f"one of {' '.join(SHARING)}")
    if kind == "secret":
        if source and identity:
            raise _refusal(text, "source is the same as id, and both are given")
        identity = identity or source or target.rpartition("/")[2] or fields.get("env", "")
        if not identity:
            raise _refusal(text, "it names no secret", "say which with id=NAME")
        if not target and not fields.get("env"):
            target = _SECRETS + identity.rpartition("/")[2]
        source = ""
    if kind == "cache":
        identity = identity or resolve(target)
    if kind == "ssh":
        identity = source or identity or "default"
    writable = kind in ("cache", "tmpfs")
    if "readonly" in fields:
        writable = not _boolean(text, "readonly", fields)
    if "readwrite" in fields:
        writable = _boolean(text, "readwrite", fields)
    return RunMount(
        type=kind,
        target=resolve(target) if target or kind in _DIRECTORIES else "",
        source=posixpath.normpath(f"/{source.lstrip('/')}") if kind in ("bind", "cache") else "",
        from_=fields.get("from", "") if kind in ("bind", "cache") else "",
        read_only=not writable,
        id=identity,
        sharing=sharing,
        size=_size(text, fields["size"]) if "size" in fields else 0,
        mode=_number(text, "mode", fields, 8, 0o7777) if "mode" in fields else None,
        uid=_number(text, "uid", fields, 10, (1 << 32) - 2) if "uid" in fields else 0,
        gid=_number(text, "gid", fields, 10, (1 << 32) - 2) if "gid" in fields else 0,
        required=_boolean(text, "required", fields) if "required" in fields else False,
        env=fields.get("env", ""),
    )


def _csv(text: str) -> list[str]:
    """Return the fields of a line of CSV (RFC 4180): one in quotes may hold commas."""
    fields, field, quoted, position = [], "", False, 0
    while position < len(text):
        char = text[position]
        if char == '"' and quoted and text[position + 1 : position + 2] == '"':
            field += char
            position += 1
        elif char == '"' and (quoted or not field):
            quoted = not quoted
        elif char == "," and not quoted:
            fields.append(field)
            field = ""
        else:
            field += char
        position += 1
    if quoted:
        raise _refusal(text, "a quote is left open")
    return [*fields, field]


def _boolean(text: str, name: str, fields: Fields) -> bool:
    value = fields[name]
    if value not in ("1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False"):
        raise _refusal(text, f"{name} is neither true nor false")
    return value[0] in "1tT"


def _number(text: str, name: str, fields: Fields, base: int, limit: int) -> int:
    value = fields[name]
    if not (value.isascii() and value.isdigit() and len(value) < 11 and (base == 10 or max(value) < "8")):
        raise _refusal(text, f"{name} is not a number")
    if int(value, base) > limit:
        raise _refusal(text, f"{name} is too large")
    return int(value, base)


def _size(text: str, value: str) -> int:
    lower = value.lower()
    digits = lower.rstrip("bikmgtp")
    unit = lower[len(digits) :]
    known = unit in ("", "b") or (unit[0] in "kmgtp" and unit[1:] in ("", "b", "ib"))
    if not (known and digits.isascii() and digits.isdigit() and len(digits) < 16):
        raise _refusal(text, "size is not a number with a unit of b, k, m, g or t")
    return int(digits) << _UNITS[unit[:1]]


def _refusal(text: str, reason: str, hint: str = "") -> UsageError:
    return UsageError(f"cannot use --mount={printable(text)}: {reason}", hint)
