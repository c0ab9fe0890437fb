"""Storing and forgetting credentials: what `login` and `logout` change.

An entry is written where it will be found: into the first of the usual auth files that already
answers for the registry, otherwise into the lasting one below $XDG_CONFIG_HOME. What a file holds
besides that entry stays as it is. Credentials of a registry that a file gives to a helper go to
that helper and not into the file.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from daemonless import failpoints
from daemonless.errors import UsageError, printable
from daemonless.files import make_private_directory, write_atomic
from daemonless.oci.reference import DEFAULT_TAG, parse_reference
from daemonless.registry import credential_helpers, realms
from daemonless.registry.credentials import (
    Credential,
    auth_files,
    docker_file,
    find_in,
    helpers_in,
    load_file,
    matching_keys,
    normalise_key,
    server_name,
)

_MAX_LINKS = 8


def parse_key(text: str) -> tuple[str, str]:
    """Return registry and path (empty, a namespace or a repository) that a person wants to log in to.

    Raises UsageError for anything else, an image with a tag or a digest included.
    """
    key = text.removeprefix("https://").removeprefix("http://").strip("/")
    host, _, path = normalise_key(key).partition("/")
    try:
        reference = parse_reference(f"{host}/{path or 'any'}")
    except UsageError:
        reference = None
    # parse_reference reads a first component without a dot as a path, here it is a registry
    fits = reference is not None and not reference.digest and reference.tag == DEFAULT_TAG
    if not host or not fits or (path and key.endswith(f":{DEFAULT_TAG}")):
        raise UsageError(
            f'"{printable(text, 100)}" is not a registry',
            "for example: registry.example:5000 or quay.io/team",
        )
    return host, path


def store_login(
    domain: str,
    path: str,
    credential: Credential,
    *,
    authfile: str = "",
    compat_authfile: str = "",
    env: Mapping[str, str] = os.environ,
) -> str:
    """Keep a credential that the registry has accepted; return the file or helper that has it now.

    `credential.realm` is pinned (see `registry.realms`). `authfile`, or REGISTRY_AUTH_FILE in `env`,
    is the file to use; `compat_authfile` is one that docker reads as well. Raises UsageError,
    InvalidData or RegistryError; what was stored before is then still there.
    """
    key = next(matching_keys(domain, path))
    if compat_authfile and path:
        raise UsageError(
            f"{key} is a part of a registry, and docker's format has entries for whole ones only",
            f"log in to {domain}, or use --authfile",
        )
    with realms.login_lock(env):
        given = compat_authfile or authfile or env.get("REGISTRY_AUTH_FILE", "")
        file = given or _first_that_answers(key, env)
        target = _own_file(file)
        document = load_file(target) if os.path.exists(target) else {}
        own_helper = helpers_in(document).get(key)
        helper = own_helper or document.get("credsStore")
        if helper:
            credential_helpers.store(helper, server_name(key), credential.username, credential.secret, file)
        auths = _without(document, key)
        if not own_helper:
            auths[server_name(key) if compat_authfile else key] = {} if helper else _entry(credential)
        realms.pin(normalise_key(domain), credential.realm, env)
        _write(target, {**document, "auths": auths})
    return credential_helpers.program_name(helper) if helper else file


def forget_login(
    domain: str,
    path: str,
    *,
    authfile: str = "",
    compat_authfile: str = "",
    env: Mapping[str, str] = os.environ,
) -> bool:
    """Forget what is stored under exactly this key; return whether there was anything."""
    key = next(matching_keys(domain, path))
    found = False

    def change(file: str, document: dict[str, Any]) -> dict[str, Any]:
        nonlocal found
        auths = _without(document, key)
        found = found or len(auths) < len(document.get("auths", {}))
        helper = helpers_in(document).get(key) or document.get("credsStore")
        if helper and credential_helpers.get(helper, server_name(key), file):
            credential_helpers.erase(helper, server_name(key), file)
            found = True
        return {**document, "auths": auths}

    with realms.login_lock(env):
        files = _files(authfile, compat_authfile, env)
        _change_all(files, change)
        host = normalise_key(domain)
        if not any(host in _hosts(load_file(file)) for file in files if os.path.exists(file)):
            realms.pin(host, "", env)
    return found


def forget_all_logins(
    *, authfile: str = "", compat_authfile: str = "", env: Mapping[str, str] = os.environ
) -> None:
    """Forget all that `forget_login` could, with their helpers' entries that the files know of."""
    hosts: set[str] = set()

    def change(file: str, document: dict[str, Any]) -> dict[str, Any]:
        helpers = helpers_in(document)
        keys = {*map(normalise_key, document.get("auths", {})), *helpers}
        for key in sorted(keys):
            if helper := helpers.get(key) or document.get("credsStore"):
                credential_helpers.erase(helper, server_name(key), file)
        hosts.update(key.partition("/")[0] for key in keys)
        return {**document, "auths": {}}

    with realms.login_lock(env):
        _change_all(_files(authfile, compat_authfile, env), change)
        for host in hosts:
            realms.pin(host, "", env)


def is_dockers(domain: str, path: str, env: Mapping[str, str] = os.environ) -> bool:
    """Return whether docker's own file has a credential for a registry."""
    file = docker_file(env)
    return os.path.exists(file) and find_in(load_file(file), domain, path, file) is not None


def _entry(credential: Credential) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{credential.username}:{credential.secret}".encode()).decode("ascii")}


def _without(document: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in document.get("auths", {}).items() if normalise_key(name) != key}


def _first_that_answers(key: str, env: Mapping[str, str]) -> str:
    *others, last = auth_files(env)
    return next((file for file in others if os.path.exists(file) and _answers(load_file(file), key)), last)


def _answers(document: dict[str, Any], key: str) -> bool:
    """Return whether a file has an entry, or a helper, for a key or a part of it."""
    if document.get("credsStore"):
        return True
    known = {*map(normalise_key, document.get("auths", {})), *helpers_in(document)}
    return any(f"{key}/".startswith(f"{name}/") for name in known)


def _hosts(document: dict[str, Any]) -> set[str]:
    """Return the registries an auth file names."""
    keys = (*document.get("auths", {}), *document.get("credHelpers", {}))
    return {normalise_key(key).partition("/")[0] for key in keys}


def _files(authfile: str, compat_authfile: str, env: Mapping[str, str]) -> list[str]:
    given = compat_authfile or authfile or env.get("REGISTRY_AUTH_FILE", "")
    return [given] if given else list(auth_files(env))


def _change_all(files: list[str], change: Callable[[str, dict[str, Any]], dict[str, Any]]) -> None:
    for file in files:
        target = _own_file(file)
        if os.path.exists(target):
            document = load_file(target)
            changed = change(file, document)
            if changed != document:
                _write(target, changed)


def _own_file(file: str) -> str:
    """Return the file that is to be replaced: itself, or what links of the user's lead to.

    Raises UsageError for a link or a file of somebody else, who could read the secret or aim it elsewhere.
    """
    path = os.path.abspath(file)
    for _ in range(_MAX_LINKS):
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            return path
        if status.st_uid != os.getuid():
            raise UsageError(
                f"{printable(path)} is a file of uid {status.st_uid}, not yours",
                "name another file: --authfile FILE",
            )
        if status.st_mode & 0o170000 != 0o120000:
            return path
        path = os.path.abspath(os.path.join(os.path.dirname(path), os.readlink(path)))
    raise UsageError(f"{printable(file)} is a link to a link, and so on without end")


def _write(path: str, document: dict[str, Any]) -> None:
    make_private_directory(os.path.dirname(path))
    failpoints.reach("login.write")
    # with tabs, as podman and docker write it: people read and edit these files
    write_atomic(path, json.dumps(document, indent="\t").encode())
