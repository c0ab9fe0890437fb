"""The supervisor's ends of a container's streams: what is read, what waits, and what is closed when."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import termios
import time
from collections.abc import Iterator

import pytest

from daemonless.supervisor.streams import Streams

Taken = list[tuple[int, bytes]]


@pytest.fixture
def taken() -> Taken:
    return []


@pytest.fixture
def streams(taken: Taken) -> Iterator[Streams]:
    made = Streams(lambda stream, data: taken.append((stream, data)))
    yield made
    made.close()


def turn(streams: Streams, *, paused: bool = False) -> None:
    """Do once what the supervisor's loop does for ever."""
    poll = select.poll()
    for fd, mask in streams.interest(paused=paused).items():
        if mask:
            poll.register(fd, mask)
    streams.serve(dict(poll.poll(0)))


def test_output_is_told_by_stream(streams: Streams, taken: Taken) -> None:
    theirs = streams.make(interactive=False)
    streams.begin(-1)
    os.write(theirs[1], b"out")
    os.write(theirs[2], b"err")
    turn(streams, paused=True)
    assert taken == []
    turn(streams)
    assert sorted(taken) == [(1, b"out"), (2, b"err")]
    assert os.read(theirs[0], 1) == b""  # nothing to read
    for fd in theirs:
        os.close(fd)
    turn(streams)
    assert streams.interest(paused=False) == {}


def test_what_was_written_last_is_drained(streams: Streams, taken: Taken) -> None:
    theirs = streams.make(interactive=False)
    streams.begin(-1)
    os.write(theirs[1], b"x" * 65536)
    for fd in theirs:
        os.close(fd)
    streams.drain()
    assert b"".join(data for _, data in taken) == b"x" * 65536


def test_input_waits_for_its_reader_and_ends_after_it(streams: Streams) -> None:
    stdin, *rest = streams.make(interactive=True)
    streams.begin(-1)
    streams.write(b"y" * 100_000)
    streams.write(b"end")
    streams.end_input()
    assert streams.are_full
    read = b""
    while part := os.read(stdin, 1 << 16):
        read += part
        turn(streams)
    assert read == b"y" * 100_000 + b"end"
    assert not streams.are_full
    for fd in (stdin, *rest):
        os.close(fd)


def test_a_reader_that_has_gone_takes_nothing(streams: Streams) -> None:
    theirs = streams.make(interactive=True)
    streams.begin(-1)
    for fd in theirs:
        os.close(fd)
    streams.write(b"x")
    streams.write(b"x")
    assert not streams.are_full


def test_nobody_reads_the_output(streams: Streams) -> None:
    theirs = streams.make(interactive=False)
    streams.begin(-1)
    streams.stop_reading(b"\1")
    with pytest.raises(BrokenPipeError):
        os.write(theirs[1], b"x")
    os.write(theirs[2], b"x")
    for fd in theirs:
        os.close(fd)


def test_a_terminal_is_all_three(streams: Streams, taken: Taken) -> None:
    master, slave = pty.openpty()
    streams.begin(master)
    streams.write(b"a\n")
    assert os.read(slave, 10) == b"a\n"
    streams.end_input()  # means nothing to it
    streams.stop_reading(b"\1")
    streams.resize(b"\0\5\0\7")
    assert fcntl.ioctl(slave, termios.TIOCGWINSZ, bytes(8))[:4] == b"\5\0\7\0"
    os.write(slave, b"b")
    for _ in range(1000):  # the kernel hands it over in its own time
        turn(streams)
        if taken[-1:] and taken[-1][1].endswith(b"b"):
            break
        time.sleep(0.001)
    assert b"".join(data for _, data in taken) == b"a\r\nb"
    os.close(slave)
    turn(streams)
    assert streams.interest(paused=False) == {}


def test_a_further_run_begins_with_nothing(streams: Streams) -> None:
    theirs = streams.make(interactive=True)
    streams.begin(-1)
    streams.write(b"x" * 100_000)
    streams.close()
    for fd in theirs:
        os.close(fd)
    assert not streams.are_full
    assert streams.interest(paused=False) == {}
    streams.write(b"x")  # nobody is there
    assert not streams.are_full
