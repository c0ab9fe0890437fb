"""Secrets on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daemonless.config import Paths
from daemonless.errors import InvalidData, NameInUse, NotFound, UsageError
from daemonless.secretstore import MAX_SIZE, SecretStore, check_name


@pytest.fixture
def store(paths: Paths) -> SecretStore:
    return SecretStore(paths)


def test_a_secret_is_found_by_name_and_id(store: SecretStore) -> None:
    secret, replaced = store.create("pw", b"\0\xffvalue", labels={"a": "b"})
    assert not replaced
    for text in ("pw", secret.id, secret.id[:6]):
        found = store.find(text)
        assert (found.id, found.value, found.labels) == (secret.id, b"\0\xffvalue", {"a": "b"})
    assert len(secret.id) == 25
    for text in ("p", "", "../pw", "pw/", "\n"):
        with pytest.raises(NotFound):
            store.find(text)


def test_only_the_owner_can_read_it(store: SecretStore) -> None:
    store.create("pw", b"value", labels={})
    assert os.stat(store.directory).st_mode & 0o7777 == 0o700
    assert os.stat(f"{store.directory}/pw").st_mode & 0o7777 == 0o600


def test_nothing_shows_the_value(store: SecretStore) -> None:
    secret, _ = store.create("pw", b"value", labels={})
    assert "value" not in f"{secret!r}{secret!s}"


def test_a_name_is_given_once(store: SecretStore) -> None:
    first, _ = store.create("pw", b"one", labels={})
    with pytest.raises(NameInUse, match="pw exists already"):
        store.create("pw", b"two", labels={})
    assert store.read("pw").value == b"one"
    second, replaced = store.create("pw", b"two", labels={}, replace=True)
    assert replaced and second.id != first.id
    assert store.read("pw").value == b"two"


@pytest.mark.parametrize("size", [0, MAX_SIZE + 1])
def test_sizes(store: SecretStore, size: int) -> None:
    store.create("largest", bytes(MAX_SIZE), labels={})
    assert len(store.read("largest").value) == MAX_SIZE
    with pytest.raises(UsageError, match=f"has {size} bytes"):
        store.create("pw", bytes(size), labels={})


def test_removal(store: SecretStore) -> None:
    store.create("pw", b"value", labels={})
    store.remove("pw")
    assert store.names() == []
    with pytest.raises(NotFound):
        store.remove("pw")


def test_what_a_killed_writer_left_goes_with_the_next_write(store: SecretStore) -> None:
    store.create("pw", b"value", labels={})
    Path(store.directory, ".pw.1.abcd").write_bytes(b"half")
    assert store.names() == ["pw"]
    store.create("other", b"value", labels={})
    assert sorted(os.listdir(store.directory)) == ["other", "pw"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema":1}', b'{"schema":2}'])
def test_a_broken_secret_hides_no_other(store: SecretStore, content: bytes) -> None:
    store.create("good", b"value", labels={})
    Path(store.directory, "bad").write_bytes(content)
    assert [secret.name for secret in store.secrets()] == ["good"]
    assert store.broken() == ["bad"]
    with pytest.raises(InvalidData):
        store.find("bad")
    store.remove("bad")
    assert store.broken() == []


def test_names() -> None:
    for name in ("a", "A.b_c-d", "0", "x" * 253):
        assert check_name(name) == name
    for name in ("", "-a", ".a", "a/b", "a,b", "a=b", "a b", "x" * 254):
        with pytest.raises(UsageError):
            check_name(name)
