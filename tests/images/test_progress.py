"""What is said where there are no bars, and what a terminal of some width has room for."""

import hashlib

import pytest

from daemonless.images import progress
from daemonless.images.progress import Lines, Silent, make_progress
from daemonless.oci.digest import Digest

ONE, TWO = (Digest(f"sha256:{hashlib.sha256(text).hexdigest()}") for text in (b"1", b"2"))


@pytest.fixture
def clock(monkeypatch):
    times = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: times[0])
    return times


def test_a_line_for_each_and_more_for_those_that_take_long(capsys, clock):
    with Lines("Pulling app") as lines:
        lines.add(ONE, 80_000_000)
        lines.add(TWO, 500_000)
        lines.finish(TWO, "already here")
        for clock[0] in (100.0, 110.0, 114.0, 116.0, 117.0, 132.0):
            lines.advance(ONE, 10_000_000)
        lines.finish(ONE, "done")
    assert capsys.readouterr().err.splitlines() == [
        "Pulling app",
        f"Layer {TWO.short}: 0.5 MB, already here",
        f"Layer {ONE.short}: 40.0 of 80.0 MB",
        f"Layer {ONE.short}: 60.0 of 80.0 MB",
        f"Layer {ONE.short}: 80.0 MB, done",
    ]


@pytest.mark.parametrize(
    ("width", "kinds"),
    [
        (200, ["Text", "Bar", "Download", "TransferSpeed", "TimeRemaining"]),
        (80, ["Text", "Bar", "Download", "TransferSpeed", "TimeRemaining"]),
        (60, ["Text", "Bar", "TransferSpeed", "TimeRemaining"]),
        (30, ["Text", "TaskProgress"]),
    ],
)
def test_columns(width, kinds):
    columns = progress._columns(width)
    assert [type(column).__name__.removesuffix("Column") for column in columns] == kinds


def test_quiet_and_verbs():
    assert type(make_progress("app", quiet=True)) is Silent
    assert make_progress("app", quiet=False, verb="Pushing")._title == "Pushing app"
