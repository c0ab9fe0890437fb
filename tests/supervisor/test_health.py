"""A container's health as a function of what its probes said, and when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemonless.supervisor.health import HEALTHY, NEVER, STARTING, UNHEALTHY, Health, Plan, Probed

PLAN = Plan(interval=10, retries=3)
LENIENT = Plan(interval=10, start_period=60, start_interval=2, retries=2)


def probed(code: int, output: str = "") -> Probed:
    return Probed(start="S", end="E", exit_code=code, output=output)


def after(plan: Plan, *codes: int) -> Health:
    """Return the health after probes at the times it asked for, each of which took no time."""
    health = Health(plan, 0.0)
    for code in codes:
        health.take(probed(code), health.due, health.due)
    return health


def test_it_is_starting_until_something_is_known() -> None:
    health = after(PLAN)
    assert (health.status, health.streak, health.due) == (STARTING, 0, 10)
    assert after(PLAN, 1, 1).status == STARTING


def test_one_success_makes_it_healthy() -> None:
    health = after(PLAN, 1, 1, 0)
    assert (health.status, health.streak) == (HEALTHY, 0)
    assert after(PLAN, 0, 1, 1).status == HEALTHY
    assert after(PLAN, 1, 1, 1, 0).status == HEALTHY


def test_failures_in_a_row_make_it_unhealthy() -> None:
    health = after(PLAN, 1, 1, -1)
    assert (health.status, health.streak) == (UNHEALTHY, 3)
    assert after(PLAN, 1, 1, 0, 1, 1).status == HEALTHY
    assert after(PLAN, *[1] * 7).streak == 7


def test_a_change_is_told_once() -> None:
    health = Health(PLAN, 0.0)
    changes = [health.take(probed(code), 100.0, 100.0) for code in (1, 0, 0, 1, 1, 1, 1, 0)]
    assert changes == [False, True, False, False, False, True, False, True]


def test_failures_of_the_start_period_do_not_count() -> None:
    health = Health(LENIENT, 0.0)
    for moment in (2.0, 4.0, 59.9):
        assert not health.take(probed(1), moment, moment + 1)
    assert (health.status, health.streak) == (STARTING, 0)
    health.take(probed(1), 60.0, 61.0)
    assert health.streak == 1


def test_when_a_probe_began_decides() -> None:
    health = Health(LENIENT, 0.0)
    health.take(probed(1), 59.0, 100.0)
    assert health.streak == 0


def test_a_success_ends_the_leniency_of_the_start_period() -> None:
    health = Health(LENIENT, 0.0)
    codes = (0, 1, 1)
    for moment, code in enumerate(codes, 1):
        health.take(probed(code), float(moment), float(moment))
    assert (health.status, health.streak) == (UNHEALTHY, 2)


def test_the_start_interval_holds_while_it_starts() -> None:
    health = Health(LENIENT, 100.0)
    assert health.due == 102
    health.take(probed(1), 102.0, 103.0)
    assert health.due == 105
    health.take(probed(1), 159.0, 159.5)
    assert health.due == 160  # the period's end
    health.take(probed(1), 160.0, 160.0)
    assert health.due == 170
    healthy = Health(LENIENT, 100.0)
    healthy.take(probed(0), 102.0, 102.0)
    assert healthy.due == 112


def test_the_interval_begins_at_the_end_of_a_probe() -> None:
    health = Health(PLAN, 0.0)
    health.take(probed(0), 10.0, 25.0)
    assert health.due == 35


def test_a_probe_left_out_changes_nothing_but_the_next_time() -> None:
    health = after(PLAN, 1)
    before = health.as_dict()
    health.wait(50.0)
    assert (health.due, health.as_dict()) == (60, before)


def test_without_an_interval_only_who_asks_is_answered() -> None:
    health = Health(Plan(interval=0, start_period=5, retries=1), 0.0)
    assert health.due == NEVER
    assert health.take(probed(1), 6.0, 6.0)
    assert (health.status, health.due) == (UNHEALTHY, NEVER)


def test_what_is_written() -> None:
    health = after(PLAN, 0)
    assert health.as_dict() == {
        "schema": 1,
        "status": "healthy",
        "failingStreak": 0,
        "log": [{"Start": "S", "End": "E", "ExitCode": 0, "Output": ""}],
    }


@given(
    codes=st.lists(st.sampled_from([0, 1, -1, 127]), max_size=30),
    steps=st.lists(st.floats(0, 20), min_size=30, max_size=30),
    retries=st.integers(1, 4),
    period=st.floats(0, 60),
)
def test_any_sequence(codes: list[int], steps: list[float], retries: int, period: float) -> None:
    """Against the rules in one sentence each, worked out from the whole history."""
    health = Health(Plan(interval=5, start_period=period, start_interval=1, retries=retries), 0.0)
    now = 0.0
    counted = 0
    succeeded = ended = False
    for code, step in zip(codes, steps, strict=False):
        before = health.status
        now += step
        changed = health.take(probed(code), now, now)
        succeeded = succeeded or code == 0
        if code == 0:
            counted = 0
        elif succeeded or ended or now >= period:
            counted += 1
        ended = ended or counted >= retries
        assert health.streak == counted
        assert (health.status == UNHEALTHY) == (counted >= retries)
        assert changed == (health.status != before)
        assert now < health.due <= now + 5
        assert len(health.log) <= 5
        assert health.log[-1].exit_code == code
    if not codes:
        assert health.status == STARTING
