"""Restart policies, `restart` and `init`: held by the supervisor alone, and beaten by whoever stops."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from harness import Cli, descendants_named, descriptors_at_rest, eventually, kill

RUN = ("run", "--detach", "--network=none")


def restarts(cli: Cli, name: str) -> int:
    return int(cli.inspect(name, "{{.RestartCount}}"))


def status(cli: Cli, name: str) -> str:
    return cli.inspect(name, "{{.State.Status}}")


def supervisor_of(cli: Cli, name: str) -> int:
    identity = cli.inspect(name, "{{.Id}}")
    path = cli.runroot / "containers" / identity / "state.json"
    return int(json.loads(path.read_text())["supervisor"])


def test_on_failure_restarts_as_often_as_it_says(cli: Cli, image: str) -> None:
    cli(*RUN, "--name", "box", "--restart=on-failure:2", image, "sh", "-c", "echo run; exit 3")
    assert cli("wait", "box").stdout == "3\n"
    assert cli("logs", "box").lines == ["run"] * 3
    assert cli.inspect("box", "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}") == "2 exited 3"
    assert cli.inspect("box", "{{.HostConfig.RestartPolicy}}") == "{on-failure 2}"


def test_on_failure_leaves_a_success_alone(cli: Cli, image: str) -> None:
    cli(*RUN, "--name", "box", "--restart=on-failure", image, "true")
    assert cli("wait", "box").stdout == "0\n"
    assert restarts(cli, "box") == 0


def test_the_writable_layer_outlives_a_restart(cli: Cli, image: str) -> None:
    script = "echo x >>/count; test $(wc -l </count) = 3"
    cli(*RUN, "--name", "box", "--restart=on-failure", image, "sh", "-c", script)
    assert cli("wait", "box").stdout == "0\n"
    assert restarts(cli, "box") == 2


@pytest.mark.parametrize("command", ["stop", "kill", "rm --force"])
def test_who_ends_it_wins_during_back_off(cli: Cli, image: str, command: str) -> None:
    cli(*RUN, "--name", "box", "--restart=always", image, "false")
    eventually(lambda: restarts(cli, "box") >= 2 and status(cli, "box") == "restarting")
    cli(*command.split(), "box")
    if command != "rm --force":
        assert status(cli, "box") == "exited"
    assert not descendants_named("false")


@pytest.mark.parametrize("command", ["stop --time 0", "kill", "kill --signal TERM"])
def test_who_ends_it_wins_while_it_runs(cli: Cli, image: str, command: str) -> None:
    cli(*RUN, "--init", "--name", "box", "--restart=unless-stopped", image, "sleep", "1000")
    cli(*command.split(), "box")
    cli("wait", "box")
    assert cli.inspect("box", "{{.State.Status}} {{.RestartCount}}") == "exited 0"
    identity = cli.inspect("box", "{{.Id}}")
    record = cli.root / "containers" / identity / "exit.json"
    assert json.loads(record.read_text())["stoppedByUser"] is True
    cli("start", "box")
    eventually(lambda: json.loads(record.read_text())["stoppedByUser"] is False)


def test_another_signal_does_not_end_the_policy(cli: Cli, image: str) -> None:
    program = "trap 'exit 7' USR1; while true; do sleep 0.05; done"
    cli(*RUN, "--name", "box", "--restart=on-failure:1", image, "sh", "-c", program)
    eventually(
        lambda: cli("kill", "--signal", "USR1", "box", status=None).status == 0 and restarts(cli, "box") == 1
    )
    cli("stop", "--time", "0", "box")


def test_a_foreground_run_ends_with_the_first_exit(cli: Cli, image: str) -> None:
    command = ("run", "--network=none", "--name", "box", "--restart=always", image)
    result = cli(*command, "sh", "-c", "echo x; exit 4", status=4)
    assert result.stdout == "x\n"
    eventually(lambda: restarts(cli, "box") >= 1)
    cli("rm", "--force", "box")


def test_it_goes_on_after_a_restart_that_fails(cli: Cli, image: str, scratch: Path) -> None:
    source = scratch / "source"
    source.mkdir()
    options = ("--name", "box", "--restart=always", "-v", f"{source}:/data")
    cli(*RUN, *options, image, "sh", "-c", "sleep 0.1; exit 1")
    source.rename(scratch / "elsewhere")
    eventually(lambda: "source" in cli.inspect("box", "{{.State.Error}}"))
    (scratch / "elsewhere").rename(source)
    eventually(lambda: cli("exec", "box", "true", status=None).status == 0)
    cli("stop", "--time", "0", "box")


def test_the_supervisor_does_not_grow(cli: Cli, image: str) -> None:
    cli(*RUN, "--name", "box", "--restart=always", image, "false")

    def descriptors_after(number: int) -> int:
        eventually(lambda: restarts(cli, "box") >= number)
        return descriptors_at_rest(supervisor_of(cli, "box"))

    assert descriptors_after(1) == descriptors_after(4)
    cli("stop", "box")


@pytest.mark.parametrize("when", ["running", "restarting"])
def test_a_killed_supervisor_leaves_a_usable_container(cli: Cli, image: str, when: str) -> None:
    command = ("sleep", "1000") if when == "running" else ("false",)
    cli(*RUN, "--name", "box", "--restart=always", image, *command)
    eventually(lambda: status(cli, "box") == when)
    kill(supervisor_of(cli, "box"))
    eventually(lambda: status(cli, "box") == "exited")
    eventually(lambda: not descendants_named("sleep"))  # it dies with it, in its own time
    cli("start", "box")
    cli("rm", "--force", "box")


def test_a_supervisor_that_is_to_end_stops_its_container(cli: Cli, image: str) -> None:
    listens = "trap 'exit 3' HUP; while :; do sleep 0.01; done"
    options = ("--restart=always", "--stop-signal=HUP")
    cli(*RUN, "--name=listens", *options, image, "sh", "-c", listens)
    cli(*RUN, "--name=deaf", *options, "--stop-timeout=1", image, "sleep", "1000")
    cli(*RUN, "--name=impatient", *options, "--stop-timeout=0", image, "sleep", "1000")
    for name, exit_code in (("listens", "3"), ("deaf", "137"), ("impatient", "137")):
        kill(supervisor_of(cli, name), signal.SIGTERM)
        eventually(lambda name=name: status(cli, name) == "exited")
        shown = cli.inspect(name, "{{.State.ExitCode}} {{.State.StoppedByUser}} {{.State.OOMKilled}}")
        assert shown == f"{exit_code} false false"


def test_policies_that_make_no_sense(cli: Cli, image: str) -> None:
    wrong = cli("create", "--restart=disabled", image, status=125)
    assert "Hint: write --restart=no\n" in wrong.stderr
    wrong = cli("run", "--rm", "--restart=always", image, status=125)
    assert "--rm cannot be combined with --restart=always" in wrong.stderr


def test_restart_of_a_running_container(cli: Cli, image: str) -> None:
    cli(*RUN, "--init", "--name", "box", image, "sh", "-c", "echo run; exec sleep 1000")
    before = cli.inspect("box", "{{.State.Pid}}")
    supervisor = supervisor_of(cli, "box")
    assert cli("restart", "box").stdout == "box\n"
    assert cli.inspect("box", "{{.State.Status}}") == "running"
    assert cli.inspect("box", "{{.State.Pid}}") != before
    assert supervisor_of(cli, "box") == supervisor
    assert restarts(cli, "box") == 0
    eventually(lambda: cli("logs", "box").lines == ["run", "run"])
    assert cli("restart", "--time", "0", "--running", "--all").lines == [cli.inspect("box", "{{.Id}}")]


def test_restart_with_a_signal_of_choice(cli: Cli, image: str) -> None:
    script = "trap 'echo usr1; exit' USR1; trap 'echo term; exit' TERM; echo up; while :; do sleep 0.1; done"
    cli(*RUN, "--name", "box", image, "sh", "-c", script)
    eventually(lambda: cli("logs", "box").lines == ["up"])
    cli("restart", "--signal", "USR1", "box")
    eventually(lambda: cli("logs", "box").lines == ["up", "usr1", "up"])
    assert "there is no such signal" in cli("restart", "--signal", "NOPE", "box", status=125).stderr


def test_restart_starts_what_does_not_run(cli: Cli, image: str) -> None:
    cli("create", "--network=none", "--name", "box", image, "sleep", "1000")
    assert cli("restart", "--running", "--all").stdout == ""
    cli("restart", "box")
    assert status(cli, "box") == "running"


def test_restart_does_not_remove_a_container_of_run_rm(cli: Cli, image: str) -> None:
    cli(*RUN, "--rm", "--init", "--name", "box", image, "sleep", "1000")
    cli("exec", "box", "touch", "/kept")
    cli("restart", "box")
    cli("exec", "box", "test", "-e", "/kept")
    cli("stop", "box")
    assert cli.ids() == []


def test_restart_during_back_off(cli: Cli, image: str) -> None:
    cli(*RUN, "--name", "box", "--restart=on-failure", image, "sh", "-c", "test -e /go && exec sleep 1000")
    eventually(lambda: restarts(cli, "box") >= 1 and status(cli, "box") == "restarting")
    cli("restart", "box")
    assert restarts(cli, "box") == 0
    cli("stop", "--time", "0", "box")


def test_init_sets_up_and_start_lets_go(cli: Cli, image: str) -> None:
    cli("create", "--network=none", "--name", "box", image, "sh", "-c", "echo told; exec sleep 1000")
    assert cli("init", "box").stdout == "box\n"
    assert status(cli, "box") == "initialized"
    assert cli("ps", "-a", "--format", "{{.Status}}").stdout == "Initialized\n"
    assert cli("logs", "box").stdout == ""
    cli("exec", "box", "true", status=125)
    cli("init", "box", status=125)
    cli("start", "box")
    assert status(cli, "box") == "running"
    eventually(lambda: cli("logs", "box").stdout == "told\n")


@pytest.mark.parametrize("command", ["stop", "kill", "rm --force"])
def test_what_was_initialized_can_be_ended(cli: Cli, image: str, command: str) -> None:
    cli("create", "--network=none", "--name", "box", image, "true")
    cli("init", "box")
    cli(*command.split(), "box")
    if command != "rm --force":
        eventually(lambda: status(cli, "box") == "created")
        cli("start", "--attach", "box")


def test_start_attached_of_what_was_initialized(cli: Cli, image: str) -> None:
    cli("create", "--interactive", "--network=none", "--name", "box", image, "cat")
    cli("init", "box")
    assert cli("start", "--attach", "--interactive", "box", input="through\n").stdout == "through\n"
