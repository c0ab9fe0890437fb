"""Programs that keep credentials for others: docker-credential-NAME get, store and erase.

The protocol of docker/docker-credential-helpers: the verb is the only argument, everything else,
secrets above all, goes through its input and output. Helpers are found in the user's PATH, get
`SECONDS` for an answer and are read up to `MAX_BYTES`.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from typing import Any

from daemonless import jsonio
from daemonless.errors import InvalidData, UsageError, printable
from daemonless.registry.errors import RegistryError

SECONDS = 10
MAX_BYTES = 64 << 10
TOKEN_USER = "<token>"  # the user name under which an identity token is kept
_CHARS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")


def get(name: object, server: str, source: str) -> tuple[str, str] | None:
    """Return user name and secret that helper `name` has for `server`, or None if it knows nothing.

    `source` is the file that names the helper. Raises UsageError for a name that is not one,
    RegistryError if the helper is missing, fails or hangs, InvalidData for an unusable answer.
    """
    program, path = _find(name, source)
    status, output = _run(path, program, "get", server.encode() + b"\n")
    if status != 0:
        if b"not found" in output:
            return None
        raise _failed(program, server, status)
    answer: Any = jsonio.loads(output, what=f"the answer of {program}", limit=MAX_BYTES)
    username = answer.get("Username") if isinstance(answer, dict) else None
    secret = answer.get("Secret") if isinstance(answer, dict) else None
    if not isinstance(username, str) or not isinstance(secret, str):
        raise InvalidData(f"the answer of {program} lacks Username or Secret")
    return (username, secret) if secret else None


def store(name: object, server: str, username: str, secret: str, source: str) -> None:
    """Hand a credential for `server` to helper `name`; errors as for `get`."""
    program, path = _find(name, source)
    entry = jsonio.dumps({"ServerURL": server, "Username": username, "Secret": secret}).encode()
    if len(entry) >= MAX_BYTES:
        raise UsageError(f"the credential is too long for {program}")
    status, _ = _run(path, program, "store", entry)
    if status != 0:
        raise _failed(program, server, status)


def erase(name: object, server: str, source: str) -> None:
    """Let helper `name` forget `server`, which it may not know; errors as for `get`."""
    program, path = _find(name, source)
    status, output = _run(path, program, "erase", server.encode() + b"\n")
    if status != 0 and b"not found" not in output:
        raise _failed(program, server, status)


def program_name(name: object) -> str:
    """Return how helper `name` is called."""
    return f"docker-credential-{name}"


def _find(name: object, source: str) -> tuple[str, str]:
    if not isinstance(name, str) or not name or not _CHARS.issuperset(name):
        raise UsageError(f'{source}: "{printable(str(name), 40)}" is not a credential helper')
    program = program_name(name)
    path = shutil.which(program)
    if not path:
        raise RegistryError(
            f"{source} names the credential helper {program}, which is not in PATH",
            "install it, or take its name out of credHelpers and credsStore of that file",
        )
    return program, path


def _failed(program: str, server: str, status: int) -> RegistryError:
    return RegistryError(f"credential helper {program} failed for {printable(server)} with status {status}")


def _run(path: str, program: str, verb: str, said: bytes) -> tuple[int, bytes]:
    with subprocess.Popen(
        [path, verb], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(said)  # less than a pipe holds: this waits for nobody
            process.stdin.close()
        except BrokenPipeError:
            pass  # it may answer without reading
        try:
            output = _read_within(process.stdout.fileno(), SECONDS)
            return process.wait(SECONDS), output
        except (TimeoutError, subprocess.TimeoutExpired):
            raise RegistryError(f"credential helper {program} did not answer in {SECONDS} s") from None
        except InvalidData:
            raise RegistryError(f"credential helper {program} answered more than {MAX_BYTES} bytes") from None
        finally:
            if process.poll() is None:
                process.kill()


def _read_within(fd: int, seconds: float) -> bytes:
    """Read to the end. Raises TimeoutError, or InvalidData past MAX_BYTES."""
    deadline = time.monotonic() + seconds
    data = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            raise TimeoutError
        part = os.read(fd, MAX_BYTES)
        if not part:
            return data
        data += part
        if len(data) > MAX_BYTES:
            raise InvalidData("too much")
