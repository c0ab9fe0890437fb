"""The end of every command: one line for a person, the right status for a script."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from daemonless.__main__ import guarded
from daemonless.errors import CommandNotFound, Conflict, NotFound


@pytest.fixture
def action(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Put an action of our own in the place of `version`."""
    module = ModuleType("daemonless.actions.version")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    yield module


def fail_with(error: BaseException) -> object:
    def main(_args: object) -> int:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (
            NotFound("no such thing: x", "look elsewhere"),
            125,
            "Error: no such thing: x\nHint: look elsewhere\n",
        ),
        (Conflict("x runs", exit_status=2), 2, "Error: x runs\n"),
        (CommandNotFound("no command"), 127, "Error: no command\n"),
        (KeyboardInterrupt(), 130, ""),
        (
            OSError(28, "No space left on device", "/data/x"),
            125,
            "Error: no space left on the disk for /data/x\nHint: free some, or use --root elsewhere\n",
        ),
    ],
)
def test_errors_become_a_line_and_a_status(
    error: BaseException, status: int, said: str, action: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    action.main = fail_with(error)  # type: ignore[attr-defined]
    assert guarded(["version"]) == status
    assert capfd.readouterr() == ("", said)


@pytest.mark.parametrize("error", [ValueError("odd"), PermissionError(13, "Permission denied", "/x")])
def test_a_traceback_is_shown_on_request_only(
    error: Exception, action: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    action.main = fail_with(error)  # type: ignore[attr-defined]
    assert guarded(["version"]) == 125
    said = capfd.readouterr().err
    assert said.count("\n") == 2
    assert "Traceback" not in said
    assert "--log-level debug" in said
    assert guarded(["--log-level", "debug", "version"]) == 125
    assert "Traceback" in capfd.readouterr().err


def start(*words: str, stdout: int) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "daemonless", *words],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def test_a_full_disk_behind_the_output_is_reported() -> None:
    with open("/dev/full", "wb") as full:
        status, said = start("version", stdout=full.fileno())
    assert status == 125
    assert said.startswith("Error: no space left on the disk")


def test_a_reader_that_left_is_no_error() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    assert start("version", stdout=write_end) == (141, "")
    os.close(write_end)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(closed: str, tmp_path: Path) -> None:
    line = f'"$0" -m daemonless --root "$1/d" --runroot "$1/r" ps -a {closed}'
    done = subprocess.run(
        ["/bin/sh", "-c", line, sys.executable, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_words_that_are_not_utf8_pass_unchanged() -> None:
    template = os.fsdecode(b"\xff{{.Server.Version}}")
    done = subprocess.run(
        [sys.executable, "-m", "daemonless", "version", "--format", template], capture_output=True, check=True
    )
    assert done.stdout.startswith(b"\xff")


def test_an_interrupt_where_nothing_can_be_raised_ends_quietly() -> None:
    """In a destructor or in a callback of the import system Python would print a traceback and go on."""
    program = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from daemonless import __main__
class Interrupted:
    def __del__(self):
        raise KeyboardInterrupt
sys.unraisablehook = __main__._unraisable
Interrupted()
print("went on")
"""
    root = str(Path(__file__).resolve().parent.parent)
    done = subprocess.run([sys.executable, "-c", program, root], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
