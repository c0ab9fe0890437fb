"""--secret."""

from __future__ import annotations

import pytest

from daemonless.containers.grammar_secrets import secret
from daemonless.containers.request import Secret
from daemonless.errors import UsageError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("pw", Secret(name="pw", target="/run/secrets/pw")),
        ("source=pw", Secret(name="pw", target="/run/secrets/pw")),
        ("pw,type=mount,target=x/y", Secret(name="pw", target="/run/secrets/x/y")),
        ("pw,target=/etc/key", Secret(name="pw", target="/etc/key")),
        ("pw,uid=5,gid=6,mode=0400", Secret(name="pw", target="/run/secrets/pw", uid=5, gid=6, mode=0o400)),
        ("pw,type=env", Secret(name="pw", type="env", target="pw")),
        ("pw,type=env,target=DB_PASSWORD", Secret(name="pw", type="env", target="DB_PASSWORD")),
    ],
)
def test_secret(value: str, expected: Secret) -> None:
    assert secret(value) == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "not the name of a secret"),
        ("a b", "not the name of a secret"),
        ("../x", "not the name of a secret"),
        ("type=env", "not the name of a secret"),
        ("pw,x=y", "not KEY=VALUE"),
        ("pw,env", "not KEY=VALUE"),
        ("pw,type=file", "none of mount, env"),
        ("pw,mode=9", "octal"),
        ("pw,uid=-1", "not a number"),
        ("pw,uid=4294967295", "not between"),
        ("pw,target=/", "root of the container"),
        ("pw,target=../../..", "root of the container"),
        ("pw,type=env,uid=1", "no meaning with type=env"),
        ("pw,source=other", "given twice"),
        ("pw\n", "control character"),
    ],
)
def test_secret_refuses(value: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        secret(value)
