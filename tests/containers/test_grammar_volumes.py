"""Options of the volume driver `local`."""

from __future__ import annotations

import pytest

from daemonless.containers.grammar_volumes import driver_options, mount_of
from daemonless.errors import DaemonlessError


def test_a_tmpfs() -> None:
    options = driver_options(["type=tmpfs", "device=tmpfs", "o=size=2m,uid=5,noexec"])
    kind, source, words = mount_of(options)
    assert (kind, source) == ("tmpfs", "tmpfs")
    assert {"size=2097152", "uid=5", "noexec", "notmpcopyup"} <= set(words)


@pytest.mark.parametrize(
    "values",
    [
        ["type=none", "o=bind,ro", "device=/srv"],
        ["type=bind", "o=ro", "device=/srv"],
        ["o=rbind,ro", "device=/srv"],
    ],
)
def test_a_bind(values: list[str]) -> None:
    kind, source, words = mount_of(driver_options(values))
    assert (kind, source) == ("bind", "/srv")
    assert "ro" in words and {"bind", "rbind"} & set(words)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["foo=bar"], "invalid mount option foo"),
        (["type"], "not KEY=VALUE"),
        (["type=nfs", "device=:/x"], "only two types"),
        (["type=none", "device=/srv"], "only two types"),
        (["type=none", "o=bind"], "not an absolute path"),
        (["type=none", "o=bind", "device=data"], "not an absolute path"),
        (["type=tmpfs", "o=nonsense"], "no option of tmpfs"),
        (["o=bind,nonsense", "device=/srv"], "no mount option"),
    ],
)
def test_what_is_refused(values: list[str], said: str) -> None:
    with pytest.raises(DaemonlessError, match=said):
        driver_options(values)
