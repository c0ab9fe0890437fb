"""Devices by name: the Container Device Interface.

Whoever installs a device describes in a file what a container needs of it: nodes, libraries, variables,
hooks. `--device vendor.com/class=name` asks for one by name, `--gpus` for one of a class `gpu`.
https://github.com/cncf-tags/container-device-interface/blob/v1.0.0/SPEC.md

Files are read from /etc/cdi and /var/run/cdi, as the specification has it, and from ~/.config/cdi, for who
may not write there: none gives a container more than its user has.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from daemonless import jsonio
from daemonless.errors import DaemonlessError, InvalidData, NotFound, Unsupported, UsageError, printable
from daemonless.files import list_if_there, read_file
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.oci.runtime import Hook, Mount, Spec

_LIMIT = 4 << 20  # bytes of a file
_LETTERS = "[A-Za-z0-9]"
_NAME = re.compile(
    rf"[A-Za-z](?:[A-Za-z0-9_.-]*{_LETTERS})?/[A-Za-z](?:[A-Za-z0-9_-]*{_LETTERS})?"
    rf"={_LETTERS}(?:[A-Za-z0-9_.:-]*{_LETTERS})?"
)
_GPU = "nvidia.com/gpu"  # as podman has it
_HOOK = "createContainer"


class Edits(Record):
    """What a container needs for its devices, in the words of the runtime specification."""

    env: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()  # device nodes among them: the host's are bound
    hooks: tuple[Hook, ...] = ()
    groups: tuple[int, ...] = ()

    def apply(self, spec: Spec) -> None:
        """Add them to a runtime spec."""
        process = spec["process"]
        names = {entry.partition("=")[0] for entry in self.env}
        process["env"] = [each for each in process["env"] if each.partition("=")[0] not in names]
        process["env"] += self.env
        taken = {mount["destination"] for mount in self.mounts}
        root, *others = spec["mounts"]
        others = [mount for mount in others if mount["destination"] not in taken]
        others += self.mounts
        others.sort(key=lambda mount: mount["destination"].count("/"))
        spec["mounts"] = [root, *others]
        if self.hooks:
            spec["hooks"] = {_HOOK: [*self.hooks]}
        if self.groups:
            process["user"]["additionalGids"] = [*self.groups]


def directories(env: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return where descriptions lie; what is in a later one counts more."""
    home = env.get("XDG_CONFIG_HOME") or f"{env.get('HOME', '')}/.config"
    return ("/etc/cdi", "/var/run/cdi", f"{home}/cdi")


def device_names(devices: Iterable[str], gpus: Iterable[str]) -> tuple[str, ...]:
    """Return the qualified names that `--device` and `--gpus` ask for. Raises UsageError."""
    names = []
    for value in devices:
        if not _NAME.fullmatch(value):
            raise UsageError(
                f"cannot add device {printable(value)}: it is neither a path nor a name of the Container"
                " Device Interface",
                "such a name is VENDOR/CLASS=DEVICE, for example nvidia.com/gpu=all",
            )
        names.append(value)
    for value in gpus:
        asked = value.strip('"').removeprefix("device=")
        for gpu in asked.split(","):
            if not _NAME.fullmatch(f"{_GPU}={gpu}"):
                raise UsageError(
                    f"invalid value for --gpus, {printable(value)!r}: it names no GPU",
                    "all, or the number of one, or several: device=0,1",
                )
            names.append(f"{_GPU}={gpu}")
    return tuple(dict.fromkeys(names))


def resolve(names: Iterable[str], where: Iterable[str] | None = None) -> Edits:
    """Return what the devices of these qualified names need.

    Raises NotFound for a device that nothing describes, InvalidData for a broken description,
    Unsupported for one that asks for what there is not.
    """
    registry = _Registry(directories() if where is None else where)
    found = [registry.find(name) for name in names]
    general = dict.fromkeys(path for path, _ in found)
    parts = [_edits(registry.documents[path], path) for path in general]
    parts += [_edits(device, path) for path, device in found]
    return Edits(
        env=tuple({each.partition("=")[0]: each for part in parts for each in part.env}.values()),
        mounts=tuple({each["destination"]: each for part in parts for each in part.mounts}.values()),
        hooks=tuple(each for part in parts for each in part.hooks),
        groups=tuple(dict.fromkeys(each for part in parts for each in part.groups)),
    )


def known_names(where: Iterable[str] | None = None) -> list[str]:
    """Return the names of all devices that are described."""
    return sorted(_Registry(directories() if where is None else where).names())


class _Registry:
    """All descriptions that can be read."""

    def __init__(self, where: Iterable[str]) -> None:
        self.documents: dict[str, dict[str, Any]] = {}  # by path; what counts more comes later
        self._broken: list[DaemonlessError] = []
        for directory in where:
            for name in sorted(list_if_there(directory)):
                if name.endswith((".json", ".yaml")):
                    self._load(f"{directory}/{name}")

    def _load(self, path: str) -> None:
        try:
            document = _parse(path)
        except OSError as error:
            self._broken.append(InvalidData(f"cannot read {path}: {error.strerror}"))
        except DaemonlessError as error:
            self._broken.append(error)
        else:
            self.documents[path] = document

    def names(self) -> Iterator[str]:
        for path, document in self.documents.items():
            for device in _objects(document, "devices", path):
                yield f"{document['kind']}={device.get('name', '')}"

    def find(self, name: str) -> tuple[str, dict[str, Any]]:
        """Return the path and the description of a device; raises NotFound, or what is broken."""
        kind, _, wanted = name.partition("=")
        for path, document in reversed(self.documents.items()):
            if document["kind"] == kind:
                for device in _objects(document, "devices", path):
                    if device.get("name") == wanted:
                        return path, device
        if self._broken:
            raise self._broken[0]
        known = ", ".join(sorted(self.names())) or "none"
        raise NotFound(
            f"there is no device {name}",
            f"described in {', '.join(directories())}: {known}"
            + ("; nvidia-ctk cdi generate describes NVIDIA's" if kind == _GPU else ""),
        )


def _parse(path: str) -> dict[str, Any]:
    data = read_file(path, _LIMIT, what=path)
    if path.endswith(".json"):
        document = jsonio.loads(data, what=path, limit=_LIMIT)
    else:
        import yaml  # noqa: PLC0415 - 15 ms, for who has such files

        try:
            document = yaml.load(data, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except (yaml.YAMLError, UnicodeError, ValueError, RecursionError):
            raise InvalidData(f"{path} is not valid YAML") from None
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        raise InvalidData(f"{path} does not describe a kind of device")
    if not _NAME.fullmatch(f"{document['kind']}=x"):
        raise InvalidData(f"{path} describes {printable(document['kind'])}, which is no kind of device")
    _objects(document, "devices", path)
    return document


def _edits(holder: dict[str, Any], path: str) -> Edits:
    edits = holder.get("containerEdits") or {}
    if not isinstance(edits, dict):
        raise InvalidData(f"{path}: containerEdits is no object")
    for name in ("intelRdt", "netDevices"):
        if edits.get(name):
            raise Unsupported(f"{path} asks for {name}, which a rootless container cannot have")
    env = edits.get("env") or []
    groups = edits.get("additionalGids") or edits.get("additionalGIDs") or []
    if not (isinstance(env, list) and all(isinstance(each, str) and "=" in each[1:] for each in env)):
        raise InvalidData(f"{path}: env is no list of NAME=VALUE")
    if not (isinstance(groups, list) and all(type(each) is int and each > 0 for each in groups)):
        raise InvalidData(f"{path}: additionalGids is no list of groups")
    return Edits(
        env=tuple(env),
        mounts=(
            *(_node(each, path) for each in _objects(edits, "deviceNodes", path)),
            *(_mount(each, path) for each in _objects(edits, "mounts", path)),
        ),
        hooks=tuple(_hook(each, path) for each in _objects(edits, "hooks", path)),
        groups=tuple(groups),
    )


def _node(node: dict[str, Any], path: str) -> Mount:
    destination = _absolute(node, "path", path)
    source = _absolute(node, "hostPath", path) if node.get("hostPath") else destination
    permissions = node.get("permissions") or "rwm"
    try:
        is_device = os.stat(source).st_mode & 0o170000 in (0o020000, 0o060000)
    except OSError as error:
        raise NotFound(
            f"{path} names {printable(source)}: {error.strerror}", "has the device's driver been loaded?"
        ) from None
    if not is_device:
        raise InvalidData(f"{path} names {printable(source)}, which is not a device")
    options = ["bind", "slave", "nosuid", "noexec", "rw" if "w" in str(permissions) else "ro"]
    return {"destination": destination, "type": "bind", "source": source, "options": options}


def _mount(mount: dict[str, Any], path: str) -> Mount:
    kind = mount.get("type") or "bind"
    options = mount.get("options") or []
    if not isinstance(kind, str) or not (
        isinstance(options, list) and all(isinstance(each, str) for each in options)
    ):
        raise InvalidData(f"{path}: a mount is no such thing")
    source = _absolute(mount, "hostPath", path) if kind == "bind" else str(mount.get("hostPath") or kind)
    if kind == "bind" and not os.path.lexists(source):
        raise NotFound(f"{path} names {printable(source)}, which is not there", "describe the device anew")
    if kind == "bind" and not {"bind", "rbind"} & {*options}:
        options = [*options, "rbind"]
    return {
        "destination": _absolute(mount, "containerPath", path),
        "type": kind,
        "source": source,
        "options": options,
    }


def _hook(hook: dict[str, Any], path: str) -> Hook:
    if hook.get("hookName") != _HOOK:
        raise Unsupported(
            f"{path} wants a hook {printable(str(hook.get('hookName')))}, and only {_HOOK} ones are run"
        )
    args, env, timeout = hook.get("args") or [], hook.get("env") or [], hook.get("timeout") or 0
    for words in (args, env):
        if not isinstance(words, list) or not all(isinstance(each, str) for each in words):
            raise InvalidData(f"{path}: a hook's args or env is no list of words")
    if type(timeout) is not int or timeout < 0:
        raise InvalidData(f"{path}: a hook's timeout is no number of seconds")
    program = _absolute(hook, "path", path)
    return {"path": program, "args": args or [program], "env": env, "timeout": timeout}


def _absolute(holder: dict[str, Any], name: str, path: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str) or not value.isprintable() or value[:1] != "/" or ".." in value.split("/"):
        raise InvalidData(f"{path}: {name} {printable(str(value))} is no absolute path")
    return value


def _objects(holder: dict[str, Any], name: str, path: str) -> list[dict[str, Any]]:
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise InvalidData(f"{path}: {name} is no list of objects")
    return value
