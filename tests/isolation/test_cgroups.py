"""What the files of a cgroup tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemonless.isolation import cgroups


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\noom_group_kill 0\n", True),
        ("low 0\nhigh 0\nmax 3\noom 1\noom_kill 0\n", False),
        ("", False),
        ("oom_kill\noom_kill many\n", False),
    ],
)
def test_oom_kills(tmp_path: Path, text: str, expected: bool) -> None:
    (tmp_path / "memory.events").write_text(text)
    assert cgroups.had_oom_kill(str(tmp_path)) is expected


def test_without_a_memory_controller_nothing_is_known(tmp_path: Path) -> None:
    assert not cgroups.had_oom_kill(str(tmp_path))
    assert not cgroups.had_oom_kill("")


def test_frozen_and_populated(tmp_path: Path) -> None:
    (tmp_path / "cgroup.events").write_text("populated 1\nfrozen 0\n")
    assert cgroups.is_populated(str(tmp_path))
    assert not cgroups.is_frozen(str(tmp_path))
