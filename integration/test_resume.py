"""Pulls that are cut off: what arrived is not fetched again, by the same command, a later or another one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest
from harness import Cli, eventually, processes
from ownregistry import FlakyRegistry, SlowRegistry

MOST = 1.2  # of the bytes that the layer has


@pytest.fixture
def slow() -> Iterator[SlowRegistry]:
    registry = SlowRegistry()
    yield registry
    registry.close()


def runs(cli: Cli, name: str) -> None:
    cli("run", "--rm", "--network=none", "--pull=never", name)


def test_a_hundred_disconnects_during_one_pull(fresh: Cli) -> None:
    registry = FlakyRegistry(4_000_000, drops=100, seed=1)
    try:
        fresh("pull", "--quiet", registry.name)
        assert registry.dropped == 100
        assert registry.sent <= MOST * len(registry.layers[1])
        runs(fresh, registry.name)
    finally:
        registry.close()


def test_a_pull_that_was_killed_is_gone_on_with(fresh: Cli, slow: SlowRegistry) -> None:
    pull = fresh.start("pull", "--quiet", slow.name)
    assert slow.half.wait(20)
    partial = fresh.root / "images" / "partial"
    half = len(slow.layers[1]) // 2
    eventually(lambda: half in [each.stat().st_size for each in partial.iterdir()])
    pull.send_signal(signal.SIGKILL)
    pull.wait(20)
    assert fresh("images", "--quiet").lines == []
    slow.go_on.set()
    fresh("pull", "--quiet", slow.name)
    assert slow.starts == [0, half]
    assert list(partial.iterdir()) == []
    runs(fresh, slow.name)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_while_it_pulls_takes_the_pull_along(
    fresh: Cli, slow: SlowRegistry, number: signal.Signals
) -> None:
    """And what is there by then is gone on with."""
    run = fresh.start("run", "--rm", "--network=none", slow.name)
    assert slow.half.wait(20)
    run.send_signal(number)
    run.communicate(timeout=20)
    eventually(lambda: not processes(), 5, "the pull goes on")
    slow.go_on.set()
    fresh("run", "--rm", "--network=none", slow.name)
    assert slow.starts[0] == 0 and len(slow.starts) == 2
    fresh("rmi", slow.name)


def test_two_pulls_share_the_work(fresh: Cli, slow: SlowRegistry) -> None:
    first = fresh.start("pull", "--quiet", slow.name)
    assert slow.half.wait(20)
    second = fresh.start("pull", "--quiet", slow.name)
    threading.Timer(0.5, slow.go_on.set).start()
    identities = {process.communicate(timeout=30)[0] for process in (first, second)}
    assert (first.returncode, second.returncode) == (0, 0)
    assert len(identities) == 1
    assert slow.starts == [0]
    runs(fresh, slow.name)
