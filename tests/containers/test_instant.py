import time
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemonless.containers.instant import duration, parse_instant, rfc3339
from daemonless.errors import UsageError

NOW = 1_795_466_520 * 10**9  # 2026-11-23T20:42:00Z


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1795466520", "2026-11-23T20:42:00.000000000Z"),
        ("1795466520.25", "2026-11-23T20:42:00.250000000Z"),
        ("2026-11-23T20:42:00Z", "2026-11-23T20:42:00.000000000Z"),
        ("2026-11-23T20:42:00.123456789Z", "2026-11-23T20:42:00.123456789Z"),
        ("2026-11-23T22:42:00+02:00", "2026-11-23T20:42:00.000000000Z"),
        ("2026-07-01T12:00:00-03:30", "2026-07-01T15:30:00.000000000Z"),
        ("10m", "2026-11-23T20:32:00.000000000Z"),
        ("1h30m", "2026-11-23T19:12:00.000000000Z"),
        ("1.5s", "2026-11-23T20:41:58.500000000Z"),
        ("0s", "2026-11-23T20:42:00.000000000Z"),
    ],
)
def test_understands(text, expected):
    assert parse_instant(text, NOW) == expected


def test_times_without_a_zone_are_local(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert parse_instant("2026-11-23T21:42:00", NOW) == "2026-11-23T20:42:00.000000000Z"
        assert parse_instant("2026-07-01", NOW) == "2026-06-30T22:00:00.000000000Z"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "text", ["", "yesterday", "10x", "m", "1.2.3s", "2026-11", "2026-11-23T", "2026-1x-01", "٣m"]
)
def test_refuses(text):
    with pytest.raises(UsageError, match="invalid time"):
        parse_instant(text, NOW)


def test_duration_adds_its_parts():
    assert duration("2h3m4s5ms") == ((2 * 60 + 3) * 60 + 4) * 10**9 + 5 * 10**6
    assert duration("5") is None


@given(st.datetimes(min_value=datetime(1000, 1, 1)), st.integers(-14 * 60, 14 * 60))
def test_counts_days_as_the_calendar_does(moment, offset):
    sign = "-" if offset < 0 else "+"
    text = f"{moment:%Y-%m-%dT%H:%M:%S}{sign}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
    assert rfc3339(text) == int(datetime.fromisoformat(text).timestamp()) * 10**9


def test_gos_zero_time():
    assert rfc3339("0001-01-01T00:00:00Z") == -62135596800 * 10**9


@pytest.mark.parametrize("text", ["2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-32T00:00:00Z"])
def test_refuses_impossible_dates(text):
    assert rfc3339(text) is None
