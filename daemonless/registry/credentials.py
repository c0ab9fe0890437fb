"""Finding the credentials for a registry: auth.json files and credential helpers.

containers-auth.json(5) and Docker's config.json. Nothing here asks a person or prints; secrets
leave this module only inside a `Credential`, whose repr hides them.

An entry is used for exactly the host it is stored under: keys are host[:port], optionally with a
namespace or repository, and the longest one that matches wins.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from daemonless import jsonio
from daemonless.errors import InvalidData, UsageError, printable
from daemonless.files import read_file
from daemonless.record import Record
from daemonless.registry import realms
from daemonless.registry.auth import basic_header
from daemonless.registry.places import config_home

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_FILE = 1 << 20
DOCKER_KEY = "https://index.docker.io/v1/"  # what docker login calls docker.io
_DOCKER_HOSTS = frozenset(("docker.io", "index.docker.io", "registry-1.docker.io"))


class Credential(Record):
    """A user name and password, or an identity token.

    `source` says where it came from, `realm` the origin it was given to at login (`registry.realms`),
    if that is known.
    """

    username: str = ""
    secret: str = ""
    identity_token: str = ""
    source: str = ""
    explicit: bool = False  # given for this very call
    realm: str = ""

    def __repr__(self) -> str:
        return f"Credential(username={self.username!r}, source={self.source!r})"

    def basic(self) -> str:
        """Return it as an HTTP Basic Authorization header."""
        return basic_header(self.username, self.secret)


def parse_creds(text: str) -> Credential:
    """Parse the USER:PASSWORD of `--creds`. Raises UsageError, which does not repeat the value."""
    username, colon, secret = text.partition(":")
    if not colon or not username:
        raise UsageError("--creds is not USER:PASSWORD")
    return Credential(username=username, secret=secret, source="--creds", explicit=True)


def find_credential(
    domain: str, path: str, *, authfile: str = "", env: Mapping[str, str] = os.environ
) -> Credential | None:
    """Return what is stored for the repository `path` of the registry `domain`, or None.

    `authfile`, or REGISTRY_AUTH_FILE in `env`, is the only file looked at if given; it must
    exist. Raises UsageError or InvalidData for an unreadable one, RegistryError if a helper fails.
    """
    given = authfile or env.get("REGISTRY_AUTH_FILE", "")
    for source, document in _documents(given, env):
        credential = find_in(document, domain, path, source)
        if credential:
            return credential.replace(realm=realms.load(env).get(normalise_key(domain), ""))
    return None


def auth_files(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the files of our own format that are looked at without being named, in order.

    The one in $XDG_RUNTIME_DIR, if there is any, ends with the session; the last one lasts.
    """
    session = f"{env['XDG_RUNTIME_DIR']}/containers/auth.json" if env.get("XDG_RUNTIME_DIR") else ""
    return (*filter(None, (session,)), f"{config_home(env)}/containers/auth.json")


def docker_file(env: Mapping[str, str]) -> str:
    """Return where docker keeps its credentials."""
    return f"{env.get('DOCKER_CONFIG') or env.get('HOME', '/nonexistent') + '/.docker'}/config.json"


def _documents(given: str, env: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    if given:
        if not os.path.exists(given):
            raise UsageError(f"cannot read the auth file {printable(given)}: it does not exist")
        yield given, load_file(given)
        return
    if text := env.get("DOCKER_AUTH_CONFIG", ""):
        yield (
            "DOCKER_AUTH_CONFIG",
            _checked(jsonio.loads(text, what="DOCKER_AUTH_CONFIG"), "DOCKER_AUTH_CONFIG"),
        )
    for path in (*auth_files(env), docker_file(env)):
        if os.path.exists(path):
            yield path, load_file(path)


def load_file(path: str) -> dict[str, Any]:
    """Return the checked content of an auth file.

    Raises UsageError if it cannot be read, or can be by everybody, InvalidData for a malformed one.
    """
    try:
        document = _checked(jsonio.loads(read_file(path, MAX_FILE), what=path), path)
        mode = os.stat(path).st_mode
    except OSError as error:
        raise UsageError(f"cannot read the auth file {path}: {error.strerror}") from None
    if mode & 0o007 and any(
        entry.get("auth") or entry.get("identitytoken") for entry in document.get("auths", {}).values()
    ):
        raise UsageError(f"the passwords in {path} can be read by every user", f"chmod 600 {path}")
    return document


def _checked(document: object, what: str) -> dict[str, Any]:
    """Check the members that are read: auths, credHelpers, credsStore."""
    if not isinstance(document, dict):
        raise InvalidData(f"{what} is not an object")
    for name in ("auths", "credHelpers"):
        if not isinstance(document.get(name, {}), dict):
            raise InvalidData(f"{what}: {name} is not an object")
    if not all(isinstance(entry, dict) for entry in document.get("auths", {}).values()):
        raise InvalidData(f"{what}: an entry of auths is not an object")
    return document


def find_in(document: dict[str, Any], domain: str, path: str, source: str) -> Credential | None:
    """Return what one auth file has for a repository, under the longest key that fits.

    For the same key its own helper comes first, then the general one, then the stored entry.
    """
    helpers, entries, general = helpers_in(document), _entries(document), document.get("credsStore")
    host = normalise_key(domain)
    for key in matching_keys(domain, path):
        if key in helpers:
            return _ask(helpers[key], server_name(key), source)
        asked = general and (key in entries or key == host)
        if asked and (credential := _ask(general, server_name(key), source)):
            return credential
        if key in entries and (credential := _decode(entries[key], f"{source} ({key})")):
            return credential
    return None


def helpers_in(document: dict[str, Any]) -> dict[str, Any]:
    """Return the helpers of an auth file by the normalised key they are for."""
    return {normalise_key(key): value for key, value in document.get("credHelpers", {}).items()}


def _entries(document: dict[str, Any]) -> dict[str, Any]:
    return {normalise_key(key): entry for key, entry in document.get("auths", {}).items()}


def _ask(helper: object, server: str, source: str) -> Credential | None:
    from daemonless.registry import credential_helpers  # noqa: PLC0415 - subprocess: 2 ms few need

    answer = credential_helpers.get(helper, server, source)
    if answer is None:
        return None
    username, secret = answer
    program = credential_helpers.program_name(helper)
    if username == credential_helpers.TOKEN_USER:
        return Credential(identity_token=secret, source=program)
    return Credential(username=username, secret=secret, source=program)


def matching_keys(domain: str, path: str) -> Iterator[str]:
    """Yield the keys that match a repository, or a registry if `path` is empty, longest first."""
    host = normalise_key(domain)
    parts = path.split("/") if path else []
    for count in range(len(parts), 0, -1):
        yield "/".join((host, *parts[:count]))
    yield host


def normalise_key(key: str) -> str:
    """Return a key as host[:port][/path].

    A key with a scheme stands for the whole host, unless it has a path that is not an API's: docker
    keeps notes of its own at https://index.docker.io/v1/access-token.
    """
    if "://" in key:
        parts = urlsplit(key)
        path = parts.path.strip("/")
        key = parts.netloc.rpartition("@")[2] + ("" if path in ("", "v1", "v2") else f"/{path}")
    host, slash, path = key.strip("/").partition("/")
    name, colon, port = host.lower().partition(":") if not host.startswith("[") else (host.lower(), "", "")
    host = name.rstrip(".") + colon + port
    if host in _DOCKER_HOSTS:
        host = "docker.io"
        if path in ("v1", "v2"):
            path = ""
    return f"{host}/{path}" if slash and path else host


def server_name(key: str) -> str:
    """Return how docker and its helpers spell a key."""
    return DOCKER_KEY if key == "docker.io" else key


def _decode(entry: dict[str, Any], source: str) -> Credential | None:
    """Return the credential of one entry of `auths`; an empty entry only says that a helper knows."""
    token, auth = entry.get("identitytoken"), entry.get("auth")
    if token and isinstance(token, str):
        return Credential(identity_token=token, source=source)
    if not auth:
        return None
    try:
        username, colon, secret = base64.b64decode(auth, validate=True).decode("utf-8").partition(":")
    except (TypeError, ValueError, binascii.Error):
        username, colon, secret = "", "", ""
    if not colon or not username:
        raise InvalidData(f"{source}: auth is not the base64 of USER:PASSWORD", "log in again")
    return Credential(username=username, secret=secret.rstrip("\0"), source=source)
