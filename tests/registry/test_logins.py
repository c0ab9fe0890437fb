"""What login and logout write, where, and what they leave alone."""

import base64
import json
import os
import threading

import pytest

from daemonless.errors import InvalidData, UsageError
from daemonless.registry import realms
from daemonless.registry.credentials import Credential, find_credential
from daemonless.registry.logins import forget_all_logins, forget_login, parse_key, store_login

REALM = "https://auth.example:443"


def credential(user="me", secret="pw", realm=REALM):
    return Credential(username=user, secret=secret, realm=realm)


def auth(user, secret="pw"):
    return {"auth": base64.b64encode(f"{user}:{secret}".encode()).decode()}


@pytest.fixture
def env(tmp_path):
    return {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}


@pytest.fixture
def lasting(tmp_path):
    return tmp_path / ".config/containers/auth.json"


def write(path, document, mode=0o600):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    path.chmod(mode)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("docker.io", ("docker.io", "")),
        ("https://index.docker.io/v1/", ("docker.io", "")),
        ("quay.io", ("quay.io", "")),
        ("https://Quay.IO/", ("quay.io", "")),
        ("registry", ("registry", "")),
        ("localhost:5000", ("localhost:5000", "")),
        ("[::1]:5000", ("[::1]:5000", "")),
        ("quay.io/team/app", ("quay.io", "team/app")),
    ],
)
def test_keys(text, key):
    assert parse_key(text) == key


@pytest.mark.parametrize(
    "text",
    ["", "/", "quay.io/team/app:1", "quay.io/app:latest", "quay.io/a@sha256:" + "0" * 64, "a b", "q/../x"],
)
def test_what_is_no_key(text):
    with pytest.raises(UsageError, match="is not a registry"):
        parse_key(text)


def test_a_login_lasts_longer_than_the_session_and_is_private(env, lasting, tmp_path):
    previous = os.umask(0)
    try:
        place = store_login("r.example", "", credential(), env=env)
    finally:
        os.umask(previous)
    assert place == str(lasting)
    assert json.loads(lasting.read_text()) == {"auths": {"r.example": auth("me")}}
    assert lasting.stat().st_mode & 0o777 == 0o600
    assert lasting.parent.stat().st_mode & 0o777 == 0o700
    assert not (tmp_path / "run").exists()
    assert find_credential("r.example", "a", env=env) == Credential(
        username="me", secret="pw", source=f"{lasting} (r.example)", realm=REALM
    )


def test_what_others_wrote_stays(env, lasting):
    others = {
        "auths": {"other.example": auth("you"), "https://index.docker.io/v1/access-token": {"x": 1.5}},
        "credHelpers": {"x.example": "nonesuch"},
        "HttpHeaders": {"Ünicode": [1, None, True]},
    }
    write(lasting, others)
    store_login("docker.io", "", credential(), env=env)
    assert find_credential("docker.io", "library/a", env=env).username == "me"
    forget_login("docker.io", "", env=env)
    assert json.loads(lasting.read_text()) == others


def test_a_second_login_replaces_the_first_however_it_was_spelled(env, lasting):
    team = {"docker.io/team": auth("team")}
    write(lasting, {"auths": {"https://index.docker.io/v1/": auth("old"), **team}})
    store_login("docker.io", "", credential(), env=env)
    assert json.loads(lasting.read_text())["auths"] == {"docker.io": auth("me"), **team}


def test_a_part_of_a_registry(env):
    store_login("r.example", "", credential("all"), env=env)
    store_login("r.example", "team/app", credential("app"), env=env)
    assert find_credential("r.example", "team/app", env=env).username == "app"
    assert find_credential("r.example", "team/other", env=env).username == "all"
    assert forget_login("r.example", "team/app", env=env)
    assert find_credential("r.example", "team/app", env=env).username == "all"
    assert not forget_login("r.example", "team/app", env=env)


def test_it_is_written_where_it_would_be_found_first(env, lasting, tmp_path):
    session = tmp_path / "run/containers/auth.json"
    write(session, {"auths": {"r.example": auth("old")}})
    assert store_login("r.example", "team", credential(), env=env) == str(session)
    assert store_login("r.examplelonger", "", credential(), env=env) == str(lasting)
    assert find_credential("r.example", "team/app", env=env).username == "me"
    assert forget_login("r.example", "team", env=env)


def test_given_files(env, lasting, tmp_path):
    named = tmp_path / "new/directory/auth.json"
    assert store_login("r.example", "", credential(), authfile=str(named), env=env) == str(named)
    variable = {**env, "REGISTRY_AUTH_FILE": str(tmp_path / "variable.json")}
    store_login("r.example", "", credential(), env=variable)
    assert find_credential("r.example", "", env=variable).username == "me"
    assert not lasting.exists()
    assert not forget_login("r.example", "", env=env)
    assert forget_login("r.example", "", authfile=str(named), env=env)


def test_the_format_that_docker_reads(env, tmp_path):
    file = str(tmp_path / "config.json")
    store_login("docker.io", "", credential(), compat_authfile=file, env=env)
    assert list(json.loads((tmp_path / "config.json").read_text())["auths"]) == [
        "https://index.docker.io/v1/"
    ]
    with pytest.raises(UsageError, match="whole ones"):
        store_login("docker.io", "team", credential(), compat_authfile=file, env=env)
    assert forget_login("docker.io", "", compat_authfile=file, env=env)


def test_a_link_of_the_users_is_followed_and_stays_one(env, lasting, tmp_path):
    real = tmp_path / "dotfiles/auth.json"
    write(real, {"auths": {}})
    lasting.parent.mkdir(parents=True)
    lasting.symlink_to("../../dotfiles/auth.json")
    store_login("r.example", "", credential(), env=env)
    assert lasting.is_symlink()
    assert "r.example" in json.loads(real.read_text())["auths"]


def test_a_link_of_somebody_else_is_not_followed(env, lasting, tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    lasting.parent.mkdir(parents=True)
    lasting.symlink_to(victim)
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    with pytest.raises(UsageError, match="not yours"):
        store_login("r.example", "", credential(), env=env)
    assert not victim.exists()


def test_links_in_a_circle(env, lasting):
    lasting.parent.mkdir(parents=True)
    lasting.symlink_to("auth.json")
    with pytest.raises(UsageError, match="without end"):
        store_login("r.example", "", credential(), env=env)


@pytest.mark.parametrize("content", ["", "[]", '{"auths": []}', '{"auths": {}, "auths": {}}'])
def test_a_damaged_file_is_left_as_it_is(env, lasting, content):
    write(lasting, {})
    lasting.write_text(content)
    with pytest.raises(InvalidData):
        store_login("r.example", "", credential(), env=env)
    assert lasting.read_text() == content


def test_logins_at_the_same_time_undo_nothing(env):
    hosts = [f"r{number}.example" for number in range(12)]
    threads = [
        threading.Thread(target=store_login, args=(host, "", credential()), kwargs={"env": env})
        for host in hosts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(find_credential(host, "", env=env) for host in hosts)
    assert set(realms.load(env)) == set(hosts)


def test_forgetting_all(env, lasting, tmp_path):
    write(tmp_path / "run/containers/auth.json", {"auths": {"s.example": auth("x")}})
    write(tmp_path / ".docker/config.json", {"auths": {"d.example": auth("docker")}})
    store_login("r.example", "", credential(), env=env)
    store_login("q.example", "team", credential(), env=env)
    forget_all_logins(env=env)
    assert [find_credential(f"{name}.example", "team", env=env) for name in "srq"] == [None] * 3
    assert find_credential("d.example", "", env=env).username == "docker"
    assert realms.load(env) == {}


# --- helpers ---


@pytest.fixture
def helper(tmp_path, monkeypatch):
    """Install docker-credential-box, which keeps each server's entry in a file."""
    program = tmp_path / "bin/docker-credential-box"
    box = tmp_path / "box"
    box.mkdir()
    program.parent.mkdir()
    program.write_text(
        f"""#!/bin/sh
        said=$(cat)
        case $1 in
        store) file=${{said#*ServerURL\\":\\"}}; file=${{file%%\\"*}};;
        *) file=$said;;
        esac
        file={box}/$(echo "$file" | tr / _)
        case $1 in
        store) printf %s "$said" > $file;;
        get) cat $file 2>/dev/null || {{ echo credentials not found; exit 1; }};;
        erase) rm $file;;
        esac
        """
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return box


@pytest.mark.parametrize(
    ("settings", "entries"),
    [({"credsStore": "box"}, {"docker.io": {}}), ({"credHelpers": {"docker.io": "box"}}, {})],
)
def test_a_helper_keeps_it_instead_of_the_file(env, lasting, helper, settings, entries):
    write(lasting, {"auths": {"docker.io": auth("old")}, **settings})
    assert store_login("docker.io", "", credential(secret='c"\\anary'), env=env) == "docker-credential-box"
    assert json.loads(lasting.read_text()) == {"auths": entries, **settings}
    stored = find_credential("docker.io", "library/a", env=env)
    assert (stored.username, stored.secret, stored.realm) == ("me", 'c"\\anary', REALM)
    assert forget_login("docker.io", "", env=env)
    assert not list(helper.iterdir())
    assert find_credential("docker.io", "library/a", env=env) is None
    assert not forget_login("docker.io", "", env=env)


def test_a_helper_that_fails_leaves_what_was_stored(env, lasting, helper):
    (helper.parent / "bin/docker-credential-box").write_text("#!/bin/sh\nexit 2\n")
    before = {"auths": {"r.example": auth("old")}, "credHelpers": {"r.example": "box"}}
    write(lasting, before)
    with pytest.raises(Exception, match=r"failed for r\.example with status 2"):
        store_login("r.example", "", credential(), env=env)
    assert json.loads(lasting.read_text()) == before
    assert realms.load(env) == {}


# --- pins ---


def test_a_pin_ends_with_the_last_credential_of_its_registry(env):
    store_login("r.example", "", credential(), env=env)
    store_login("r.example", "team", credential(), env=env)
    forget_login("r.example", "", env=env)
    assert realms.load(env) == {"r.example": REALM}
    forget_login("r.example", "team", env=env)
    assert realms.load(env) == {}


def test_damaged_pins_let_nothing_out(env, tmp_path):
    store_login("r.example", "", credential(), env=env)
    (tmp_path / ".config/daemonless/realms.json").write_text("[]")
    with pytest.raises(InvalidData, match=r"realms\.json"):
        find_credential("r.example", "", env=env)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://auth.example/token?x=y", "https://auth.example:443"),
        ("https://Auth.Example.:443/", "https://auth.example:443"),
        ("http://[::1]:80/", "http://[::1]:80"),
        ("https://auth.example:8443", "https://auth.example:8443"),
    ],
)
def test_origins(url, origin):
    assert realms.origin_of(url) == origin
