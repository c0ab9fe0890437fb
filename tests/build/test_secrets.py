from __future__ import annotations

from pathlib import Path

import pytest

from daemonless.build.runjob import Secret
from daemonless.build.secrets import MAX_SECRET, authorization, value_of
from daemonless.errors import NotFound, UsageError


def given(tmp_path: Path, **values: bytes) -> tuple[tuple[str, Secret], ...]:
    found = []
    for name, value in values.items():
        (tmp_path / name).write_bytes(value)
        found.append((name, Secret(path=str(tmp_path / name))))
    return tuple(found)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("HTTP_AUTH_TOKEN_example.com", "Bearer s3cret"),
        ("HTTP_AUTH_HEADER_example.com", "s3cret"),
        ("HTTP_AUTH_TOKEN_example.com:8443", "Bearer s3cret"),
        ("HTTP_AUTH_TOKEN_example.org", None),
        ("HTTP_AUTH_TOKEN_ample.com", None),
        ("example.com", None),
    ],
)
def test_the_header_of_a_host(tmp_path: Path, name: str, expected: str | None) -> None:
    secrets = given(tmp_path, **{name: b"s3cret\n"})
    headers = authorization("https://example.com:8443/a?b", secrets)
    assert headers.get("Authorization") == expected


def test_the_port_and_the_whole_header_come_first(tmp_path: Path) -> None:
    names = {"HTTP_AUTH_TOKEN_h": b"1", "HTTP_AUTH_HEADER_h": b"2", "HTTP_AUTH_TOKEN_h:1": b"3"}
    secrets = given(tmp_path, **names)
    assert authorization("http://h:1/", secrets) == {"Authorization": "Bearer 3"}
    assert authorization("http://h/", secrets) == {"Authorization": "2"}


@pytest.mark.parametrize("value", [b"a\nHost: other", b"a\rb", b"\xff", b"a\0b"])
def test_what_is_no_header_is_not_sent(tmp_path: Path, value: bytes) -> None:
    with pytest.raises(UsageError, match="one line of ASCII") as caught:
        authorization("http://h/", given(tmp_path, HTTP_AUTH_TOKEN_h=value))
    assert "other" not in caught.value.message


def test_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_CALLER", "v\n")
    assert value_of("k", Secret(env="OF_CALLER")) == b"v\n"
    with pytest.raises(NotFound, match="NOT_SET"):
        value_of("k", Secret(env="NOT_SET"))
    with pytest.raises(NotFound, match="No such file"):
        value_of("k", Secret(path=str(tmp_path / "none")))
    ((_, large),) = given(tmp_path, large=bytes(MAX_SECRET + 1))
    with pytest.raises(UsageError):
        value_of("large", large)
