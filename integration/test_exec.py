"""exec: identity, confinement and signals of a further process, in containers of every kind."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
from harness import Cli, Terminal, eventually, processes

RUN = ("run", "-d", "--network=none", "--name=c")
KINDS = {
    "plain": (),
    "init": ("--init",),
    "keep-id": ("--userns=keep-id",),
    "read-only": ("--read-only",),
    "user": ("--user=1000:1000", "--group-add=5"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_confined_as_the_container_is(cli: Cli, image: str, kind: str) -> None:
    """What the kernel tells of the new process is what it tells of the container's own."""
    script = (
        "id; grep -E 'Cap|Groups|NoNewPrivs|Seccomp:' /proc/self/status; ulimit -n; umask;"
        "for name in user mnt pid net ipc uts cgroup; do readlink /proc/self/ns/$name; done; echo done"
    )
    cli(*RUN, *KINDS[kind], image, "sh", "-c", f"{script}; sleep 1000")
    eventually(lambda: "done" in cli("logs", "c").stdout)
    assert cli("exec", "c", "sh", "-c", script).stdout == cli("logs", "c").stdout


@pytest.mark.parametrize(
    ("script", "status"), [("exit 3", 3), ("kill -9 $$", 137), ("kill -15 $$", 143), ("exit 255", 255)]
)
def test_exit_status(cli: Cli, image: str, script: str, status: int) -> None:
    cli(*RUN, image, "sleep", "1000")
    cli("exec", "c", "sh", "-c", script, status=status)


def test_failures_have_statuses_of_their_own(cli: Cli, image: str) -> None:
    cli(*RUN, image, "sleep", "1000")
    cli("exec", "c", "not-there", status=127)
    cli("exec", "c", "/etc", status=126)
    cli("exec", "--workdir=/not-there", "c", "true", status=127)
    cli("exec", "--user=nobody-knows", "c", "true", status=125)
    cli("stop", "-t0", "c")
    cli("exec", "c", "true", status=125)


def test_a_signal_to_the_command_reaches_the_process(cli: Cli, image: str) -> None:
    cli(*RUN, image, "sleep", "1000")
    process = cli.start("exec", "c", "sh", "-c", "trap 'exit 9' TERM; echo up; while :; do sleep 0.1; done")
    assert process.stdout and process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 9


def sessions(cli: Cli) -> list[str]:
    return json.loads(cli.inspect("c", "{{json .ExecIDs}}"))


def test_a_signal_at_any_moment_leaves_no_process_behind(cli: Cli, image: str) -> None:
    """It comes before there is a process, or it reaches the process."""
    cli(*RUN, image, "sleep", "1000")
    for moment in range(40):
        process = cli.start("exec", "c", "sleep", "500")
        time.sleep(moment * 0.004)
        process.send_signal((signal.SIGINT, signal.SIGTERM)[moment % 2])
        process.communicate(timeout=20)
    assert "sleep 500" not in cli("exec", "c", "ps", "-o", "args").stdout


def test_a_session_ends_with_its_container(cli: Cli, image: str) -> None:
    container = cli(*RUN, image, "sleep", "1000").stdout.strip()
    process = cli.start("exec", "c", "sh", "-c", "echo up; sleep 500")
    assert process.stdout and process.stdout.readline() == b"up\n"
    detached = [cli("exec", "-d", *options, "c", "sleep", "600").stdout.strip() for options in ((), ("-it",))]
    eventually(lambda: len(sessions(cli)) == 3)
    assert {*detached} < {*sessions(cli)}
    cli("kill", "c")
    assert process.wait(20) == 137
    eventually(lambda: not processes())
    files = os.listdir(cli.runroot / "containers" / container)
    assert not [name for name in files if name.startswith("exec-")]
    assert sessions(cli) == []


def test_a_session_is_listed_while_it_lives(cli: Cli, image: str) -> None:
    container = cli(*RUN, image, "sleep", "1000").stdout.strip()
    session = cli("exec", "-d", "c", "sh", "-c", "while [ ! -e /go ]; do sleep 0.05; done").stdout.strip()
    assert sessions(cli) == [session]
    stale = {"schema": 1, "pid": os.getpid(), "startTime": 1, "bootId": "of another"}
    (cli.runroot / "containers" / container / "exec-stale").write_text(json.dumps(stale))
    (cli.runroot / "containers" / container / "exec-broken").write_text("{")
    assert sessions(cli) == [session]
    cli("exec", "c", "touch", "/go")
    eventually(lambda: sessions(cli) == [])


def test_a_detached_session_with_a_terminal(cli: Cli, image: str) -> None:
    cli(*RUN, image, "sleep", "1000")
    cli("exec", "-dt", "c", "sh", "-c", "tty >/tty.new; echo shown; mv /tty.new /tty; sleep 500")
    eventually(lambda: cli("exec", "c", "cat", "/tty", status=None).stdout == "/dev/pts/0\n")


def test_a_detached_session_keeps_nothing_of_the_caller_open(cli: Cli, image: str) -> None:
    cli(*RUN, image, "sleep", "1000")
    shown = cli.shell("echo $(daemonless exec -d c sleep 500 2>&1) | cat")
    assert re.fullmatch("[0-9a-f]{64}\n", shown.stdout)
    assert "sleep 500" in cli("top", "c").stdout


def test_a_detached_command_that_cannot_be_started_says_so(cli: Cli, image: str) -> None:
    cli(*RUN, image, "sleep", "1000")
    assert "command not found" in cli("exec", "-d", "c", "not-there", status=127).stderr
    cli("exec", "-d", "c", "/etc", status=126)
    cli("stop", "-t0", "c")
    assert "is not running" in cli("exec", "-d", "c", "true", status=125).stderr


def test_a_session_left_by_the_detach_keys_ends_as_others(cli: Cli, image: str, terminal: Terminal) -> None:
    cli(*RUN, image, "sleep", "1000")
    terminal.type("daemonless exec -it c sh -c 'while [ ! -e /go ]; do sleep 0.05; done'; echo left $?")
    eventually(lambda: len(sessions(cli)) == 1)
    terminal.press("C-p", "C-q")
    terminal.wait_for("^left 0$")
    assert len(sessions(cli)) == 1
    cli("exec", "c", "touch", "/go")
    eventually(lambda: sessions(cli) == [])


@pytest.mark.parametrize("command", [("exec", "c"), ("run", "--rm", "--network=none")])
def test_descriptors_that_are_passed_on(
    cli: Cli, image: str, tmp_path: Path, command: tuple[str, ...]
) -> None:
    cli(*RUN, image, "sleep", "1000")
    verb, *rest = command
    rest += [image] if verb == "run" else []
    (tmp_path / "seven").write_text("7")
    (tmp_path / "nine").write_text("9")
    redirected = f"7<{tmp_path}/seven 8</dev/null 9<{tmp_path}/nine"
    inside = "sh -c 'cat <&7; cat <&9; ls /proc/self/fd'"
    where = " ".join(rest)
    shown = cli.shell(f"daemonless {verb} --preserve-fd=7,9 {where} {inside} {redirected}").stdout
    assert shown.startswith("79") and shown[2:].split() == ["0", "1", "2", "3", "7", "9"]
    both = "--preserve-fds=1 --preserve-fd 7 --preserve-fd 9"
    shown = cli.shell(f"daemonless {verb} {both} {where} {inside} 3</dev/null {redirected}").stdout
    assert shown.startswith("79") and shown[2:].split() == ["0", "1", "2", "3", "4", "7", "9"]
    for value in ("5", "2", "x"):
        assert "descriptor" in cli(verb, f"--preserve-fd={value}", *rest, "true", status=125).stderr


def test_a_killed_command_leaves_its_process_to_the_container(cli: Cli, image: str) -> None:
    cli(*RUN, "--init", image, "sleep", "1000")
    process = cli.start("exec", "c", "sh", "-c", "echo up; sleep 500")
    assert process.stdout and process.stdout.readline() == b"up\n"
    process.kill()
    process.wait(20)
    assert "sleep 500" in cli("exec", "c", "ps").stdout


def test_a_container_with_init_is_entered_through_its_command(cli: Cli, image: str) -> None:
    """Process 1 is a copy of ours, which nobody may look into."""
    cli(*RUN, "--init", image, "sh", "-c", "echo x >/new; sleep 1000")
    eventually(lambda: cli("exec", "c", "cat", "/new", status=None).stdout == "x\n")
    assert "new" in cli("cp", "c:/new", "-").stdout
    assert "A /new" in cli("diff", "c").lines
    assert "sleep 1000" in cli("top", "c").stdout
    assert cli("exec", "c", "head", "-c1", "/proc/1/mem", status=None).status != 0
