"""policy.json: which images may be used at all.

containers-policy.json(5): requirements per transport and scope, the narrowest scope wins, all
requirements of one must hold. `insecureAcceptAnything` and `reject` are decided here. Requirements
of signatures cannot be checked, so that what they protect is refused: a policy that we
do not understand is never taken for one that allows.

Looked for in $XDG_CONFIG_HOME/containers and then in /etc/containers. A machine without the file
has no policy, and everything may be used, as with docker.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from daemonless import jsonio
from daemonless.errors import DaemonlessError, InvalidData, Unsupported, printable
from daemonless.files import read_file
from daemonless.oci.reference import Reference
from daemonless.registry.errors import Refused
from daemonless.registry.places import config_home

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MAX_BYTES = 1 << 20
_SIGNATURES = ("signedBy", "signedBaseLayer", "sigstoreSigned")


def check_policy(
    transport: str,
    scopes: tuple[str, ...],
    what: str,
    *,
    env: Mapping[str, str] = os.environ,
    system: str = "/etc",
) -> None:
    """Raise Refused or Unsupported unless the policy allows an image, called `what` in messages.

    `scopes` are what the image is known by in its transport, the narrowest first. Raises InvalidData for a
    file that is not a policy.
    """
    paths = (f"{config_home(env)}/containers/policy.json", f"{system}/containers/policy.json")
    found = next(filter(None, map(_read, paths)), None)
    if found is None:
        return
    path, data = found
    for requirement in _requirements(path, data, transport, scopes):
        if requirement == "reject":
            raise Refused(f"{what} is not to be used: {path} rejects it", "ask who looks after that file")
        if requirement in _SIGNATURES:
            raise Unsupported(
                f"{what} is not to be used: {path} demands a signature ({requirement}), and daemonless "
                "cannot verify signatures",
                "podman and skopeo can: skopeo copy docker://... oci:DIRECTORY",
            )
        if requirement != "insecureAcceptAnything":
            raise InvalidData(f"{path} is not right: there is no requirement {printable(requirement)}")


def scopes_of(reference: Reference) -> tuple[str, ...]:
    """Return the scopes of an image in a registry: itself, its repository, namespaces, host, wildcards."""
    return tuple(_scopes(reference))


def _scopes(reference: Reference) -> Iterator[str]:
    yield str(reference)
    name = reference.name
    while name:
        yield name
        name = name.rpartition("/")[0]
    domain = reference.domain.partition(":")[0]
    while "." in domain:
        domain = domain.partition(".")[2]
        yield f"*.{domain}"


def scopes_of_path(path: str, image: str = "") -> tuple[str, ...]:
    """Return the scopes of an image in a file: with its name, the file, the directories above it."""
    real = os.path.realpath(path)
    scopes = [f"{real}:{image}"] if image else []
    while real != "/":
        scopes.append(real)
        real = os.path.dirname(real)
    return tuple(scopes)


def _read(path: str) -> tuple[str, bytes] | None:
    """Return a file's path and content, None only if it is certain that there is no such file."""
    try:
        return path, read_file(path, _MAX_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InvalidData(f"cannot read {path}: {error.strerror}") from None


def _requirements(path: str, data: bytes, transport: str, scopes: tuple[str, ...]) -> list[str]:
    """Return the types of the requirements that apply."""
    try:
        document = jsonio.loads(data, what=path, limit=_MAX_BYTES)
    except DaemonlessError as error:
        raise InvalidData(error.message, "containers-policy.json(5)") from None
    if not isinstance(document, dict) or not document.keys() <= {"default", "transports"}:
        raise _wrong(path, "it is not an object of default and transports")
    transports = document.get("transports", {})
    table = transports.get(transport, {}) if isinstance(transports, dict) else None
    if not isinstance(table, dict):
        raise _wrong(path, "its transports are not objects of scopes")
    if transport == "docker-archive" and not table.keys() <= {""}:
        raise _wrong(path, "docker-archive has scopes, but what such an archive holds is known by no name")
    default = _types(path, document.get("default"))
    for scope in (*scopes, ""):
        if scope in table:
            return _types(path, table[scope])
    return default


def _types(path: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not value:
        raise _wrong(path, "a list of requirements is missing or empty")
    types = [item.get("type") if isinstance(item, dict) else None for item in value]
    if not all(isinstance(kind, str) for kind in types):
        raise _wrong(path, "a requirement has no type")
    return [str(kind) for kind in types]


def _wrong(path: str, reason: str) -> InvalidData:
    return InvalidData(f"{path} is not a policy: {reason}", "containers-policy.json(5)")
