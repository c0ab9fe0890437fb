"""What the files of a cgroup tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemonless.isolation import cgroups


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in the place of /sys/fs/cgroup, and a cgroup a/b/c in it."""
    monkeypatch.setattr(cgroups, "_MOUNTS", (str(tmp_path),))
    (tmp_path / "a/b/c").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\noom_group_kill 0\n", 2),
        ("low 0\nhigh 0\nmax 3\noom 1\noom_kill 0\n", 0),
        ("", 0),
        ("oom_kill\noom_kill many\n", 0),
    ],
)
def test_oom_kills(mounted: Path, text: str, expected: int) -> None:
    (mounted / "a/b/c/memory.events").write_text(text)
    (mounted / "a/b/memory.events").write_text("oom_kill 9\n")
    assert cgroups.oom_kills(str(mounted / "a/b/c")) == (expected, True)


def test_oom_kills_are_counted_further_up(mounted: Path) -> None:
    (mounted / "a/memory.events").write_text("oom_kill 3\n")
    assert cgroups.oom_kills(str(mounted / "a/b/c")) == (3, False)


def test_without_a_memory_controller_nothing_is_known(mounted: Path) -> None:
    assert cgroups.oom_kills(str(mounted / "a/b/c")) == (0, False)


def test_frozen_and_populated(tmp_path: Path) -> None:
    (tmp_path / "cgroup.events").write_text("populated 1\nfrozen 0\n")
    assert cgroups.is_populated(str(tmp_path))
    assert not cgroups.is_frozen(str(tmp_path))
