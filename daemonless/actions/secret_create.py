"""secret create: store a value that containers are given and no record holds."""

from __future__ import annotations

import os

from daemonless import events
from daemonless.containers import grammar
from daemonless.errors import NotFound, Unsupported, UsageError, printable
from daemonless.secretstore import MAX_SIZE, SecretStore, check_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Store the content of a file, of the input or of a variable; print the secret's id."""
    if args.driver != "file":
        raise Unsupported(f"there is no secret driver {printable(args.driver)}", "the only driver is file")
    name = check_name(args.name)
    labels = dict(grammar.key_value(value, "--label") for value in args.label)
    store = SecretStore(args.paths)
    if args.ignore:
        try:
            print(store.read(name).id)
            return 0
        except NotFound:
            pass
    value = _variable(args.file) if args.env else _content(args.file)
    secret, replaced = store.create(name, value, labels=labels, replace=args.replace)
    if replaced:
        events.record(args.paths, "secret", "remove", name)
    events.record(args.paths, "secret", "create", secret.id, name=name)
    print(secret.id)
    return 0


def _variable(name: str) -> bytes:
    value = os.environb.get(os.fsencode(name))
    if value is None:
        raise UsageError(f"the variable {printable(name)} is not set", "export it, or leave out --env")
    return value


def _content(path: str) -> bytes:
    """Read a file, or the input for `-`, one byte at most beyond what a secret may have."""
    if path == "-":
        return _read(0)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"cannot read {printable(path)}: {error.strerror}") from error
    try:
        return _read(fd)
    except IsADirectoryError:
        raise UsageError(f"cannot read {printable(path)}: it is a directory") from None
    finally:
        os.close(fd)


def _read(fd: int) -> bytes:
    parts: list[bytes] = []
    left = MAX_SIZE + 1
    while left and (part := os.read(fd, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
