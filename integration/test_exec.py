"""exec: identity, confinement and signals of a further process, in containers of every kind."""

from __future__ import annotations

import signal

import pytest
from harness import Cli, descendants_named, eventually

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


def test_a_session_ends_with_its_container(cli: Cli, image: str) -> None:
    cli(*RUN, image, "sleep", "1000")
    process = cli.start("exec", "c", "sh", "-c", "echo up; sleep 500")
    assert process.stdout and process.stdout.readline() == b"up\n"
    cli("exec", "--detach", "c", "sleep", "600")
    cli("kill", "c")
    assert process.wait(20) == 137
    eventually(lambda: not descendants_named("sleep"))


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
