"""Whose password goes to which registry (CVE-2021-41092), and how helpers are bounded."""

import base64
import json
import os

import pytest

from daemonless.errors import InvalidData, UsageError
from daemonless.registry import credential_helpers
from daemonless.registry.credentials import Credential, find_credential, parse_creds
from daemonless.registry.errors import RegistryError


def auth(user, secret="pw"):
    return {"auth": base64.b64encode(f"{user}:{secret}".encode()).decode()}


@pytest.fixture
def home(tmp_path):
    (tmp_path / ".docker").mkdir()
    return tmp_path


def find(home, document, domain, path="library/app", **env):
    file = home / ".docker/config.json"
    file.write_text(json.dumps(document))
    file.chmod(0o600)
    found = find_credential(domain, path, env={"HOME": str(home), **env})
    return found and (found.username or found.identity_token)


AUTHS = {
    "registry.example": auth("host"),
    "registry.example/team": auth("team"),
    "registry.example/team/app": auth("app"),
    "registry.example:5000": auth("port"),
    "https://index.docker.io/v1/": auth("docker"),
    "https://Quay.IO./v2/": auth("quay"),
}


@pytest.mark.parametrize(
    ("domain", "path", "expected"),
    [
        ("registry.example", "other/app", "host"),
        ("registry.example", "team/other", "team"),
        ("registry.example", "team/app", "app"),
        ("registry.example", "team/app/deeper", "app"),
        ("registry.example", "teamwork/app", "host"),
        ("registry.example:5000", "team/app", "port"),
        ("registry.example:5001", "team/app", None),
        ("example", "team/app", None),
        ("evil-registry.example", "team/app", None),
        ("registry.example.evil", "team/app", None),
        ("docker.io", "library/app", "docker"),
        ("quay.io", "app", "quay"),
    ],
)
def test_the_longest_matching_key_wins_and_no_other_host_gets_it(home, domain, path, expected):
    assert find(home, {"auths": AUTHS}, domain, path) == expected


def test_an_identity_token(home):
    assert find(home, {"auths": {"r.example": {"identitytoken": "tok"}}}, "r.example") == "tok"


def test_the_order_of_the_sources(home, tmp_path):
    def write(path, user):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"auths": {"r.example": auth(user)}}))
        path.chmod(0o600)

    env = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run")}
    write(home / ".docker/config.json", "docker")
    assert find_credential("r.example", "a", env=env).username == "docker"
    write(home / ".config/containers/auth.json", "config")
    assert find_credential("r.example", "a", env=env).username == "config"
    write(home / "run/containers/auth.json", "run")
    assert find_credential("r.example", "a", env=env).username == "run"
    env["DOCKER_AUTH_CONFIG"] = json.dumps({"auths": {"r.example": auth("variable")}})
    assert find_credential("r.example", "a", env=env).username == "variable"
    write(home / "given.json", "given")
    env["REGISTRY_AUTH_FILE"] = str(home / "given.json")
    assert find_credential("r.example", "a", env=env).username == "given"
    write(home / "option.json", "option")
    assert find_credential("r.example", "a", authfile=str(home / "option.json"), env=env).username == "option"
    assert find_credential("other.example", "a", authfile=str(home / "option.json"), env=env) is None


def test_a_given_file_must_exist(home):
    with pytest.raises(UsageError, match="does not exist"):
        find_credential("r.example", "a", authfile=str(home / "none"), env={})


def test_passwords_that_everybody_can_read_are_refused(home):
    file = home / ".docker/config.json"
    file.write_text(json.dumps({"auths": {"r.example": auth("me")}}))
    file.chmod(0o644)
    with pytest.raises(UsageError, match="every user") as caught:
        find_credential("r.example", "a", env={"HOME": str(home)})
    assert "chmod 600" in caught.value.hint
    file.write_text(json.dumps({"auths": {"r.example": {}}}))
    assert find_credential("r.example", "a", env={"HOME": str(home)}) is None


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"auths": []},
        {"auths": {"r.example": "x"}},
        {"credHelpers": 1},
        {"auths": {"r.example": {"auth": "%"}}},
    ],
)
def test_damaged_files(home, document):
    with pytest.raises(InvalidData):
        find(home, document, "r.example")


def test_creds():
    assert parse_creds("me:a:b") == Credential(username="me", secret="a:b", source="--creds", explicit=True)
    for text in ("canary", ":canary", ""):
        with pytest.raises(UsageError) as caught:
            parse_creds(text)
        assert "canary" not in caught.value.message


def test_a_credential_does_not_print_its_secret():
    assert "canary" not in repr(Credential(username="me", secret="canary", identity_token="canary"))


# --- helpers ---


@pytest.fixture
def helper(tmp_path, monkeypatch):
    """Install docker-credential-test, whose body a test gives; what it reads goes to `asked`."""

    def install(body):
        program = tmp_path / "bin/docker-credential-test"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\nread server; echo $1 $server >> {tmp_path}/asked\n{body}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        return tmp_path / "asked"

    return install


def test_a_helper_is_asked_for_its_own_registry_only(home, helper):
    asked = helper('echo \'{"Username":"me","Secret":"pw"}\'')
    document = {"credHelpers": {"r.example": "test"}, "auths": {"other.example": auth("stored")}}
    assert find(home, document, "r.example") == "me"
    assert find(home, document, "other.example") == "stored"
    assert asked.read_text() == "get r.example\n"


def test_a_general_helper(home, helper):
    asked = helper('echo \'{"Username":"<token>","Secret":"idtok"}\'')
    assert find(home, {"credsStore": "test"}, "docker.io") == "idtok"
    assert asked.read_text() == "get https://index.docker.io/v1/\n"


def test_a_general_helper_that_knows_nothing_leaves_the_stored_entry(home, helper):
    helper("echo credentials not found in native keychain; exit 1")
    assert find(home, {"credsStore": "test", "auths": {"r.example": auth("stored")}}, "r.example") == "stored"


@pytest.mark.parametrize("name", ["../x", "/bin/sh", "a b", "", "A", "x;y", 3])
def test_helper_names(home, name):
    with pytest.raises(UsageError, match="not a credential helper"):
        find(home, {"credHelpers": {"r.example": name}}, "r.example")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("exit 3", "status 3"),
        ("exec cat /dev/zero", "answered more than"),
        ("exec sleep 60", "did not answer"),
        ("echo nonsense", "not valid JSON"),
        ("echo '{}'", "lacks Username"),
    ],
)
def test_helpers_that_misbehave(home, helper, monkeypatch, body, error):
    monkeypatch.setattr(credential_helpers, "SECONDS", 0.3)
    helper(body)
    with pytest.raises((RegistryError, InvalidData), match=error):
        find(home, {"credHelpers": {"r.example": "test"}}, "r.example")


def test_a_missing_helper(home):
    with pytest.raises(RegistryError, match="not in PATH"):
        find(home, {"credHelpers": {"r.example": "nonesuch"}}, "r.example")
