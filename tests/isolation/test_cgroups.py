"""What the files of a cgroup tell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daemonless.errors import Unsupported
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


LIMITS = {"memory.max": "1000", "memory.swap.max": "0", "cpu.max": "50000 100000"}


@pytest.fixture
def own(mounted: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cgroup of this process; files of a cgroup are made as the kernel would make them."""
    directory = mounted / "a/b/c"
    monkeypatch.setattr(cgroups, "own_directory", lambda: str(directory))
    (mounted / "a/b/daemonless.999999999").mkdir()  # of a process that is gone
    make = os.mkdir

    def mkdir(path: str, *more: int) -> None:
        make(path, *more)
        for controller in Path(path).parent.joinpath("cgroup.subtree_control").read_text().split():
            for file in LIMITS:
                if file.startswith(controller.strip("+")) and file != "memory.swap.max":
                    Path(path, file).touch()

    monkeypatch.setattr(os, "mkdir", mkdir)
    return directory


def test_limits_are_set_where_their_controllers_can_be_had(own: Path) -> None:
    (own.parent / "cgroup.subtree_control").write_text("     memory pids")
    dead = own.parent / "daemonless.999999999"
    assert dead.exists()
    path = Path(cgroups.create_limited(LIMITS))
    assert path == own.parent / f"daemonless.{os.getpid()}"
    assert {file.name: file.read_text() for file in path.iterdir()} == {
        "memory.max": "1000",
        "cpu.max": "50000 100000",
    }
    assert (own.parent / "cgroup.subtree_control").read_text().startswith("+cpu")
    assert not dead.exists()


def test_limits_that_cannot_be_had_are_an_error(own: Path) -> None:
    with pytest.raises(Unsupported, match="cannot limit cpu and memory: no cgroup") as refused:
        cgroups.create_limited(LIMITS)
    assert "systemd-run" in refused.value.hint
    assert not cgroups.holds(str(own), 1)
    (own / "cgroup.procs").write_text("12\n34\n")
    assert cgroups.holds(str(own), 34)
    assert not cgroups.holds(str(own), 3)
