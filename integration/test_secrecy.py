"""A secret is where it belongs and nowhere else, whatever is done with it (shared invariants, section 4).

Two canaries, a password and a secret of `secret create`, go through everything that handles them.
Then all that was printed with --log-level=debug, every command line and environment seen meanwhile and
every file that was written are searched for them, and for what they look like in base64.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Registry
from harness import Cli
from layouts import busybox_layer, make_layout
from tokenserver import PASSWORD, USER, TokenServer

SECRET = "canary-secret-93ce"
TOKEN = b"eyJ0eXAiOiJKV1Qi"  # how a JSON Web Token of the token server begins
CANARIES = (
    PASSWORD.encode(),
    base64.b64encode(f"{USER}:{PASSWORD}".encode()),
    SECRET.encode(),
    base64.b64encode(SECRET.encode()),
    TOKEN,
)


class Watcher:
    """Looks at the command lines and environments of this user's processes, all the time."""

    def __init__(self) -> None:
        self.looked_at: set[bytes] = set()
        self.found: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(0.002):
            for entry in os.listdir("/proc"):
                if entry.isdigit() and int(entry) != os.getpid():
                    for name in ("cmdline", "environ"):
                        self._look_at(f"/proc/{entry}/{name}")

    def _look_at(self, path: str) -> None:
        try:
            data = Path(path).read_bytes()
        except OSError:
            return
        self.looked_at.add(data)
        if b"\0container=daemonless\0" in data:  # the container's own process, which was to have it
            data = data.replace(f"\0WORD={SECRET}\0".encode(), b"")
        self.found += [f"{path}: {data[:200]!r}" for canary in CANARIES if canary in data]

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    found = Watcher()
    yield found
    found.close()


def files_with_canaries(top: Path) -> list[str]:
    """Return the paths below a directory that hold one, also compressed."""
    found = []
    for directory, _, names in os.walk(top):
        for name in names:
            path = Path(directory, name)
            try:
                data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            except OSError:
                continue  # of another id, or gone
            if data.startswith(b"\x1f\x8b"):
                data = gzip.decompress(data)
            if any(canary in data for canary in CANARIES):
                found.append(str(path.relative_to(top)))
    return sorted(found)


def test_canaries_stay_where_they_belong(
    fresh: Cli, bearer_registry: Registry, token_server: TokenServer, watcher: Watcher, tmp_path: Path
) -> None:
    cli, address = fresh, bearer_registry.address
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    cli.env["TMPDIR"] = str(temporary)
    said: list[str] = []

    def do(*words: str, status: int = 0, input: str | None = None) -> str:
        # not by cli(), which takes the traceback that debugging prints for a mistake
        done = subprocess.run(
            [cli.program, "--log-level=debug", *words],
            input=input or "",
            capture_output=True,
            text=True,
            timeout=60,
            env=cli.environment(),
        )
        said.extend((done.stdout, done.stderr))
        assert done.returncode == status, (words, done.stdout, done.stderr)
        return done.stdout

    do("login", "--username", USER, "--password-stdin", address, input="wrong", status=125)
    do("login", "--username", USER, "--password-stdin", address, input=PASSWORD)
    do("login", "--get-login", address)
    do("secret", "create", "word", "-", input=SECRET)
    layout = make_layout(tmp_path / "layout", [busybox_layer()])
    do("pull", "--quiet", f"oci:{layout}")
    do("tag", f"localhost{layout}", f"{address}/app:1")
    do("push", f"{address}/app:1")
    do("rmi", f"{address}/app:1", f"localhost{layout}")
    do("pull", f"{address}/app:1")
    name = ("--name=box", "--network=none")
    both = ("--secret=word", "--secret=word,type=env,target=WORD")
    script = "test $WORD = $(cat /run/secrets/word) && test $WORD != x && echo seen"
    assert do("run", *name, *both, f"{address}/app:1", "sh", "-c", script) == "seen\n"
    do("start", "--attach", "box")
    for words in (
        ("inspect", "box"),
        ("secret", "inspect", "word"),
        ("logs", "box"),
        ("diff", "box"),
        ("ps", "-a"),
    ):
        do(*words)
    do("commit", "box", f"{address}/made:1")
    do("push", f"{address}/made:1")
    do("save", "--output", str(tmp_path / "saved.tar"), f"{address}/made:1")
    do("export", "--output", str(tmp_path / "exported.tar"), "box")
    do("history", "--no-trunc", f"{address}/made:1")
    do("inspect", f"{address}/made:1")
    do("events", "--stream=false", "--since=1h", "--format=json")
    token_server.close()
    do("pull", "--retry=0", f"{address}/made:1", status=125)
    do("push", "--retry=0", f"{address}/made:1", status=125)
    do("rm", "box")
    watcher.close()

    assert not [text for text in said for canary in CANARIES if canary.decode() in text]
    assert not watcher.found
    assert any(cli.program.encode() in data and b"\0push\0" in data for data in watcher.looked_at)
    assert files_with_canaries(cli.root) == ["secrets/word"]
    for place in (cli.runroot, Path(cli.env["XDG_CACHE_HOME"]), temporary, bearer_registry.directory):
        assert files_with_canaries(place) == []
    home = Path(cli.env["HOME"])
    assert files_with_canaries(home) == [".config/containers/auth.json"]
    assert files_with_canaries(tmp_path) == []
    assert json.loads((home / ".config/containers/auth.json").read_text())["auths"].keys() == {address}


def test_the_search_finds_what_it_looks_for(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"x" + SECRET.encode())
    (tmp_path / "packed").write_bytes(gzip.compress(CANARIES[1]))
    (tmp_path / "other").write_bytes(b"nothing")
    assert files_with_canaries(tmp_path) == ["packed", "plain"]
