"""login and logout against docker-registry: with a password file, and with a token server.

What is written where is in tests/registry/test_logins.py; that no secret gets anywhere else is in
test_secrecy.py.
"""

from __future__ import annotations

import base64
import json
import subprocess
import tempfile
from pathlib import Path

import pytest
from conftest import Registry
from harness import Cli, Terminal
from layouts import busybox_layer, make_layout
from tokenserver import PASSWORD, REFRESH, USER, TokenServer

NONE = ("run", "--rm", "--network=none")


def authfile(cli: Cli) -> Path:
    return Path(cli.env["HOME"]) / ".config/containers/auth.json"


def certificates(cli: Cli, registry: Registry) -> str:
    directory = Path(cli.env["HOME"]) / "certificates"
    directory.mkdir(exist_ok=True)
    (directory / "ca.crt").write_bytes((registry.directory / "ca.pem").read_bytes())
    return f"--cert-dir={directory}"


def store(cli: Cli, registry: Registry, **entry: str) -> None:
    """Write an auth file as another tool would."""
    authfile(cli).parent.mkdir(parents=True)
    authfile(cli).write_text(json.dumps({"auths": {registry.address: entry}}))
    authfile(cli).chmod(0o600)


def test_what_the_registry_accepts_is_kept_and_used(fresh: Cli, private_registry: Registry) -> None:
    address, trust = private_registry.address, certificates(fresh, private_registry)
    done = fresh("login", "--username=u", "--password-stdin", trust, address, input="p\n")
    assert done.stdout == "Login Succeeded!\n"
    assert done.stderr == f"The credentials are in {authfile(fresh)}\n"
    assert authfile(fresh).stat().st_mode & 0o777 == 0o600
    assert json.loads(authfile(fresh).read_text()) == {
        "auths": {address: {"auth": base64.b64encode(b"u:p").decode()}}
    }
    assert fresh("login", "--get-login", address).stdout == "u\n"
    again = fresh("login", trust, address)
    assert again.stdout == f"Existing credentials are valid. Already logged in to {address}\n"
    missing = fresh("pull", "--tls-verify=false", f"{address}/none", status=125)
    assert "does not exist" in missing.stderr
    assert fresh("logout", address).stdout == f"Removed login credentials for {address}\n"
    assert json.loads(authfile(fresh).read_text()) == {"auths": {}}
    assert fresh("logout", address, status=125).stderr == f"Error: not logged in to {address}\n"
    assert f"not logged in to {address}" in fresh("login", "--get-login", address, status=125).stderr


def test_what_the_registry_refuses_is_not_kept(fresh: Cli, private_registry: Registry) -> None:
    address, trust = private_registry.address, certificates(fresh, private_registry)
    for words in (("-u", "u", "-p", "canary"), ("-u", "nobody", "-p", "p")):
        done = fresh("login", *words, trust, f"https://{address}/", status=125)
        assert done.stdout == ""
        assert f"registry {address} refused the credentials" in done.stderr
        assert "nothing was stored" in done.stderr
        assert "canary" not in done.stderr
    assert not authfile(fresh).exists()
    fresh("login", "-u", "u", "-p", "p", trust, address)
    before = authfile(fresh).read_bytes()
    fresh("login", "-u", "u", "-p", "wrong", trust, address, status=125)
    assert authfile(fresh).read_bytes() == before


def test_a_registry_that_is_not_there_keeps_nothing(fresh: Cli) -> None:
    done = fresh("login", "-u", "u", "--password-stdin", "127.0.0.1:1", input="p", status=125)
    assert "cannot reach registry 127.0.0.1:1" in done.stderr
    assert not authfile(fresh).exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--password-stdin",), "--password-stdin needs a user name"),
        (("-u", "u"), "no terminal to ask"),
        ((), "no terminal to ask"),
        (("-u", "u", "-p", "x", "--password-stdin"), "exclude each other"),
        (("-u", "a:b", "--password-stdin"), "without a colon"),
        (("-u", "u", "--password-stdin"), "the password is empty"),
        (("-u", "u", "--password-stdin", "no/such:tag"), "is not a registry"),
        (("--authfile=x", "--compat-auth-file=y"), "exclude each other"),
    ],
)
def test_mistakes(fresh: Cli, words: tuple[str, ...], said: str) -> None:
    target = () if words and words[-1].endswith(":tag") else ("127.0.0.1:1",)
    assert said in fresh("login", *words, *target, input="\n", status=125).stderr


def test_a_registry_that_does_not_ask(fresh: Cli, registry: Registry) -> None:
    done = fresh("login", "-u", "u", "--password-stdin", registry.address, input="p")
    assert "did not ask for the credentials" in done.stderr
    assert done.stdout == "Login Succeeded!\n"


def test_at_a_terminal(cli: Cli, private_registry: Registry, terminal: Terminal) -> None:
    address, trust = private_registry.address, certificates(cli, private_registry)
    terminal.type(f"daemonless login {trust} {address}")
    terminal.wait_for("^Username:$")
    terminal.type("u")
    terminal.wait_for("^Password:$")
    terminal.type("p")
    terminal.wait_for("^Password:\nLogin Succeeded!$")
    terminal.type(f"daemonless logout {address}")
    terminal.wait_for("^Removed login")
    terminal.type(f"clear; daemonless login -u u {trust} {address}")
    terminal.wait_for(r"\A\s*Password:$")
    terminal.press("C-c")
    terminal.wait_for(r"^Password:\nready>")
    assert " echo " in terminal.modes()
    terminal.type("echo status $?")
    terminal.wait_for("^status 130$")


# --- token servers ---


def test_a_token_server(
    fresh: Cli, bearer_registry: Registry, token_server: TokenServer, tmp_path: Path
) -> None:
    address = bearer_registry.address
    refused = fresh("login", "-u", USER, "--password-stdin", address, input="wrong", status=125)
    assert "refused the credentials" in refused.stderr
    done = fresh("login", "-u", USER, "--password-stdin", "-v", address, input=PASSWORD)
    assert f"Checked by: {token_server.realm.removesuffix('/token')}\n" in done.stdout
    pushed = f"{address}/team/app"
    _push(make_layout(tmp_path / "layout", [busybox_layer()]), pushed)
    assert fresh(*NONE, pushed, "echo", "hi").stdout == "hi\n"
    fresh("logout", address)
    assert "demands credentials" in fresh("pull", pushed, status=125).stderr


def _push(layout: Path, name: str) -> None:
    subprocess.run(
        [
            *("skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"),
            *(f"--dest-creds={USER}:{PASSWORD}", f"oci:{layout}:latest", f"docker://{name}"),
        ],
        check=True,
        timeout=60,
    )


def test_another_token_server_than_at_login_gets_nothing(
    fresh: Cli, bearer_registry: Registry, token_server: TokenServer, tmp_path: Path, scratch: Path
) -> None:
    fresh("login", "-u", USER, "--password-stdin", bearer_registry.address, input=PASSWORD)
    bearer_registry.close()
    (tmp_path / "thief").mkdir()
    thief = TokenServer(tmp_path / "thief")
    directory = Path(tempfile.mkdtemp(prefix="thief-", dir=scratch))
    moved = Registry(directory, thief.registry_settings(), port=bearer_registry.port)
    try:
        done = fresh("pull", f"{moved.address}/team/app", status=125)
        assert thief.seen == []
        assert "they were not sent" in done.stderr
        assert len(done.stderr.splitlines()) == 3, done.stderr
        assert thief.realm.removesuffix("/token") in done.stderr
        fresh("login", "-u", USER, "--password-stdin", moved.address, input=PASSWORD)
        assert "does not exist" in fresh("pull", f"{moved.address}/team/app", status=125).stderr
    finally:
        moved.close()
        thief.close()


def test_an_identity_token(fresh: Cli, bearer_registry: Registry, token_server: TokenServer) -> None:
    store(fresh, bearer_registry, identitytoken=REFRESH)
    assert fresh("login", "--get-login", bearer_registry.address).stdout == "<token>\n"
    assert "does not exist" in fresh("pull", f"{bearer_registry.address}/none", status=125).stderr
    assert REFRESH in token_server.seen[-1]


# --- helpers ---


def test_a_missing_helper_is_one_line(fresh: Cli, private_registry: Registry) -> None:
    authfile(fresh).parent.mkdir(parents=True)
    authfile(fresh).write_text(json.dumps({"credsStore": "nonesuch"}))
    words = ("-u", "u", "--password-stdin", certificates(fresh, private_registry))
    done = fresh("login", *words, private_registry.address, input="p", status=125)
    assert [line.partition(" ")[0] for line in done.stderr.splitlines()] == ["Error:", "Hint:"]
    assert "docker-credential-nonesuch, which is not in PATH" in done.stderr
