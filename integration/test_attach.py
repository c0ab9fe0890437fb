"""attach: streams, exit status, several at once, readers that do not read, and the terminal."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time

import pytest
from harness import Cli, Terminal, eventually

RUN = ("run", "-d", "--network=none")
SHELL = r"^/ # *$"


def read_until(process: subprocess.Popen[bytes], what: bytes) -> bytes:
    """Read a command's output until `what` is in it."""
    assert process.stdout
    seen = b""
    deadline = time.monotonic() + 15
    while what not in seen:
        assert select.select([process.stdout], [], [], max(0, deadline - time.monotonic()))[0], seen
        more = os.read(process.stdout.fileno(), 65536)
        assert more, seen
        seen += more
    return seen


def attached(cli: Cli, name: str, *options: str) -> subprocess.Popen[bytes]:
    """Attach to a container, and wait until the supervisor knows of it."""
    before = attachments(cli, name)
    process = cli.start("attach", *options, name)
    eventually(lambda: attachments(cli, name) > before)
    return process


def attachments(cli: Cli, name: str) -> int:
    chosen = ("--filter=event=attach", f"--filter=container={name}")
    return len(cli("events", "--stream=false", "--since=1h", *chosen).lines)


def test_input_output_and_exit_status(cli: Cli, image: str) -> None:
    cli(*RUN, "-i", "--name=a", image, "sh", "-c", "while read x; do echo got $x; echo err >&2; done; exit 7")
    done = cli("attach", "a", input="one\ntwo\n", status=7)
    assert (done.stdout, done.stderr) == ("got one\ngot two\n", "err\nerr\n")


@pytest.mark.parametrize(
    ("streams", "out", "err"),
    [
        (("stdout",), "out\n", ""),
        (("stderr",), "", "err\n"),
        (("stdin", "stdout"), "out\ngot word\n", ""),
    ],
)
def test_run_and_start_take_part_with_the_streams_named(
    cli: Cli, image: str, streams: tuple[str, ...], out: str, err: str
) -> None:
    options = [f"--attach={stream}" for stream in streams]
    script = "echo out; echo err >&2" + ("; read x; echo got $x" if "stdin" in streams else "")
    interactive = ["-i"] if "stdin" in streams else []
    done = cli(
        "run", *options, *interactive, "--network=none", "--name=a", image, "sh", "-c", script, input="word\n"
    )
    assert (done.stdout, done.stderr) == (out, err)
    done = cli("start", "--attach", *interactive, "a", input="word\n")
    assert (done.stdout, done.stderr) == (out, err)
    assert cli.inspect("a", "{{.Config.AttachStderr}}") == str("stderr" in streams).lower()


def test_several_see_the_same(cli: Cli, image: str) -> None:
    cli(*RUN, "-i", "--name=a", image, "sh", "-c", "while read x; do echo got $x; done; exit 3")
    watchers = [attached(cli, "a", "--no-stdin") for _ in range(3)]
    assert cli("attach", "a", input="word\n", status=3).stdout == "got word\n"
    for watcher in watchers:
        out, _ = watcher.communicate(timeout=20)
        assert (watcher.returncode, out) == (3, b"got word\n")


def test_a_container_killed_while_attached(cli: Cli, image: str) -> None:
    cli(*RUN, "--name=a", image, "sleep", "1000")
    process = attached(cli, "a")
    cli("kill", "a")
    assert process.wait(20) == 137


@pytest.mark.parametrize("proxy", [True, False])
def test_signals(cli: Cli, image: str, proxy: bool) -> None:
    script = "trap 'echo told; exit 4' TERM; echo up; while :; do sleep 0.1; done"
    cli(*RUN, "--name=a", image, "sh", "-c", script)
    eventually(lambda: "up" in cli("logs", "a").stdout)
    process = attached(cli, "a", f"--sig-proxy={str(proxy).lower()}")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == (4 if proxy else -signal.SIGTERM)
    assert cli.inspect("a", "{{.State.Running}}") == str(not proxy).lower()


def test_only_running_containers(cli: Cli, image: str) -> None:
    cli("create", "--name=a", image)
    assert "you can only attach to running containers" in cli("attach", "a", status=125).stderr
    cli("attach", status=125)
    cli("attach", "--latest", "a", status=125)
    assert "running" in cli("attach", "--latest", status=125).stderr


def test_a_stopped_reader_holds_nobody_up_for_long(cli: Cli, image: str) -> None:
    """It is dropped after ten seconds, and the container goes on; others get all of the output."""
    script = "read x; yes 0123456789abcdef | head -n 400000; echo done"
    cli(*RUN, "-i", "--name=a", image, "sh", "-c", script)
    stopped = attached(cli, "a", "--no-stdin")
    stopped.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    reader = cli("attach", "a", input="go\n", timeout=40)
    assert time.monotonic() - started < 25
    assert len(reader.stdout) == 400000 * 17 + 5
    stopped.send_signal(signal.SIGCONT)
    _, error = stopped.communicate(timeout=20)
    assert stopped.returncode == 125 and b"connection" in error


def test_the_reader_of_a_pipeline_loses_nothing(cli: Cli, image: str) -> None:
    """However late it reads: the container has ended, and what it printed still waits."""
    script = "yes 0123456789abcdef | head -n 20000; echo end; exit 5"
    reader = cli.start("run", "--name=a", "--network=none", image, "sh", "-c", script)
    eventually(lambda: cli("ps", "-aq", "--filter=status=exited").lines)
    eventually(lambda: cli("rm", "a", status=None).status == 0)
    time.sleep(5.5)  # longer than the supervisor waits for others
    out, _ = reader.communicate(timeout=20)
    assert (reader.returncode, len(out), out[-5:]) == (5, 20000 * 17 + 4, b"\nend\n")


def settings(terminal: Terminal) -> str:
    """Return the terminal's modes without its size."""
    return terminal.modes().partition("\n")[2]


def test_a_terminal(cli: Cli, image: str, terminal: Terminal) -> None:
    before = settings(terminal)
    cli(*RUN, "-it", "--name=it", image, "sh")
    terminal.type("daemonless attach it")
    terminal.press("Enter")
    terminal.wait_for(SHELL)
    terminal.type("stty size")
    terminal.wait_for(r"^30 100$")
    terminal.resize(77, 22)
    terminal.type("until stty size | grep -x '22 77'; do sleep 0.1; done")
    terminal.wait_for(r"^22 77$")
    terminal.press("C-p", "C-q")
    terminal.wait_for_prompt()
    assert settings(terminal) == before
    terminal.type("daemonless attach --detach-keys=ctrl-a,x it; echo left $?")
    eventually(lambda: settings(terminal) != before)
    terminal.press("C-a")
    terminal.press("x")
    terminal.wait_for(r"^left 0$")
    terminal.type("daemonless attach it; echo ended $?")
    eventually(lambda: settings(terminal) != before)
    terminal.type("exit 9")
    terminal.wait_for(r"^ended 9$")
    assert settings(terminal) == before
