"""policy.json: which scope wins, and that nothing unknown is taken for a yes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemonless.errors import DaemonlessError, InvalidData, Unsupported
from daemonless.oci.reference import parse_reference
from daemonless.registry.errors import Refused
from daemonless.registry.policy import check_policy, scopes_of, scopes_of_path

ACCEPT, REJECT = [{"type": "insecureAcceptAnything"}], [{"type": "reject"}]


NAME = "quay.io/team/app:1"


def check(directory: Path, policy: object, transport: str = "docker") -> None:
    file = directory / "etc/containers/policy.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(policy if isinstance(policy, str) else json.dumps(policy))
    env = {"XDG_CONFIG_HOME": str(directory / "config")}
    check_policy(transport, scopes_of(parse_reference(NAME)), NAME, env=env, system=str(directory / "etc"))


def test_scopes_go_from_narrow_to_wide():
    assert scopes_of(parse_reference("reg.example.com:5000/team/app:1")) == (
        "reg.example.com:5000/team/app:1",
        "reg.example.com:5000/team/app",
        "reg.example.com:5000/team",
        "reg.example.com:5000",
        "*.example.com",
        "*.com",
    )
    assert scopes_of(parse_reference("busybox"))[1] == "docker.io/library/busybox"


def test_scopes_of_a_file(tmp_path):
    base = str(tmp_path)
    scopes = scopes_of_path(f"{base}/a/../b", "name")
    assert scopes[:3] == (f"{base}/b:name", f"{base}/b", base)
    assert scopes[-1].count("/") == 1


def test_no_file_is_no_policy(tmp_path):
    check_policy("docker", ("x",), "x", env={"HOME": str(tmp_path)}, system=str(tmp_path))


@pytest.mark.parametrize(
    ("scopes", "accepted"),
    [
        ({}, False),
        ({"": ACCEPT}, True),
        ({"quay.io": ACCEPT}, True),
        ({"quay.io": ACCEPT, "quay.io/team": REJECT}, False),
        ({"quay.io": REJECT, "quay.io/team/app": ACCEPT}, True),
        ({"quay.io/team/app": REJECT, "quay.io/team/app:1": ACCEPT}, True),
        ({"quay.io/team/app:2": ACCEPT}, False),
        ({"quay.io/tea": ACCEPT}, False),
        ({"*.io": ACCEPT}, True),
        ({"*.io": ACCEPT, "quay.io": REJECT}, False),
        ({"quay.io": ACCEPT + REJECT}, False),
    ],
)
def test_the_narrowest_scope_wins(tmp_path, scopes, accepted):
    policy = {"default": REJECT, "transports": {"docker": scopes}}
    if accepted:
        check(tmp_path, policy)
    else:
        with pytest.raises(Refused, match=r"policy\.json rejects it"):
            check(tmp_path, policy)


def test_another_transport_has_other_scopes(tmp_path):
    policy = {"default": ACCEPT, "transports": {"oci-archive": {"": REJECT}}}
    check(tmp_path, policy)
    with pytest.raises(Refused):
        check(tmp_path, policy, transport="oci-archive")


def test_a_file_that_cannot_be_read_is_not_a_missing_one(tmp_path):
    (tmp_path / "config/containers/policy.json").mkdir(parents=True)
    with pytest.raises(InvalidData, match=r"policy\.json"):
        check(tmp_path, {"default": ACCEPT})


def test_archives_of_docker_have_no_scopes(tmp_path):
    with pytest.raises(InvalidData, match="docker-archive has scopes"):
        policy = {"default": ACCEPT, "transports": {"docker-archive": {"/tmp": REJECT}}}
        check(tmp_path, policy, "docker-archive")
    policy = {"default": REJECT, "transports": {"docker-archive": {"": ACCEPT}}}
    check(tmp_path, policy, "docker-archive")


def test_the_users_file_is_in_the_place_of_the_systems(tmp_path):
    own = tmp_path / "config/containers/policy.json"
    own.parent.mkdir(parents=True)
    own.write_text(json.dumps({"default": ACCEPT}))
    check(tmp_path, {"default": REJECT})


@pytest.mark.parametrize("kind", ["signedBy", "signedBaseLayer", "sigstoreSigned"])
def test_signatures_are_not_taken_for_granted(tmp_path, kind):
    with pytest.raises(Unsupported, match="cannot verify signatures"):
        check(tmp_path, {"default": [*ACCEPT, {"type": kind, "keyType": "GPGKeys"}]})


@pytest.mark.parametrize(
    "policy",
    [
        "{",
        "[]",
        {},
        {"default": []},
        {"default": ACCEPT, "transport": {}},
        {"default": ACCEPT, "transports": []},
        {"default": ACCEPT, "transports": {"docker": []}},
        {"default": [{"type": "trustMe"}]},
        {"default": [{}]},
        {"default": ["reject"]},
        {"default": ACCEPT, "transports": {"docker": {"quay.io": {}}}},
        '{"default": [{"type": "reject"}], "default": [{"type": "insecureAcceptAnything"}]}',
    ],
)
def test_what_is_no_policy_allows_nothing(tmp_path, policy):
    with pytest.raises(InvalidData) as caught:
        check(tmp_path, policy)
    assert isinstance(caught.value, DaemonlessError) and "policy.json" in str(caught.value)
