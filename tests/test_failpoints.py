"""Failpoints act when a test has armed them, once, and never otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = str(Path(__file__).resolve().parent.parent)
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from daemonless.failpoints import reach
for name in ("before", "here", "here", "after"):
    try:
        reach(name)
    except OSError as error:
        print(error.errno, end=" ")
    print(name, end=" ")
"""


def run(armed: str) -> tuple[int, str]:
    env = {**os.environ, "DAEMONLESS_FAILPOINT": armed}
    done = subprocess.run([sys.executable, "-c", PROGRAM, ROOT], env=env, capture_output=True, text=True)
    assert not done.stderr
    return done.returncode, done.stdout.strip()


def test_nothing_happens_unless_armed(tmp_path: Path) -> None:
    assert run("") == (0, "before here here after")
    assert run(f"here=kill:{tmp_path}/no-token") == (0, "before here here after")


@pytest.mark.parametrize(
    ("action", "outcome"),
    [
        ("kill", (-9, "")),
        ("enospc", (0, "before 28 here here after")),
        ("eio", (0, "before 5 here here after")),
    ],
)
def test_an_armed_failpoint_acts_once(tmp_path: Path, action: str, outcome: tuple[int, str]) -> None:
    token = tmp_path / "token"
    token.touch()
    assert run(f"here={action}:{token}") == outcome
    assert not token.exists()


def test_a_pause_lasts_until_the_fifo_is_closed(tmp_path: Path) -> None:
    token = tmp_path / "token"
    os.mkfifo(token)
    env = {**os.environ, "DAEMONLESS_FAILPOINT": f"here=pause:{token}"}
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, ROOT], env=env, stdout=subprocess.PIPE)
    with open(token, "wb"):
        assert process.poll() is None
    assert process.communicate(timeout=20)[0] == b"before here here after "
