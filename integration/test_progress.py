"""What a pull shows: bars on a terminal, lines in a log, nothing with --quiet."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from harness import Cli, Terminal, eventually
from ownregistry import SlowRegistry


@pytest.fixture
def slow() -> Iterator[SlowRegistry]:
    server = SlowRegistry()
    yield server
    server.close()


def pull(fresh: Cli, slow: SlowRegistry, before: str = "") -> str:
    return f"clear; {before} daemonless --root {fresh.root} --runroot {fresh.runroot} pull {slow.name}"


def is_complete(slow: SlowRegistry, text: str) -> bool:
    """Return whether `text` begins with a line of the pull and one for each of its layers."""
    first, *others = text.splitlines()[:3]
    expected = {f"Layer {slow.short(number)}: N MB, done" for number in (0, 1)}
    return first == f"Pulling {slow.name}" and {re.sub(r"\d\.\d", "N", line) for line in others} == expected


def test_bars_on_a_terminal(fresh: Cli, slow: SlowRegistry, terminal: Terminal) -> None:
    terminal.type(pull(fresh, slow))
    name = slow.short(1)
    screen = terminal.wait_for(r"^all +[━╺╸]+ +\d\.\d/4\.\d MB +[\d.]+ [kM]B/s +\d+:\d\d$")
    assert re.search(rf"^{name} [━╺╸]+ +\d\.\d/3\.\d MB +", screen, re.MULTILINE), screen
    assert terminal.tmux("display-message", "-p", "#{cursor_flag}") == "0"
    slow.go_on.set()
    screen = terminal.wait_for(r"^[0-9a-f]{64}$")
    assert is_complete(slow, screen), screen
    assert "━" not in screen
    assert terminal.tmux("display-message", "-p", "#{cursor_flag}") == "1"


def test_a_narrow_terminal(fresh: Cli, slow: SlowRegistry, terminal: Terminal) -> None:
    terminal.resize(38, 20)
    terminal.type(pull(fresh, slow))
    terminal.wait_for(rf"^{slow.short(1)} +\d\d%$")
    slow.go_on.set()
    terminal.wait_for_prompt()


def test_without_colours(fresh: Cli, slow: SlowRegistry, terminal: Terminal) -> None:
    terminal.type(pull(fresh, slow, "NO_COLOR=1"))
    screen = terminal.wait_for(r"[━╸] ", colours=True)
    assert not re.search(r"\x1b\[(3|9|4|10)[0-7]m|\x1b\[[34]8;", screen), screen
    slow.go_on.set()
    terminal.wait_for_prompt()


@pytest.mark.parametrize("setting", ["TERM=dumb", "CI=true"])
def test_a_terminal_that_is_none(fresh: Cli, slow: SlowRegistry, terminal: Terminal, setting: str) -> None:
    slow.go_on.set()
    terminal.type(pull(fresh, slow, setting))
    screen = terminal.wait_for(r"^[0-9a-f]{64}$")
    assert is_complete(slow, screen), screen


def test_an_interrupt_leaves_a_clean_line_and_the_cursor(
    fresh: Cli, slow: SlowRegistry, terminal: Terminal
) -> None:
    terminal.type(pull(fresh, slow))
    terminal.wait_for("━")
    terminal.press("C-c")
    screen = terminal.wait_for_prompt()
    assert "━" not in screen
    assert "Traceback" not in screen
    assert terminal.tmux("display-message", "-p", "#{cursor_flag}") == "1"
    terminal.type("echo status $?")
    terminal.wait_for("^status 130$")
    eventually(lambda: not fresh.leftovers())


def test_lines_in_a_log_and_only_the_id_on_stdout(fresh: Cli, slow: SlowRegistry) -> None:
    slow.go_on.set()
    done = fresh("pull", slow.name)
    assert re.fullmatch(r"[0-9a-f]{64}\n", done.stdout)
    assert is_complete(slow, done.stderr), done.stderr
    assert len(done.stderr.splitlines()) == 3
    assert fresh("pull", slow.name).stderr.count("already here") == 2


def test_quiet(fresh: Cli, slow: SlowRegistry) -> None:
    slow.go_on.set()
    done = fresh("pull", "--quiet", slow.name)
    assert re.fullmatch(r"[0-9a-f]{64}\n", done.stdout)
    assert done.stderr == ""
