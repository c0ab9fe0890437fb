"""Nothing stays behind: after many runs, after parallel runs, after kill -9 of whoever was at work."""

from __future__ import annotations

import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness import Cli, descendants_named, eventually, kill, processes


def test_50_runs_one_after_the_other(cli: Cli, image: str) -> None:
    for number in range(50):
        network = ("none", "host", "slirp4netns")[number % 3]
        result = cli(
            "run",
            "--rm",
            f"--network={network}",
            image,
            "sh",
            "-c",
            f"echo {number}; exit {number}",
            status=number,
        )
        assert result.stdout == f"{number}\n"
    assert not cli.leftovers()


def test_20_runs_at_once(cli: Cli, image: str) -> None:
    def run(number: int) -> str:
        return cli("run", "--rm", image, "echo", str(number)).stdout

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(run, range(20))) == [f"{number}\n" for number in range(20)]
    assert not cli.leftovers()


def test_20_creations_of_one_name_make_one_container(cli: Cli, image: str) -> None:
    def create(_: int) -> int:
        return cli("create", "--name", "only", image, "true", status=None).status

    with ThreadPoolExecutor(20) as pool:
        assert sorted(pool.map(create, range(20))) == [0] + [125] * 19
    assert len(cli.ids()) == 1


def test_20_removals_of_one_container(cli: Cli, image: str) -> None:
    cli("run", "-d", "--name", "gone", "--network=none", image, "sleep", "1000")

    def remove(_: int) -> int:
        return cli("rm", "--force", "--time", "0", "gone", status=None).status

    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(remove, range(20)))
    assert 0 in statuses and set(statuses) <= {0, 1}
    assert not cli.leftovers()


def test_the_first_use_by_20_commands_at_once(fresh: Cli, image: str) -> None:
    def run(number: int) -> str:
        return fresh("run", "--rm", "--network=none", image, "echo", str(number)).stdout

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(run, range(20))) == [f"{number}\n" for number in range(20)]
    assert len(fresh("images", "--quiet").lines) == 1


@pytest.mark.parametrize("network", ["none", "slirp4netns"])
def test_a_start_that_fails_late(cli: Cli, image: str, network: str) -> None:
    """The command is looked up last: everything else exists by then."""
    cli("run", f"--network={network}", "--name", "failed", image, "not-there", status=127)
    assert descendants_named("slirp4netns") == []
    assert "failed" in cli("ps", "-a", "--format", "{{.Names}}").stdout
    cli("rm", "failed")
    assert not cli.leftovers()


def works(cli: Cli, image: str) -> None:
    """What must hold whatever was killed: nothing hangs, nothing is left, the next run runs."""
    started = time.monotonic()
    cli("ps", "--all")
    for container in cli.ids():
        cli("inspect", container)
        cli("rm", "--force", "--time", "0", container)
    assert time.monotonic() - started < 15
    assert cli.ids() == []
    assert cli("run", "--rm", "--network=none", "--name", "next", image, "echo", "next").stdout == "next\n"
    left = cli.leftovers()
    assert not left, "\n".join(left)


# How long after its start the command is killed, in ms: before, within and after the set-up.
MOMENTS = [0, 4, 8, 10, 12, 14, 16, 18, 20, 22, 25, 30, 40, 60, 120]


@pytest.mark.parametrize("options", [(), ("--rm",), ("--detach",)], ids=["attached", "rm", "detached"])
def test_kill_9_of_the_command(cli: Cli, image: str, options: tuple[str, ...]) -> None:
    for moment in MOMENTS:
        process = cli.start("run", *options, "--name", "victim", image, "sleep", "1000")
        time.sleep(moment / 1000)
        process.kill()
        process.communicate()
        works(cli, image)


@pytest.mark.parametrize("options", [(), ("--rm",), ("--detach",)], ids=["attached", "rm", "detached"])
def test_kill_9_of_everything_of_ours(cli: Cli, image: str, options: tuple[str, ...]) -> None:
    """The command and its supervisor at once, as the kernel does when memory is out."""
    for moment in MOMENTS:
        process = cli.start("run", *options, "--name", "victim", image, "sleep", "1000")
        time.sleep(moment / 1000)
        for pid, name in processes().items():
            if name.startswith(("daemonless", "python3")):
                kill(pid)
        process.communicate()
        works(cli, image)


def supervisor_of(cli: Cli, name: str) -> int:
    pid = int(cli.inspect(name, "{{.State.Pid}}"))
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_kill_9_of_the_supervisor_of_an_attached_run(cli: Cli, image: str) -> None:
    process = cli.start("run", "--name", "victim", image, "sh", "-c", "echo up; sleep 1000")
    assert process.stdout and process.stdout.readline() == b"up\n"
    kill(supervisor_of(cli, "victim"))
    assert process.wait(20) != 0
    assert cli.inspect("victim", "{{.State.Running}}") == "false"
    works(cli, image)


def test_kill_9_of_the_supervisor_while_it_logs(cli: Cli, image: str) -> None:
    cli("run", "-d", "--name", "victim", image, "sh", "-c", "while :; do echo some line of output; done")
    eventually(lambda: "some line" in cli("logs", "--tail", "1", "victim").stdout)
    kill(supervisor_of(cli, "victim"))
    eventually(lambda: cli.inspect("victim", "{{.State.Running}}") == "false")
    assert set(cli("logs", "victim").lines[:-1]) == {"some line of output"}
    cli("start", "victim")
    assert cli.inspect("victim", "{{.State.Running}}") == "true"
    works(cli, image)


@pytest.mark.parametrize("command", ["stop --time 5", "rm --force --time 5"])
def test_kill_9_of_the_supervisor_during(cli: Cli, image: str, command: str) -> None:
    cli("run", "-d", "--name", "victim", image, "sleep", "1000")
    supervisor = supervisor_of(cli, "victim")
    process = cli.start(*command.split(), "victim")
    time.sleep(0.3)
    kill(supervisor)
    assert process.wait(10) == 0
    works(cli, image)


def test_kill_9_of_the_network_helper(cli: Cli, image: str) -> None:
    cli("run", "-d", "--name", "victim", image, "sleep", "1000")
    for pid in descendants_named("slirp4netns"):
        kill(pid)
    assert cli("exec", "victim", "echo", "alive").stdout == "alive\n"
    works(cli, image)


def test_kill_9_of_an_exec(cli: Cli, image: str) -> None:
    cli("run", "-d", "--network=none", "--name", "target", image, "sleep", "1000")
    process = cli.start("exec", "target", "sh", "-c", "echo up; sleep 999")
    assert process.stdout and process.stdout.readline() == b"up\n"
    process.kill()
    process.communicate()
    assert cli.inspect("target", "{{.State.Running}}") == "true"
    works(cli, image)


def test_the_supervisor_survives_its_terminal_and_shell(cli: Cli, image: str) -> None:
    script = f'"{cli.program}" run -d --network=none --name survivor {image} sleep 1000; kill -9 $$'
    shell = subprocess.run(
        ["setsid", "sh", "-c", script], env=cli.environment(), capture_output=True, timeout=30, cwd="/"
    )
    assert re.fullmatch(rb"[0-9a-f]{64}\n", shell.stdout)
    time.sleep(0.2)
    assert cli("exec", "survivor", "echo", "here").stdout == "here\n"


def test_state_of_an_earlier_boot_is_not_believed(cli: Cli, image: str) -> None:
    """After a reboot on which the run directory survived, the recorded pid may be anybody's."""
    cli("run", "-d", "--network=none", "--name", "old", image, "sleep", "1000")
    bystander = subprocess.Popen(["sleep", "1000"])
    try:
        (directory,) = (cli.runroot / "containers").iterdir()
        state = directory / "state.json"
        text = state.read_text()
        kill(supervisor_of(cli, "old"))
        eventually(lambda: cli.inspect("old", "{{.State.Running}}") == "false")
        state.write_text(re.sub(r'"pid":\s*\d+', f'"pid": {bystander.pid}', text))
        assert cli.inspect("old", "{{.State.Running}}") == "false"
        for command in (("stop", "old"), ("kill", "old"), ("exec", "old", "true"), ("rm", "-f", "old")):
            cli(*command, status=None)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
