from __future__ import annotations

import os
import select
import signal
import time

import pytest

from daemonless.errors import Conflict, DaemonlessError, SetupFailed
from daemonless.isolation.task import Task, fork_plain, mapped
from daemonless.isolation.userns import load_id_map
from daemonless.syscalls import CLONE_NEWNS


def in_child(work):
    with Task(work, fork_plain) as task:
        return task.wait()


def fail(error):
    raise error


def test_the_result_comes_back():
    caller = os.getpid()
    assert in_child(lambda: None) is None
    assert in_child(lambda: ["a", 1, "\udcff", os.getppid() == caller]) == ["a", 1, "\udcff", True]
    assert len(in_child(lambda: "x" * (1 << 22))) == 1 << 22


def test_errors_arrive_as_what_they_were():
    with pytest.raises(Conflict, match="no") as conflict:
        in_child(lambda: fail(Conflict("no", "try", exit_status=2)))
    assert (conflict.value.hint, conflict.value.exit_status) == ("try", 2)
    with pytest.raises(FileNotFoundError) as missing:
        in_child(lambda: fail(FileNotFoundError(2, "no", b"/a")))
    assert missing.value.filename == "/a"
    with pytest.raises(BrokenPipeError):
        in_child(lambda: fail(BrokenPipeError(32, "pipe")))
    with pytest.raises(DaemonlessError, match="internal error: ValueError: odd"):
        in_child(lambda: fail(ValueError("odd")))
    with pytest.raises(DaemonlessError, match="TypeError"):
        in_child(lambda: object())


def test_a_killed_child_is_an_error():
    with pytest.raises(SetupFailed, match="ended unexpectedly"):
        in_child(lambda: os.kill(os.getpid(), signal.SIGKILL))


def test_leaving_the_context_ends_the_child():
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(KeyboardInterrupt), Task(lambda: time.sleep(60), fork_plain):
        raise KeyboardInterrupt
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def start_mapped_child(work):
    return mapped(work, load_id_map(os.geteuid(), os.getegid()), CLONE_NEWNS)


@pytest.mark.parametrize("start", [lambda work: Task(work, fork_plain), start_mapped_child])
def test_a_child_dies_with_its_caller(start):
    read_end, write_end = os.pipe()
    caller = os.fork()
    if caller == 0:

        def work():
            os.write(write_end, b"x")
            time.sleep(60)

        start(work)
        time.sleep(60)
    os.close(write_end)
    assert os.read(read_end, 1) == b"x"
    os.kill(caller, signal.SIGKILL)
    os.waitpid(caller, 0)
    assert select.select([read_end], [], [], 30)[0]
    assert os.read(read_end, 1) == b""  # the last copy of the other end is gone
    os.close(read_end)


def test_a_mapped_child_is_root():
    id_map = load_id_map(os.geteuid(), os.getegid())
    with mapped(lambda: [os.getuid(), os.getgid()], id_map) as task:
        assert task.wait() == [0, 0]
