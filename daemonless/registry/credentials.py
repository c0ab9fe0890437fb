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
import select
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from daemonless import jsonio
from daemonless.errors import InvalidData, UsageError, printable
from daemonless.files import read_file
from daemonless.record import Record
from daemonless.registry.auth import basic_header
from daemonless.registry.errors import RegistryError

HELPER_SECONDS = 10
HELPER_BYTES = 64 << 10
MAX_FILE = 1 << 20
_HELPER_CHARS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")
_DOCKER_KEY = "https://index.docker.io/v1/"  # what docker login calls docker.io
_DOCKER_HOSTS = frozenset(("docker.io", "index.docker.io", "registry-1.docker.io"))


class Credential(Record):
    """A user name and password, or an identity token; `source` says where it came from."""

    username: str = ""
    secret: str = ""
    identity_token: str = ""
    source: str = ""
    explicit: bool = False  # given for this very call

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
        credential = _find_in(document, domain, path, source)
        if credential:
            return credential
    return None


def _documents(given: str, env: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    if given:
        if not os.path.exists(given):
            raise UsageError(f"cannot read the auth file {printable(given)}: it does not exist")
        yield given, _load(given)
        return
    if text := env.get("DOCKER_AUTH_CONFIG", ""):
        yield (
            "DOCKER_AUTH_CONFIG",
            _checked(jsonio.loads(text, what="DOCKER_AUTH_CONFIG"), "DOCKER_AUTH_CONFIG"),
        )
    home = env.get("HOME", "/nonexistent")
    candidates = (
        f"{env['XDG_RUNTIME_DIR']}/containers/auth.json" if env.get("XDG_RUNTIME_DIR") else "",
        f"{env.get('XDG_CONFIG_HOME') or f'{home}/.config'}/containers/auth.json",
        f"{env.get('DOCKER_CONFIG') or f'{home}/.docker'}/config.json",
    )
    for path in filter(None, candidates):
        if os.path.exists(path):
            yield path, _load(path)


def _load(path: str) -> dict[str, Any]:
    try:
        document = _checked(jsonio.loads(read_file(path, MAX_FILE), what=path), path)
        mode = os.stat(path).st_mode
    except OSError as error:
        raise UsageError(f"cannot read the auth file {path}: {error.strerror}") from None
    if mode & 0o007 and any(entry.get("auth") for entry in document.get("auths", {}).values()):
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


def _find_in(document: dict[str, Any], domain: str, path: str, source: str) -> Credential | None:
    """Look at the helper for the registry first, then at stored entries, then at the general helper."""
    keys = list(_keys(domain, path))
    helpers = {_normalise(key): value for key, value in document.get("credHelpers", {}).items()}
    for key in keys:
        if key in helpers:
            return ask_helper(helpers[key], _server_name(key), source)
    if store := document.get("credsStore"):
        credential = ask_helper(store, _server_name(_normalise(domain)), source)
        if credential:
            return credential
    entries = {_normalise(key): entry for key, entry in document.get("auths", {}).items()}
    for key in keys:
        if key in entries and (credential := _decode(entries[key], f"{source} ({key})")):
            return credential
    return None


def _keys(domain: str, path: str) -> Iterator[str]:
    """Yield the keys that match a repository, longest first."""
    host = _normalise(domain)
    parts = path.split("/")
    for count in range(len(parts), 0, -1):
        yield "/".join((host, *parts[:count]))
    yield host


def _normalise(key: str) -> str:
    """Return a key as host[:port][/path]; a key with a scheme stands for the whole host."""
    if "://" in key:
        key = urlsplit(key).netloc.rpartition("@")[2]
    host, slash, path = key.strip("/").partition("/")
    name, colon, port = host.lower().partition(":") if not host.startswith("[") else (host.lower(), "", "")
    host = name.rstrip(".") + colon + port
    if host in _DOCKER_HOSTS:
        host = "docker.io"
        if path in ("v1", "v2"):
            path = ""
    return f"{host}/{path}" if slash and path else host


def _server_name(key: str) -> str:
    return _DOCKER_KEY if key == "docker.io" else key


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


def ask_helper(name: object, server: str, source: str) -> Credential | None:
    """Return what `docker-credential-NAME get` answers for `server`, or None if it knows nothing.

    The helper is found in the user's PATH; it has 10 seconds and 64 KiB. Raises UsageError for a
    name that is not one, RegistryError if the helper is missing or fails.
    """
    if not isinstance(name, str) or not name or not _HELPER_CHARS.issuperset(name):
        raise UsageError(f'{source}: "{printable(str(name), 40)}" is not a credential helper')
    program = f"docker-credential-{name}"
    found = shutil.which(program)
    if not found:
        raise RegistryError(f"{source} names the credential helper {program}, which is not in PATH")
    status, output = _run_helper(found, program, server)
    if status != 0:
        if b"not found" in output:
            return None
        raise RegistryError(
            f"credential helper {program} failed for {printable(server)} with status {status}"
        )
    answer = jsonio.loads(output, what=f"the answer of {program}", limit=HELPER_BYTES)
    username = answer.get("Username") if isinstance(answer, dict) else None
    secret = answer.get("Secret") if isinstance(answer, dict) else None
    if not isinstance(username, str) or not isinstance(secret, str):
        raise InvalidData(f"the answer of {program} lacks Username or Secret")
    if not secret:
        return None
    if username == "<token>":  # docker-credential-helpers: the secret is an identity token
        return Credential(identity_token=secret, source=program)
    return Credential(username=username, secret=secret, source=program)


def _run_helper(path: str, program: str, server: str) -> tuple[int, bytes]:
    with subprocess.Popen(
        [path, "get"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(server.encode() + b"\n")
            process.stdin.close()
        except BrokenPipeError:
            pass  # it may answer without reading
        try:
            output = _read_within(process.stdout.fileno(), HELPER_SECONDS)
            return process.wait(HELPER_SECONDS), output
        except (TimeoutError, subprocess.TimeoutExpired):
            raise RegistryError(f"credential helper {program} did not answer in {HELPER_SECONDS} s") from None
        except InvalidData:
            raise RegistryError(
                f"credential helper {program} answered more than {HELPER_BYTES} bytes"
            ) from None
        finally:
            if process.poll() is None:
                process.kill()


def _read_within(fd: int, seconds: float) -> bytes:
    """Read to the end. Raises TimeoutError, or InvalidData past HELPER_BYTES."""
    deadline = time.monotonic() + seconds
    data = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            raise TimeoutError
        part = os.read(fd, HELPER_BYTES)
        if not part:
            return data
        data += part
        if len(data) > HELPER_BYTES:
            raise InvalidData("too much")
