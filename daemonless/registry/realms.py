"""To whom a registry let us give its credentials: the origin that took them, pinned at login.

A registry says in its challenge which token server wants the user's password. What it said at
login is kept beside the credentials, in $XDG_CONFIG_HOME/daemonless/realms.json, as an object
from registry to origin; a registry that names another one later gets nothing until the next login.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from daemonless import jsonio
from daemonless.errors import InvalidData
from daemonless.files import Lock, make_private_directory, read_file, write_atomic
from daemonless.registry.places import config_home

_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> str:
    """Return scheme, host and port of a checked URL, spelled in one way."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or _PORTS.get(parts.scheme, 0)
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def load(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the origin of each registry that was logged in to. Raises InvalidData or OSError."""
    path = _path(env)
    try:
        data = read_file(path)
    except FileNotFoundError:
        return {}
    document = jsonio.loads(data, what=path)
    if not isinstance(document, dict) or not all(isinstance(value, str) for value in document.values()):
        raise InvalidData(f"{path} does not map registries to addresses", "remove it and log in again")
    return document


def pin(host: str, origin: str, env: Mapping[str, str] = os.environ) -> None:
    """Keep `origin` as the one that may have the credentials of `host`, or forget it if empty.

    The caller holds the lock of `login_lock`.
    """
    known = load(env)
    changed = {name: value for name, value in known.items() if name != host}
    if origin:
        changed[host] = origin
    if changed != known:
        write_atomic(_path(env), jsonio.dumps(changed).encode())


def login_lock(env: Mapping[str, str] = os.environ) -> Lock:
    """Return the lock under which auth files and pins are changed, so that no login undoes another."""
    directory = _path(env).rpartition("/")[0]
    make_private_directory(directory)
    return Lock(f"{directory}/login.lock")


def _path(env: Mapping[str, str]) -> str:
    return f"{os.path.abspath(config_home(env))}/daemonless/realms.json"
