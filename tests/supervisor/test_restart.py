"""Restart policies and the waits between restarts, as pure functions of what happened."""

from __future__ import annotations

import pytest

from daemonless.supervisor.restart import BackOff, Policy


@pytest.mark.parametrize(
    ("name", "retries", "code", "restarts", "applies"),
    [
        ("always", 0, 0, 0, True),
        ("always", 0, 1, 1000, True),
        ("unless-stopped", 0, 0, 7, True),
        ("on-failure", 0, 0, 0, False),
        ("on-failure", 0, 1, 1000, True),
        ("on-failure", 3, 1, 2, True),
        ("on-failure", 3, 1, 3, False),
        ("on-failure", 3, 0, 1, False),
    ],
)
def test_policy(name: str, retries: int, code: int, restarts: int, applies: bool) -> None:
    assert Policy(name=name, retries=retries).applies(code, restarts) is applies


def test_back_off_doubles_up_to_a_minute() -> None:
    back_off = BackOff()
    assert [back_off.delay(0.5) for _ in range(4)] == [0.1, 0.2, 0.4, 0.8]
    assert [back_off.delay(9.9) for _ in range(20)][-1] == 60


def test_a_long_run_starts_the_back_off_over() -> None:
    back_off = BackOff()
    for _ in range(5):
        back_off.delay(0)
    assert [back_off.delay(10), back_off.delay(0)] == [0.1, 0.2]
