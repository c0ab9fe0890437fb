"""The process that makes a probe: what it returns, and that nothing of the probe outlives it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from daemonless.errors import CommandNotFound
from daemonless.supervisor import probes
from daemonless.supervisor.health import Plan
from daemonless.supervisor.probes import Check


def check(enter: Callable[[tuple[int, int, int]], int | None], timeout: float = 20) -> Check:
    plan = Plan(interval=0, timeout=timeout)
    return Check(plan=plan, on_failure="none", enter=enter, is_paused=lambda: False)


def command(*words: str) -> Callable[[tuple[int, int, int]], int]:
    """Return what starts a command on this machine as `exec` does in a container: as a session's leader."""

    def enter(streams: tuple[int, int, int]) -> int:
        actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(streams)]
        return os.posix_spawn(f"/bin/{words[0]}", words, {}, file_actions=actions, setsid=True)

    return enter


def probe(enter: Callable[[tuple[int, int, int]], int | None], timeout: float = 20) -> tuple[int, str]:
    found = probes._probe(check(enter, timeout))
    assert found is not None
    assert found["start"] <= found["end"]
    return found["exit_code"], found["output"]


def exists(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("script", "result"),
    [
        ("exit 0", (0, "")),
        ("echo a; echo b >&2; exit 3", (3, "a\nb\n")),
        ("kill -9 $$", (137, "")),
        (r"printf '\377'", (0, "\ufffd")),
        ("head -c 5000 /dev/zero | tr '\\0' x", (0, "x" * 4096 + "...")),
        ("head -c 4096 /dev/zero | tr '\\0' x", (0, "x" * 4096)),
        ("sleep 100 & echo $!", None),
    ],
)
def test_results(script: str, result: tuple[int, str] | None) -> None:
    found = probe(command("sh", "-c", script))
    if result is None:
        os.kill(int(found[1]), 9)
    else:
        assert found == result


def test_what_could_not_be_started() -> None:
    def enter(_streams: tuple[int, int, int]) -> int:
        raise CommandNotFound("no such command")

    assert probe(enter) == (127, "no such command")
    assert probes._probe(check(lambda streams: None)) is None


def test_the_whole_session_is_killed_when_the_time_is_over() -> None:
    def enter(streams: tuple[int, int, int]) -> int:
        pid = os.fork()
        if pid:
            return pid
        os.setsid()
        for number in range(2):
            child = os.fork()
            if child == 0:
                if number:
                    os.setpgid(0, 0)
                os.write(streams[1], f"{os.getpid()} ".encode())
                time.sleep(1000)
        time.sleep(1000)
        os._exit(0)

    code, output = probe(enter, 0.3)
    assert code == -1
    assert output.startswith("Health check exceeded timeout (0.3s): ")
    pids = [int(word) for word in output.partition(": ")[2].split()]
    assert len(pids) == 2
    deadline = time.monotonic() + 10
    while any(map(exists, pids)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(exists, pids))
