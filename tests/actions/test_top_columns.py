"""Which columns of `top` words choose, and how lengths of time are printed."""

from __future__ import annotations

import pytest

from daemonless.actions.top_columns import choose, go_duration
from daemonless.errors import UsageError


@pytest.mark.parametrize(
    ("words", "headings"),
    [
        ("", "USER PID PPID %CPU ELAPSED TTY TIME COMMAND"),
        ("pid,hpid user", "PID HPID USER"),
        ("pid seccomp args %C", "PID SECCOMP COMMAND %CPU"),
        ("-e", "PID TTY TIME CMD"),
        ("-ef", "UID PID PPID C STIME TTY TIME CMD"),
        ("aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"),
        ("-eo pid,comm", "PID COMMAND"),
        ("-e -o pid -o ni,tt", "PID NI TT"),
        ("-opid,euser=WHO", "PID WHO"),
        ("axo pid,stat", "PID STAT"),
        ("--format=pid,hpid", "PID HPID"),
        ("--format pid", "PID"),
    ],
)
def test_words_choose_columns(words: str, headings: str) -> None:
    choice = choose(words.split())
    assert " ".join(column.heading for column in choice.columns) == headings
    assert choice.headings


@pytest.mark.parametrize("words", ["-e --no-headers", "axh", "-o pid= -o comm="])
def test_headings_can_be_left_out(words: str) -> None:
    assert not choose(words.split()).headings


@pytest.mark.parametrize(
    ("words", "headings"),
    [
        ("-T", "PID SPID TTY TIME CMD"),
        ("-eL", "PID LWP TTY TIME CMD"),
        ("-efL", "UID PID LWP PPID C NLWP STIME TTY TIME CMD"),
        ("axH", "PID TTY TIME CMD"),
        ("-eTo pid,tid", "PID SPID"),
    ],
)
def test_threads(words: str, headings: str) -> None:
    choice = choose(words.split())
    assert choice.threads
    assert " ".join(column.heading for column in choice.columns) == headings


@pytest.mark.parametrize("words", ["-eo pid --sort=-pcpu,+pid", "-eo pid --sort -%cpu,pid", "axk -pcpu,pid"])
def test_an_order(words: str) -> None:
    assert choose(words.split()).order == (("pcpu", True), ("pid", False))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("bogus", "unknown format descriptor bogus"),
        ("pid bogus", "unknown format descriptor bogus"),
        ("-o pid,bogus", "unknown ps format keyword bogus"),
        ("-M", "unsupported ps option -M"),
        ("--sort=pid,bogus", "unknown ps format keyword bogus"),
        ("--forest", "unsupported ps option --forest"),
        ("-eo", "the ps option -eo needs a list of keywords"),
    ],
)
def test_other_words_are_refused(words: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        choose(words.split())
    assert raised.value.message == message


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.01, "10ms"),
        (0.2505, "250.5ms"),
        (4.25, "4.25s"),
        (62, "1m2s"),
        (3600, "1h0m0s"),
        (3722.497061672, "1h2m2.497061672s"),
    ],
)
def test_lengths_of_time_are_printed_as_go_does(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text
