"""Whether a container ran out of memory, from what cgroups count."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from daemonless.isolation import cgroups
from daemonless.supervisor import monitor, protocol

OWN, ABOVE = "unit/daemonless-1/memory.events", "unit/memory.events"


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cgroup of a container, below one of a unit; the current directory is for marks."""
    monkeypatch.setattr(cgroups, "_MOUNTS", (str(tmp_path),))
    (tmp_path / "unit/daemonless-1").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")
    return tmp_path


def ran_out(mounted: Path, code: int, *, before: int = 0, killed: bool = False) -> bool:
    ended = object.__new__(monitor._Monitor)
    start = SimpleNamespace(cgroup=str(mounted / "unit/daemonless-1"))
    ended.job = SimpleNamespace(start=start)
    ended.oom_kills, ended.killed = before, killed
    return ended._ran_out_of_memory(code)


def test_a_count_of_its_own_is_the_containers(mounted):
    (mounted / OWN).write_text("oom_kill 1\n")
    assert ran_out(mounted, 0)  # process 1 may have survived
    assert ran_out(mounted, -9, killed=True)
    (mounted / OWN).write_text("oom_kill 0\n")
    assert not ran_out(mounted, -9)


def test_a_count_further_up_is_somebodys(mounted):
    (mounted / ABOVE).write_text("oom_kill 3\n")
    assert ran_out(mounted, -9, before=2)
    assert ran_out(mounted, 137, before=2)  # what --init passes on
    assert not ran_out(mounted, -9, before=3)
    assert not ran_out(mounted, 1, before=2)
    assert not ran_out(mounted, -15, before=2)
    assert not ran_out(mounted, -9, before=2, killed=True)


@pytest.mark.parametrize("mark", [protocol.STOP_MARK, protocol.RESTART_MARK])
def test_who_was_killed_on_request_did_not_run_out(mounted, mark):
    (mounted / ABOVE).write_text("oom_kill 3\n")
    Path(mark).touch()
    assert not ran_out(mounted, -9, before=2)


def test_without_a_count_nothing_is_known(mounted):
    assert not ran_out(mounted, -9)
