"""What `-v`, `--mount`, `--tmpfs`, `--volumes-from` and `--device` take, parsed into mounts.

Follows podman where docker differs: a missing directory on the host is an error, and a relative
path needs a leading dot, because `data:/data` names a volume.
"""

from __future__ import annotations

import os

from daemonless.containers.grammar import boolean, octal, one_line, refusal, size
from daemonless.containers.request import Device, Mount
from daemonless.errors import Unsupported, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

PROPAGATION = ("private", "rprivate", "slave", "rslave", "shared", "rshared")
_FLAGS = ("ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec")
_BIND_FLAGS = (*_FLAGS, *PROPAGATION, "bind", "rbind")
_TMPFS_FLAGS = (
    *_FLAGS,
    *PROPAGATION,
    "noatime",
    "relatime",
    "strictatime",
    "nodiratime",
    "notmpcopyup",
    "tmpcopyup",
)
_TMPFS_DEFAULTS = ("rw", "noexec", "nosuid", "nodev")
# SELinux labels, and what tells docker on a Mac how soon both sides have to see a change
_NOTHING_TO_DO = ("z", "Z", "", "cached", "consistent", "delegated")
_VOLUME_DEFAULTS = ("nosuid", "nodev")
# options that are no flags of a mount, and the field of Mount that each sets
_FIELDS = {
    "U": ("chown", True),
    "O": ("overlay", True),
    "copy": ("nocopy", False),
    "nocopy": ("nocopy", True),
}


def volume(value: str, cwd: str, option: str = "--volume") -> Mount:
    """Parse `[SOURCE:]DESTINATION[:OPTIONS]`; `cwd` is what a relative source starts from.

    A source that begins with neither / nor . names a volume; without one the volume is anonymous.
    Raises UsageError.
    """
    one_line(value, option)
    source, colon, rest = value.partition(":")
    destination, _, options = rest.partition(":")
    if not colon:
        source, destination = "", value
    elif not source or not destination:
        raise refusal(option, value, "the source or the destination is empty")
    if ":" in options:
        raise refusal(option, value, "it has more than three fields", "write SOURCE:DESTINATION[:OPTIONS]")
    words, fields = _fields(options.split(","))
    where = check_destination(destination, option, value)
    if source[:1] in ("/", "."):
        path = os.path.normpath(os.path.join(cwd, source))
        flags = bind_options(words, option, value)
        return Mount(destination=where, type="bind", source=path, options=flags, **fields)
    name = _volume_name(source, option, value)
    return Mount(
        destination=where,
        type="volume",
        source=name,
        options=volume_options(words, option, value),
        **fields,
    )


def _fields(words: Iterable[str]) -> tuple[list[str], dict[str, Any]]:
    """Split words into flags of the mount and fields of Mount."""
    flags, fields = [], {}
    for word in words:
        if word in _FIELDS:
            name, setting = _FIELDS[word]
            fields[name] = setting
        else:
            flags.append(word)
    return flags, fields


def _volume_name(name: str, option: str, value: str) -> str:
    plain = name.replace("_", "").replace(".", "").replace("-", "")
    if name and not (name[0].isalnum() and plain.isalnum() and name.isascii() and len(name) <= 255):
        raise refusal(
            option,
            value,
            f"{printable(name)!r} is not the name of a volume",
            "a directory of this machine is written with a leading / or ./",
        )
    return name


def bind_options(words: Iterable[str], option: str, value: str) -> tuple[str, ...]:
    """Return the complete options of a bind mount: recursive, private and writable by default.

    `z` and `Z` ask for a SELinux label. Containers here run in the user's own security context,
    which may read what the user may, so there is nothing to relabel.
    """
    chosen: list[str] = []
    for word in words:
        if word in _NOTHING_TO_DO:
            continue
        if word in ("idmap", "upperdir", "nocreate"):
            raise Unsupported(f"cannot mount {printable(value)}: option {word} is not supported")
        if word not in _BIND_FLAGS:
            raise refusal(option, value, f"{printable(word)!r} is no mount option")
        chosen.append(word)
    _refuse_contradictions(chosen, option, value)
    recursion = [word for word in chosen if word in ("bind", "rbind")] or ["rbind"]
    propagation = [word for word in chosen if word in PROPAGATION] or ["rprivate"]
    flags = [word for word in chosen if word in _FLAGS]
    if "ro" not in flags and "rw" not in flags:
        flags.append("rw")
    return (*recursion, *propagation, *flags)


def volume_options(words: Iterable[str], option: str, value: str) -> tuple[str, ...]:
    """Return the complete options of a volume: as of a bind mount, but nosuid and nodev by default."""
    chosen = bind_options(words, option, value)
    return (*chosen, *(w for w in _VOLUME_DEFAULTS if w not in chosen and _opposite(w) not in chosen))


def volumes_from(value: str, option: str = "--volumes-from") -> tuple[str, str]:
    """Parse `CONTAINER[:ro|rw]`; the result is the container and the mode, or an empty string."""
    one_line(value, option)
    name, _, options = value.partition(":")
    modes = [word for word in options.split(",") if word not in ("", "z", "Z")]
    if not name or len(modes) > 1 or not set(modes) <= {"ro", "rw"}:
        raise refusal(option, value, "it is not CONTAINER, CONTAINER:ro or CONTAINER:rw")
    return name, modes[0] if modes else ""


def tmpfs(value: str, option: str = "--tmpfs") -> Mount:
    """Parse `DESTINATION[:OPTIONS]`; rw,noexec,nosuid,nodev by default, as docker documents it."""
    one_line(value, option)
    destination, _, options = value.partition(":")
    return Mount(
        destination=check_destination(destination, option, value),
        type="tmpfs",
        source="tmpfs",
        options=tmpfs_options(options.split(",") if options else (), option, value),
    )


def tmpfs_options(words: Iterable[str], option: str, value: str) -> tuple[str, ...]:
    """Return the complete options of a tmpfs."""
    chosen: list[str] = []
    for word in words:
        key, equals, text = word.partition("=")
        if not word:
            continue
        if equals:
            chosen.append(_tmpfs_parameter(key, text, option, value))
        elif word in _TMPFS_FLAGS:
            chosen.append(word)
        else:
            raise refusal(option, value, f"{printable(word)!r} is no option of tmpfs")
    _refuse_contradictions(chosen, option, value)
    kept = [word for word in _TMPFS_DEFAULTS if _opposite(word) not in chosen and word not in chosen]
    propagation = () if any(word in PROPAGATION for word in chosen) else ("rprivate",)
    copy_up = () if "tmpcopyup" in chosen or "notmpcopyup" in chosen else ("tmpcopyup",)
    return (*kept, *propagation, *chosen, *copy_up)


def _tmpfs_parameter(key: str, text: str, option: str, value: str) -> str:
    """Check one `key=value` of tmpfs(5)."""
    if key == "size" and text.endswith("%") and text[:-1].isascii() and text[:-1].isdigit():
        return f"size={text}"
    if key in ("size", "nr_blocks", "nr_inodes"):
        return f"{key}={size(text, option)}"
    if key == "mode":
        return f"mode={octal(text, option):o}"
    if key in ("uid", "gid") and text.isascii() and text.isdigit():
        return f"{key}={text}"
    raise refusal(option, value, f"{printable(key)}={printable(text)} is no option of tmpfs")


def _opposite(flag: str) -> str:
    if flag in ("ro", "rw"):
        return "rw" if flag == "ro" else "ro"
    return flag[2:] if flag.startswith("no") else "no" + flag


def _refuse_contradictions(words: list[str], option: str, value: str) -> None:
    for group in (PROPAGATION, ("bind", "rbind")):
        if sum(word in group for word in words) > 1:
            raise refusal(option, value, f"it has more than one of {', '.join(group)}")
    for word in words:
        if word in _FLAGS and _opposite(word) in words:
            raise refusal(option, value, f"{word} contradicts {_opposite(word)}")


def check_destination(text: str, option: str, value: str) -> str:
    """Normalise a path inside the container; `..` is resolved here, links only in the container's root."""
    if not text.startswith("/"):
        raise refusal(option, value, "the destination is not an absolute path")
    path = os.path.normpath("/" + text.lstrip("/"))
    if path == "/":
        raise refusal(option, value, "the destination is the root of the container")
    return path


_MOUNT_ALIASES = {
    "src": "source",
    "dst": "destination",
    "dest": "destination",
    "target": "destination",
    "readonly": "ro",
    "read-only": "ro",
    "bind-propagation": "propagation",
    "tmpfs-size": "size",
    "tmpfs-mode": "mode",
    "volume-nocopy": "nocopy",
    "volume-subpath": "subpath",
    "chown": "U",
}


def mount(value: str, cwd: str, option: str = "--mount") -> Mount:
    """Parse `type=bind|tmpfs|volume,source=...,destination=...[,key=value ...]`, a line of CSV.

    Raises UsageError, or Unsupported for other types.
    """
    one_line(value, option)
    keys: dict[str, str] = {}
    words: list[str] = []
    for field in csv_fields(value, option):
        key, equals, text = field.partition("=")
        key = _MOUNT_ALIASES.get(key, key)
        if key in keys:
            raise refusal(option, value, f"{printable(key)} is given twice")
        keys[key] = text if equals else "true"
    kind = keys.pop("type", "volume")
    if kind not in ("bind", "tmpfs", "volume"):
        raise Unsupported(
            f"cannot mount {printable(value)}: type {printable(kind)} is not supported",
            "the types are bind, tmpfs and volume",
        )
    destination = check_destination(keys.pop("destination", ""), option, value)
    source = keys.pop("source", "")
    subpath = _subpath(keys.pop("subpath", ""), option, value) if kind == "volume" else ""
    for key, text in keys.items():
        words += _mount_key(kind, key, text, option, value)
    words, fields = _fields(words)
    if kind == "bind":
        if not source or source[0] not in "/.":
            raise refusal(option, value, "the source is not a path that begins with / or .")
        source = os.path.normpath(os.path.join(cwd, source))
        options = bind_options(words, option, value)
    elif kind == "tmpfs":
        if source not in ("", "tmpfs"):
            raise refusal(option, value, "a tmpfs has no source")
        source = "tmpfs"
        options = tmpfs_options(words, option, value)
    else:
        source = _volume_name(source, option, value)
        options = volume_options(words, option, value)
    return Mount(
        destination=destination, type=kind, source=source, options=options, subpath=subpath, **fields
    )


def _subpath(text: str, option: str, value: str) -> str:
    if text.startswith("/") or ".." in text.split("/"):
        raise refusal(option, value, "the subpath is not a path below the top of the volume")
    return text


def _mount_key(kind: str, key: str, text: str, option: str, value: str) -> list[str]:
    """Return the mount options that one key of `--mount` stands for."""
    if key in ("ro", "rw"):
        return [key if boolean(text, option) else _opposite(key)]
    if key == "propagation" and text in PROPAGATION:
        return [text]
    if key == "bind-nonrecursive" and kind == "bind":
        return ["bind"] if boolean(text, option) else []
    if key == "bind-recursive" and kind == "bind" and text in ("enabled", "disabled"):
        return ["bind" if text == "disabled" else "rbind"]
    if key == "relabel" and text in ("shared", "private"):
        return []
    if key == "consistency":  # of macOS; docker's compose files carry it along
        return []
    if key in ("exec", "suid", "dev") or (key == "tmpcopyup" and kind == "tmpfs"):
        return [key if boolean(text, option) else "no" + key]
    if key in ("noexec", "nosuid", "nodev", "notmpcopyup", "bind", "rbind", "U", "idmap", "z", "Z"):
        return [key] if boolean(text or "true", option) else []
    if key == "nocopy" and kind == "volume":
        return [key] if boolean(text, option) else []
    if key == "volume-driver" and kind == "volume" and text == "local":
        return []
    if kind == "tmpfs" and key in ("size", "mode", "uid", "gid"):
        return [f"{key}={text}"]
    raise refusal(option, value, f"{printable(key)} is no key of type={kind}")


def csv_fields(value: str, option: str) -> list[str]:
    """Split one CSV record (RFC 4180): a field in double quotes may hold commas and `""`."""
    fields, position = [], 0
    while position <= len(value):
        if value[position : position + 1] == '"':
            field, position = _quoted(value, position + 1, option)
        else:
            end = value.find(",", position)
            end = len(value) if end < 0 else end
            field, position = value[position:end], end
            if '"' in field:
                raise refusal(option, value, "a quote stands inside a field", 'quote whole fields: "src=a,b"')
        if value[position : position + 1] not in ("", ","):
            raise refusal(option, value, "something follows a closing quote")
        fields.append(field)
        position += 1
    return fields


def _quoted(value: str, position: int, option: str) -> tuple[str, int]:
    """Return the field that begins after the quote, and the position after its closing one."""
    field = ""
    while True:
        end = value.find('"', position)
        if end < 0:
            raise refusal(option, value, "a quoted field does not end")
        field += value[position:end]
        if value[end + 1 : end + 2] != '"':
            return field, end + 1
        field += '"'
        position = end + 2


def device(value: str, option: str = "--device") -> Device:
    """Parse `HOST[:CONTAINER][:PERMISSIONS]`; permissions are letters of rwm, w decides."""
    one_line(value, option)
    fields = value.split(":")
    source, destination, permissions = fields[0], fields[0], "rwm"
    if not source.startswith("/"):
        raise refusal(option, value, "the device is not an absolute path")
    if len(fields) == 3:
        destination, permissions = fields[1], fields[2]
    elif len(fields) == 2 and fields[1].startswith("/"):
        destination = fields[1]
    elif len(fields) == 2:
        permissions = fields[1]
    elif len(fields) > 3:
        raise refusal(option, value, "it has more than three fields")
    if not permissions or not set("rwm").issuperset(permissions):
        raise refusal(option, value, "the permissions are not made of r, w and m")
    return Device(
        source=os.path.normpath(source),
        destination=check_destination(destination, option, value),
        writable="w" in permissions,
    )
