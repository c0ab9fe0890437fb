"""Secrets on disk: small values that containers get without their being in any image or record.

    DATA/secrets/NAME    one JSON file: id, times, labels and, in base64, the value

The file is replaced as a whole and readable by its owner only, like everything below DATA; it is
not encrypted, as podman's driver `file` does not either. Writers hold one lock for the time of one
write; a file whose name begins with a dot is what one that was killed has left.
"""

from __future__ import annotations

import binascii
import os

from daemonless import failpoints, jsonio
from daemonless.clock import timestamp
from daemonless.config import Paths
from daemonless.errors import DaemonlessError, InvalidData, NameInUse, NotFound, UsageError, printable
from daemonless.files import Lock, make_private_directory, read_file, sync, unlink_if_there, write_atomic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

SCHEMA = 1
MAX_SIZE = 512_000 - 1  # bytes of a value; podman's bound
_MAX_NAME = 253
_ID_LENGTH = 25  # hex digits, as podman's
_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_REST = _FIRST | frozenset("_.-")


def is_name(text: str) -> bool:
    """Return whether the text is well formed as the name of a secret."""
    return bool(text) and text[0] in _FIRST and _REST.issuperset(text) and len(text) <= _MAX_NAME


def check_name(name: str) -> str:
    """Return the name of a secret; raises UsageError if it is none."""
    if not is_name(name):
        raise UsageError(
            f"{printable(name)!r} is not the name of a secret",
            f"names are up to {_MAX_NAME} letters, digits and _ . - and begin with a letter or a digit",
        )
    return name


class Secret:
    """One secret; its value stays in base64 until it is asked for, and no repr shows it."""

    def __init__(self, record: dict[str, Any]) -> None:
        self._record = record
        self.id: str = record["id"]
        self.name: str = record["name"]
        self.created: str = record["created"]
        self.updated: str = record["updated"]
        self.labels: dict[str, str] = record["labels"]

    @property
    def value(self) -> bytes:
        """The value itself."""
        return binascii.a2b_base64(self._record["value"])


class SecretStore:
    """All secrets below one data root."""

    def __init__(self, paths: Paths) -> None:
        self._data = paths.data
        self.directory = f"{paths.data}/secrets"

    def names(self) -> list[str]:
        """Return the names of all secrets, sorted."""
        try:
            return sorted(name for name in os.listdir(self.directory) if is_name(name))
        except FileNotFoundError:
            return []

    def secrets(self) -> list[Secret]:
        """Return all readable secrets, newest first; a broken one hides no other."""
        found = []
        for name in self.names():
            try:
                found.append(self.read(name))
            except (DaemonlessError, OSError):
                continue
        return sorted(found, key=lambda secret: secret.created, reverse=True)

    def broken(self) -> list[str]:
        """Return the names of the secrets that cannot be read."""
        result = []
        for name in self.names():
            try:
                self.read(name)
            except (InvalidData, OSError):
                result.append(name)
            except NotFound:
                continue
        return result

    def read(self, name: str) -> Secret:
        """Return the secret of exactly that name; raises NotFound, or InvalidData if it is broken."""
        path = f"{self.directory}/{name}"
        hint = f"remove it: daemonless secret rm {name}"
        try:
            record = jsonio.loads(read_file(path), what=path)
        except FileNotFoundError:
            raise NotFound(f"no such secret: {name}", "daemonless secret ls lists them") from None
        except InvalidData as error:
            raise InvalidData(error.message, hint) from None
        if not isinstance(record, dict) or record.get("schema") != SCHEMA:
            raise InvalidData(f"{path} is not of a version this daemonless knows", hint)
        try:
            return Secret(record)
        except KeyError:
            raise InvalidData(f"{path} does not hold what it should", hint) from None

    def find(self, text: str) -> Secret:
        """Return the secret of that name, id or unique beginning of an id.

        Raises NotFound, or UsageError for the beginning of several ids.
        """
        if is_name(text):
            if os.path.lexists(f"{self.directory}/{text}"):
                return self.read(text)
            matches = [secret for secret in self.secrets() if secret.id.startswith(text)]
            if len(matches) == 1:
                return matches[0]
            if matches:
                raise UsageError(f"secret id prefix {text} is ambiguous", "give more of the id")
        raise NotFound(f"no such secret: {printable(text)}", "daemonless secret ls lists them")

    def create(
        self, name: str, value: bytes, *, labels: Mapping[str, str], replace: bool = False
    ) -> tuple[Secret, bool]:
        """Store a secret durably; return it and whether it replaced one. Raises NameInUse, UsageError."""
        if not 0 < len(value) <= MAX_SIZE:
            raise UsageError(f"the secret has {len(value)} bytes, and must have 1 to {MAX_SIZE}")
        make_private_directory(self.directory)
        path = f"{self.directory}/{name}"
        now = timestamp()
        record = {
            "schema": SCHEMA,
            "id": os.urandom(13).hex()[:_ID_LENGTH],
            "name": name,
            "created": now,
            "updated": now,
            "labels": dict(labels),
            "value": binascii.b2a_base64(value, newline=False).decode(),
        }
        with Lock(f"{self._data}/secrets.lock"):
            self._sweep()
            exists = os.path.lexists(path)
            if exists and not replace:
                raise NameInUse(f"secret {name} exists already", "--replace gives it a new value")
            failpoints.reach("secret.write")
            write_atomic(path, jsonio.dumps(record).encode())
        return Secret(record), exists

    def remove(self, name: str) -> None:
        """Remove the secret of exactly that name, readable or not. Raises NotFound."""
        with Lock(f"{self._data}/secrets.lock"):
            failpoints.reach("secret.remove")
            try:
                os.unlink(f"{self.directory}/{name}")
            except FileNotFoundError:
                raise NotFound(f"no such secret: {name}", "daemonless secret ls lists them") from None
            self._sweep()
            sync(self.directory)

    def _sweep(self) -> None:
        for name in os.listdir(self.directory):
            if name[0] == ".":
                unlink_if_there(f"{self.directory}/{name}")
