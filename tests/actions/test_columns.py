"""Tables, sizes and ages as podman prints them."""

from __future__ import annotations

import pytest

from daemonless.actions import columns


def test_table_is_aligned_and_its_last_column_is_not_padded() -> None:
    rows = [["CONTAINER ID", "NAMES"], ["972f58aa5176", "one"], ["x" * 20, ""]]
    assert columns.table(rows).splitlines() == [
        "CONTAINER ID          NAMES",
        "972f58aa5176          one",
        "xxxxxxxxxxxxxxxxxxxx  ",
    ]


def test_narrow_columns_are_twelve_wide() -> None:
    assert columns.table([["TAG", "SIZE", "END"], ["1", "2 B", "x"]]) == (
        "TAG         SIZE        END\n1           2 B         x\n"
    )


def test_empty_table() -> None:
    assert columns.table([]) == ""


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1_987_682, "1.99 MB"),
        (7_800_000, "7.8 MB"),
        (123_456_789, "123 MB"),
        (999_999, "1 MB"),
        (2 * 10**12, "2 TB"),
    ],
)
def test_size(count: int, shown: str) -> None:
    assert columns.size(count) == shown


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "Less than a second"),
        (0.9, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (3599, "59 minutes"),
        (3600, "About an hour"),
        (7200, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (13 * 86400, "13 days"),
        (14 * 86400, "2 weeks"),
        (60 * 86400, "2 months"),
        (729 * 86400, "24 months"),
        (731 * 86400, "2 years"),
    ],
)
def test_duration(seconds: float, said: str) -> None:
    assert columns.duration(seconds) == said
    assert columns.ago(seconds) == f"{said} ago"
