"""Fixtures: the installed command, a starter image, a registry, a terminal, and no leftovers.

`DAEMONLESS` names the command to test; without it, the one on PATH. A missing prerequisite is an
error, not a skip: a run that tested less than it should must not look like a success.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Cli, Terminal, adopt_orphans, eventually, is_ours, kill_all
from lanes import REPORT, table
from tokenserver import TokenServer

STARTER = "daemonless.local/starter-busybox"

# These need a systemd that has booted: scripts/vm
collect_ignore = [] if os.environ.get("DAEMONLESS_VM") else ["vm"]


TABLES: dict[str, list[str]] = {}  # what tests found out, to be printed at the end


def pytest_configure(config: pytest.Config) -> None:
    adopt_orphans()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was injected and what came of it, whatever else is shown."""
    for title, lines in TABLES.items():
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.write_line(line)
    if REPORT:
        terminalreporter.section("faults")
        for line in table():
            terminalreporter.write_line(line)


@pytest.fixture(scope="session", autouse=True)
def prerequisites() -> None:
    assert os.getuid() != 0, "integration tests are for an unprivileged user: ./scripts/test integration"
    missing = [
        name
        for name in ("newuidmap", "slirp4netns", "busybox", "tmux", "skopeo", "docker-registry", "strace")
        if not shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
    ]
    assert not missing, f"not installed: {' '.join(missing)}; run ./scripts/test, which installs them"
    assert os.access("/dev/net/tun", os.R_OK | os.W_OK), "/dev/net/tun is not usable: ./scripts/prepare-user"


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A directory with a short path, removed with what subordinate ids own in it."""
    # hex digits: mkdtemp's names may be no part of an image's name, which a pull from a directory gives
    directory = Path(tempfile.gettempdir()) / f"dl-{os.urandom(5).hex()}"
    directory.mkdir(mode=0o700)
    yield directory
    # layers and upper directories belong to ids that only a user namespace can act for
    subprocess.run(
        ["unshare", "--map-root-user", "--map-auto", "rm", "-rf", str(directory)], check=True, timeout=120
    )


def make_cli(directory: Path) -> Cli:
    program = os.environ.get("DAEMONLESS") or shutil.which("daemonless")
    assert program and os.access(program, os.X_OK), "no daemonless to test: set DAEMONLESS"
    env = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(directory / "home"),
        "XDG_RUNTIME_DIR": str(directory / "xdg"),
        "XDG_CACHE_HOME": str(directory / "cache"),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
    }
    for name in ("home", "xdg", "cache"):
        (directory / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    return Cli(os.path.abspath(program), directory / "root", directory / "run", env)


@pytest.fixture(scope="session")
def session_cli(scratch: Path) -> Cli:
    cli = make_cli(scratch / "session")
    cli("run", "--rm", "--network=none", STARTER, "true")
    return cli


def leaves_nothing(cli: Cli) -> None:
    """Remove all containers and fail if anything of them stays."""
    try:
        cli.remove_all()
        left = cli.leftovers()
        assert not left, "left behind:\n" + "\n".join(left)
    finally:
        kill_all()


@pytest.fixture
def cli(session_cli: Cli) -> Iterator[Cli]:
    """The command with the images of the session; every container is gone after the test."""
    yield session_cli
    leaves_nothing(session_cli)


@pytest.fixture
def fresh(scratch: Path, request: pytest.FixtureRequest) -> Iterator[Cli]:
    """The command of a user who has never used it; for tests that break or fill the storage."""
    directory = Path(tempfile.mkdtemp(prefix="fresh-", dir=scratch))
    cli = make_cli(directory)
    yield cli
    leaves_nothing(cli)


@pytest.fixture(scope="session")
def image() -> str:
    """The built-in starter image: this machine's static busybox."""
    return STARTER


@pytest.fixture
def terminal(cli: Cli, scratch: Path) -> Iterator[Terminal]:
    """A shell in a real terminal of 100 columns and 30 lines."""
    shell = Terminal(cli, Path(tempfile.mkdtemp(prefix="tmux-", dir=scratch)) / "socket")
    yield shell
    shell.close()


# --- registries -----------------------------------------------------------------------------

_REGISTRY_CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {directory}/data}}, delete: {{enabled: true}}}}
http:
  addr: 127.0.0.1:{port}
{more}
"""


class Registry:
    """A docker-registry process on loopback."""

    def __init__(self, directory: Path, more: str = "", port: int = 0) -> None:
        self.directory = directory
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            self.port: int = probe.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        config = directory / "config.yml"
        config.write_text(_REGISTRY_CONFIG.format(directory=directory, port=self.port, more=more))
        with open(directory / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["/usr/bin/docker-registry", "serve", str(config)], stdout=log, stderr=log, cwd=directory
            )
        is_ours(self.process.pid)
        eventually(self._answers, 20, "docker-registry does not answer")

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.directory / "log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def push(self, layout: Path, name: str) -> str:
        """Push the image of an OCI layout with skopeo; return how to name it."""
        where = f"{self.address}/{name}"
        command = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]
        subprocess.run([*command, f"oci:{layout}:latest", f"docker://{where}"], check=True, timeout=60)
        return where

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture
def token_server(tmp_path: Path) -> Iterator[TokenServer]:
    server = TokenServer(tmp_path)
    yield server
    server.close()


@pytest.fixture
def bearer_registry(scratch: Path, token_server: TokenServer) -> Iterator[Registry]:
    """Plain http on loopback; demands a token of the token server."""
    directory = Path(tempfile.mkdtemp(prefix="bearer-", dir=scratch))
    server = Registry(directory, token_server.registry_settings())
    yield server
    server.close()


@pytest.fixture(scope="session")
def registry(scratch: Path) -> Iterator[Registry]:
    """Plain http on loopback, no credentials."""
    server = Registry(Path(tempfile.mkdtemp(prefix="registry-", dir=scratch)))
    yield server
    server.close()


@pytest.fixture(scope="session")
def private_registry(scratch: Path) -> Iterator[Registry]:
    """TLS with a certificate of its own (`directory`/ca.pem) and basic auth, user "u", password "p"."""
    directory = Path(tempfile.mkdtemp(prefix="private-", dir=scratch))
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *(
                "-subj",
                "/CN=127.0.0.1",
                "-addext",
                "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:private.test",
            ),
            *("-keyout", str(directory / "key.pem"), "-out", str(directory / "ca.pem")),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    subprocess.run(
        ["htpasswd", "-Bbc", str(directory / "htpasswd"), "u", "p"], check=True, capture_output=True
    )
    server = Registry(
        directory,
        f"  tls: {{certificate: {directory}/ca.pem, key: {directory}/key.pem}}\n"
        f"auth: {{htpasswd: {{realm: test, path: {directory}/htpasswd}}}}\n",
    )
    yield server
    server.close()
