"""What `--secret` takes."""

from __future__ import annotations

from daemonless.containers.grammar import choice, number, octal, one_line, refusal
from daemonless.containers.grammar_mounts import check_destination
from daemonless.containers.request import Secret
from daemonless.errors import printable
from daemonless.secretstore import is_name

_OPTION = "--secret"
_DIRECTORY = "/run/secrets"
_MAX_ID = (1 << 32) - 2
_KEYS = ("source", "type", "target", "uid", "gid", "mode")


def secret(value: str) -> Secret:
    """Parse `NAME[,type=mount|env][,target=...][,uid=...][,gid=...][,mode=...]`.

    The target of a mount is a path, relative to /run/secrets if it is not absolute. Raises UsageError.
    """
    one_line(value, _OPTION)
    keys: dict[str, str] = {}
    for index, field in enumerate(value.split(",")):
        key, equals, text = field.partition("=")
        if index == 0 and not equals:
            key, text = "source", field
        elif not equals or key not in _KEYS:
            hint = f"keys are {', '.join(_KEYS)}"
            raise refusal(_OPTION, value, f"{printable(field)!r} is not KEY=VALUE", hint)
        if key in keys:
            raise refusal(_OPTION, value, f"{key} is given twice")
        keys[key] = text
    name = keys.get("source", "")
    if not is_name(name):
        raise refusal(_OPTION, value, f"{printable(name)!r} is not the name of a secret")
    kind = choice(keys.get("type", "mount"), ("mount", "env"), _OPTION)
    target = keys.get("target", "") or name
    if kind == "env":
        for key in ("uid", "gid", "mode"):
            if key in keys:
                raise refusal(_OPTION, value, f"{key} has no meaning with type=env")
        if "=" in target:
            raise refusal(_OPTION, value, f"{printable(target)!r} is not the name of a variable")
        return Secret(name=name, type=kind, target=target)
    path = target if target.startswith("/") else f"{_DIRECTORY}/{target}"
    return Secret(
        name=name,
        target=check_destination(path, _OPTION, value),
        uid=number(keys.get("uid", "0"), 0, _MAX_ID, "uid", _OPTION, value),
        gid=number(keys.get("gid", "0"), 0, _MAX_ID, "gid", _OPTION, value),
        mode=octal(keys.get("mode", "0444"), _OPTION),
    )
