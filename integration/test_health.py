"""Health checks, made by the supervisor alone: what they find out, what comes of it, and what they leave."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from conftest import Registry
from harness import Cli, descendants_named, descriptors_at_rest, eventually, kill
from layouts import busybox_layer, make_layout

RUN = ("run", "--detach", "--network=none", "--name", "box")
OFTEN = ("--health-interval", "50ms")
FILE = ("--health-cmd", "echo probe >>/probes; test -f /ok")
SLEEP = ("sleep", "1000")
REST = ("tail", "-f", "/dev/null")
SOON = ("--interval", "20ms")


def health(cli: Cli, name: str = "box") -> Any:
    return json.loads(cli.inspect(name, "{{json .State.Health}}"))


def status(cli: Cli) -> str:
    found: str = health(cli)["Status"]
    return found


def becomes(cli: Cli, wanted: str) -> None:
    assert cli("wait", *SOON, f"--condition={wanted}", "box").stdout == "-1\n"


def probes(cli: Cli) -> int:
    """Return how many there were of those that leave a line."""
    return len(cli("exec", "box", "cat", "/probes", status=None).lines)


def supervisor(cli: Cli) -> int:
    path = cli.runroot / "containers" / cli.inspect("box", "{{.Id}}") / "state.json"
    return int(json.loads(path.read_text())["supervisor"])


# --- what they find out ----------------------------------------------------------------------


def test_from_starting_to_healthy_to_unhealthy(cli: Cli, image: str) -> None:
    cli(*RUN, *FILE, "--health-interval=disable", "--health-retries=2", image, *SLEEP)
    assert health(cli) == {"Status": "starting", "FailingStreak": 0, "Log": None}
    assert cli("ps", "--format", "{{.Status}}").stdout.endswith("(starting)\n")
    assert cli("healthcheck", "run", "box", status=1).stdout == "unhealthy\n"
    assert (health(cli)["Status"], health(cli)["FailingStreak"]) == ("starting", 1)
    cli("exec", "box", "touch", "/ok")
    assert cli("healthcheck", "run", "box").stdout == ""
    assert cli("ps", "--format", "{{.Status}}").stdout.endswith("(healthy)\n")
    cli("exec", "box", "rm", "/ok")
    for streak, state in ((1, "healthy"), (2, "unhealthy"), (3, "unhealthy")):
        cli("healthcheck", "run", "box", status=1)
        assert (health(cli)["FailingStreak"], status(cli)) == (streak, state)
    assert len(cli("ps", "--quiet", "--filter", "health=unhealthy").lines) == 1
    assert not cli("ps", "--quiet", "--filter", "health=healthy").lines
    assert probes(cli) == 5
    shown = ("events", "--no-stream", "--filter", "event=health_status", "--filter", "container=box")
    assert cli(*shown, "--format", "{{.HealthStatus}}").lines[-2:] == ["healthy", "unhealthy"]
    cli("kill", "box")
    cli("wait", "box")
    assert (status(cli), health(cli)["FailingStreak"]) == ("stopped", 3)


def test_by_themselves(cli: Cli, image: str) -> None:
    cli(*RUN, *FILE, *OFTEN, "--health-retries=2", image, *SLEEP)
    becomes(cli, "unhealthy")
    cli("exec", "box", "touch", "/ok")
    becomes(cli, "healthy")
    eventually(lambda: len(health(cli)["Log"]) == 5)
    assert probes(cli) >= 3


def test_the_log_has_output_and_status(cli: Cli, image: str) -> None:
    program = "echo out; echo err >&2; exit 3"
    cli(*RUN, "--health-cmd", program, "--health-interval=disable", image, *SLEEP)
    cli("healthcheck", "run", "box", status=1)
    (entry,) = health(cli)["Log"]
    assert (entry["ExitCode"], entry["Output"]) == (3, "out\nerr\n")
    assert entry["Start"] < entry["End"]


def test_output_is_bounded(cli: Cli, image: str) -> None:
    program = "head -c 3000000 /dev/zero | tr '\\0' x"
    cli(*RUN, "--health-cmd", program, "--health-interval=disable", image, *SLEEP)
    cli("healthcheck", "run", "box")
    assert health(cli)["Log"][0]["Output"] == 4096 * "x" + "..."


@pytest.mark.parametrize(
    ("check", "code", "output"),
    [
        ('["/bin/nothing"]', 127, "command not found in the image: /bin/nothing"),
        ('["/etc"]', 126, "cannot execute /etc: is a directory"),
        ('["sh", "-c", "kill -9 $$"]', 137, ""),
    ],
)
def test_a_check_that_does_not_come_to_an_end_of_its_own(
    cli: Cli, image: str, check: str, code: int, output: str
) -> None:
    cli(*RUN, "--health-cmd", check, "--health-interval=disable", image, *SLEEP)
    cli("healthcheck", "run", "box", status=1)
    (entry,) = health(cli)["Log"]
    assert (entry["ExitCode"], entry["Output"]) == (code, output)


def test_it_runs_as_the_container_does(cli: Cli, image: str, scratch: Path) -> None:
    cli("secret", "create", "pw", "-", input="secret")
    program = 'echo "$A $pw $(id -u) $PWD"; grep -E "Seccomp:|CapEff|NoNewPrivs" /proc/self/status'
    options = ("-e", "A=b", "--secret", "pw,type=env", "-u", "7", "-w", "/tmp", "--cap-drop=all")
    cli(*RUN, *options, "--health-interval=disable", "--health-cmd", program, image, *SLEEP)
    cli("healthcheck", "run", "box")
    words = health(cli)["Log"][0]["Output"].split()
    assert words == [
        *("b", "secret", "7", "/tmp", "CapEff:", "0000000000000000", "NoNewPrivs:", "0", "Seccomp:", "2"),
    ]
    cli("rm", "-f", "-t0", "box")
    cli("secret", "rm", "pw")


def test_failures_of_the_start_period_do_not_count(cli: Cli, image: str) -> None:
    times = ("--health-start-period=1h", "--health-start-interval=50ms", "--health-interval=50ms")
    cli(*RUN, *FILE, *times, "--health-retries=1", image, *SLEEP)
    eventually(lambda: probes(cli) >= 3)
    assert (status(cli), health(cli)["FailingStreak"]) == ("starting", 0)
    cli("exec", "box", "touch", "/ok")
    becomes(cli, "healthy")
    cli("exec", "box", "rm", "/ok")
    becomes(cli, "unhealthy")


def test_who_takes_too_long_is_killed_with_all_its_processes(cli: Cli, image: str) -> None:
    program = "echo so far; sleep 2000 & sleep 2000"
    times = ("--health-timeout=200ms", "--health-interval=disable")
    cli(*RUN, "--init", "--health-cmd", program, *times, image, *REST)
    cli("healthcheck", "run", "box", status=1)
    (entry,) = health(cli)["Log"]
    assert (entry["ExitCode"], entry["Output"]) == (-1, "Health check exceeded timeout (0.2s): so far\n")
    eventually(lambda: not descendants_named("sleep"))


def test_what_a_check_leaves_running_does_not_hold_it_up(cli: Cli, image: str) -> None:
    cli(*RUN, "--health-cmd", "echo x; sleep 2000 &", "--health-interval=disable", image, *SLEEP)
    cli("healthcheck", "run", "box")
    assert health(cli)["Log"][0]["Output"] == "x\n"


def test_pausing_stops_them(cli: Cli, image: str) -> None:
    cli(*RUN, *FILE, *OFTEN, image, *SLEEP)
    eventually(lambda: probes(cli) >= 2)
    cli("pause", "box")
    assert "is paused" in cli("healthcheck", "run", "box", status=125).stderr
    mark = cli.runroot / "containers" / cli.inspect("box", "{{.Id}}") / "paused.json"
    since = json.loads(mark.read_text())["since"]
    with pytest.raises(AssertionError):
        eventually(lambda: health(cli)["Log"][-1]["Start"] > since, 0.5)
    cli("unpause", "box")
    before = probes(cli)
    eventually(lambda: probes(cli) > before + 1)


def test_a_pause_does_not_use_up_the_time_of_a_probe(cli: Cli, image: str) -> None:
    program = "touch /begun; while ! test -f /ok; do sleep 0.05; done"
    times = ("--health-timeout=2s", "--health-interval=disable")
    cli(*RUN, "--health-cmd", program, *times, image, *SLEEP)
    checking = cli.start("healthcheck", "run", "box")
    eventually(lambda: cli("exec", "box", "test", "-f", "/begun", status=None).status == 0)
    cli("pause", "box")
    with pytest.raises(AssertionError):
        eventually(lambda: checking.poll() is not None, 2.5)
    cli("unpause", "box")
    cli("exec", "box", "touch", "/ok")
    assert checking.wait(20) == 0


# --- what comes of it ------------------------------------------------------------------------

FAILS = ("--health-cmd", "exit 1", *OFTEN, "--health-retries=2")


def test_kill(cli: Cli, image: str) -> None:
    cli(*RUN, *FAILS, "--health-on-failure=kill", image, *SLEEP)
    assert cli("wait", "box").stdout == "137\n"
    assert (status(cli), health(cli)["FailingStreak"]) == ("stopped", 2)
    shown = cli.inspect("box", "{{.State.StoppedByUser}} {{.Config.HealthcheckOnFailureAction}}")
    assert shown == "false kill"


def test_kill_leaves_the_rest_to_the_restart_policy(cli: Cli, image: str) -> None:
    cli(*RUN, *FAILS, "--health-on-failure=kill", "--restart=on-failure:2", image, *SLEEP)
    assert cli("wait", "box").stdout == "137\n"
    assert cli.inspect("box", "{{.RestartCount}}") == "2"


@pytest.mark.parametrize("policy", ["no", "always"])
def test_stop(cli: Cli, image: str, policy: str) -> None:
    program = "trap 'exit 5' TERM; while true; do sleep 0.05; done"
    cli(*RUN, *FAILS, "--health-on-failure=stop", f"--restart={policy}", image, "sh", "-c", program)
    assert cli("wait", "box").stdout == "5\n"
    assert cli.inspect("box", "{{.State.StoppedByUser}} {{.RestartCount}}") == "true 0"


def test_stop_kills_after_the_timeout(cli: Cli, image: str) -> None:
    cli(*RUN, *FAILS, "--health-on-failure=stop", "--stop-timeout=1", image, *SLEEP)
    assert cli("wait", "box").stdout == "137\n"


@pytest.mark.parametrize("rm", ["--rm=false", "--rm"])
def test_restart(cli: Cli, image: str, rm: str) -> None:
    program = "test -f /again && touch /ok; touch /again; trap 'exit 5' TERM; while true; do sleep 0.1; done"
    options = (*FILE, *OFTEN, "--health-retries=2", "--health-on-failure=restart", rm)
    cli(*RUN, *options, image, "sh", "-c", program)
    first = supervisor(cli)
    becomes(cli, "healthy")
    assert cli.inspect("box", "{{.RestartCount}}") == "1"
    assert supervisor(cli) == first
    assert all(entry["ExitCode"] == 0 for entry in health(cli)["Log"])


def test_none_goes_on(cli: Cli, image: str) -> None:
    cli(*RUN, *FAILS, image, *SLEEP)
    eventually(lambda: health(cli)["FailingStreak"] > 3)
    assert cli.inspect("box", "{{.State.Status}}") == "running"


def test_a_restart_begins_anew(cli: Cli, image: str) -> None:
    options = (*FILE, "--health-interval=disable", "--health-retries=1")
    cli(*RUN, *options, image, *SLEEP)
    cli("exec", "box", "touch", "/ok")
    cli("healthcheck", "run", "box")
    cli("restart", "--time=0", "box")
    assert health(cli) == {"Status": "starting", "FailingStreak": 0, "Log": None}
    cli("stop", "--time=0", "box")
    cli("start", "box")
    assert status(cli) == "starting"


# --- where they come from --------------------------------------------------------------------


@pytest.fixture
def checked(cli: Cli, image: str) -> Any:
    """An image with a health check of its own."""
    cli("create", "--name", "maker", image, "true")
    change = "HEALTHCHECK --interval=50ms --retries=7 CMD test -f /ok"
    cli("commit", "--quiet", "--change", change, "maker", "checked:1")
    cli("rm", "maker")
    yield "checked:1"
    cli("rm", "-f", "-t0", "box")
    cli("rmi", "-f", "checked:1")


def test_of_the_image(cli: Cli, checked: str) -> None:
    cli(*RUN, checked, *SLEEP)
    assert status(cli) == "starting"
    cli("exec", "box", "touch", "/ok")
    becomes(cli, "healthy")
    cli("rm", "-f", "-t0", "box")
    cli(*RUN, "--health-cmd=true", checked, *SLEEP)
    becomes(cli, "healthy")
    assert json.loads(cli.inspect("box", "{{json .Config.Healthcheck}}")) == {
        "Test": ["CMD-SHELL", "true"],
        "Interval": 50_000_000,
        "Timeout": 30_000_000_000,
        "Retries": 7,
    }


def test_of_an_image_that_says_nonsense(cli: Cli, registry: Registry, tmp_path: Path) -> None:
    config = {"Healthcheck": {"Test": ["CMD", "true"], "Interval": "often"}}
    name = registry.push(make_layout(tmp_path / "l", [busybox_layer()], config=config), "nonsense")
    cli("pull", "--quiet", name)
    result = cli(*RUN, name, *SLEEP)
    assert "ignoring the image's health check: its Interval is often" in result.stderr
    assert status(cli) == ""
    cli("rm", "-f", "-t0", "box")
    cli("rmi", name)


@pytest.mark.parametrize("option", ["--no-healthcheck", "--health-cmd=none"])
def test_of_the_image_turned_off(cli: Cli, checked: str, option: str) -> None:
    cli(*RUN, option, checked, *SLEEP)
    assert status(cli) == ""
    assert "no defined healthcheck" in cli("healthcheck", "run", "box", status=125).stderr
    assert "no health check" in cli("wait", "--condition=healthy", "box", status=125).stderr


def test_commit_keeps_them(cli: Cli, image: str) -> None:
    cli("create", "--name", "box", "--health-cmd", "true", "--health-retries=2", image, "true")
    cli("commit", "--quiet", "box", "kept:1")
    shown = cli("inspect", "--type=image", "--format", "{{json .Config.Healthcheck}}", "kept:1").stdout
    assert json.loads(shown) == {"Test": ["CMD-SHELL", "true"], "Retries": 2}
    cli("rm", "box")
    cli("rmi", "kept:1")


# --- commands --------------------------------------------------------------------------------


def test_what_cannot_be_checked(cli: Cli, image: str) -> None:
    assert "no such container" in cli("healthcheck", "run", "nothing", status=125).stderr
    cli("create", "--name", "box", "--network=none", "--health-cmd=true", image, *SLEEP)
    assert "is not running" in cli("healthcheck", "run", "box", status=125).stderr
    cli("run", "-d", "--name", "plain", "--network=none", image, *SLEEP)
    assert "no defined healthcheck" in cli("healthcheck", "run", "plain", status=125).stderr


def test_waiting_for_what_will_not_come(cli: Cli, image: str) -> None:
    cli("run", "--name", "box", "--network=none", "--health-cmd=true", image, "sh", "-c", "exit 3", status=3)
    assert "has exited with 3" in cli("wait", "--condition=healthy", "box", status=125).stderr
    assert cli("wait", "--condition=healthy,exited", "box").stdout == "3\n"


def test_a_check_whose_container_ends(cli: Cli, image: str) -> None:
    cli(*RUN, "--health-cmd", "touch /begun; sleep 1000", "--health-interval=disable", image, *SLEEP)
    checking = cli.start("healthcheck", "run", "box")
    eventually(lambda: cli("exec", "box", "test", "-f", "/begun", status=None).status == 0)
    cli("restart", "--time=0", "box")
    assert b"could not be checked" in checking.communicate(timeout=20)[1]
    assert checking.returncode == 125


def test_each_who_asks_gets_a_probe_made_afterwards(cli: Cli, image: str) -> None:
    program = "test -f /ok && exit; touch /begun; while ! test -f /go; do sleep 0.05; done; exit 1"
    cli(*RUN, "--health-cmd", program, "--health-interval=disable", image, *SLEEP)
    first = cli.start("healthcheck", "run", "box")
    eventually(lambda: cli("exec", "box", "test", "-f", "/begun", status=None).status == 0)
    cli("exec", "box", "touch", "/ok")
    more = [cli.start("healthcheck", "run", "box") for _ in range(3)]
    with pytest.raises(AssertionError):
        eventually(lambda: any(each.poll() is not None for each in more), 0.3)
    cli("exec", "box", "touch", "/go")
    assert first.wait(20) == 1
    assert [each.wait(20) for each in more] == [0, 0, 0]
    assert len(health(cli)["Log"]) >= 2


# --- what they leave -------------------------------------------------------------------------

LONG = ("--health-cmd", "sleep 3000 & sleep 3000", "--health-interval=50ms")


@pytest.mark.parametrize("init", ["--init=false", "--init"])
def test_a_probe_that_ends_with_the_container_has_not_failed(cli: Cli, image: str, init: str) -> None:
    options = (*LONG, init, "--health-retries=1", "--health-on-failure=restart")
    cli(*RUN, *options, image, "sh", "-c", "while ! test -f /end; do sleep 0.05; done; exit 7")
    eventually(lambda: cli("top", "box", "-eo", "args").lines.count("sleep 3000") == 2)
    cli("exec", "box", "touch", "/end")
    assert cli("wait", "box").stdout == "7\n"
    assert (cli.inspect("box", "{{.RestartCount}}"), health(cli)["FailingStreak"]) == ("0", 0)


@pytest.mark.parametrize("pid", ["private", "host"])
@pytest.mark.parametrize("end", ["rm", "supervisor"])
def test_nothing_is_left_of_a_probe_under_way(cli: Cli, image: str, pid: str, end: str) -> None:
    cli(*RUN, *LONG, f"--pid={pid}", image, *REST)
    eventually(lambda: len(descendants_named("sleep")) == 2)
    if end == "rm":
        cli("rm", "-f", "-t0", "box")
    else:
        kill(supervisor(cli), signal.SIGKILL)
    eventually(lambda: not descendants_named("sleep") and not descendants_named("tail"))


def test_the_supervisor_does_not_grow(cli: Cli, image: str) -> None:
    cli(*RUN, "--health-cmd", "echo x >>/probes; echo y", "--health-interval=1ms", image, *SLEEP)

    def after(number: int) -> tuple[int, int]:
        eventually(lambda: probes(cli) >= number, 40)
        pid = supervisor(cli)
        status = Path(f"/proc/{pid}/status").read_text().split()
        return descriptors_at_rest(pid), int(status[status.index("RssAnon:") + 1])

    (few, little), (many, much) = after(20), after(220)
    assert many == few
    assert much < little + 500


def test_they_outlive_their_directory(cli: Cli, image: str) -> None:
    cli(*RUN, *FILE, "--health-interval=disable", image, *SLEEP)
    cli("exec", "box", "touch", "/ok")
    cli("healthcheck", "run", "box")
    directory = cli.runroot / "containers" / cli.inspect("box", "{{.Id}}")
    for name in ("health.json", "state.json"):
        (directory / name).unlink()
    eventually(lambda: (directory / "health.json").exists())
    cli("healthcheck", "run", "box")
    assert status(cli) == "healthy"
