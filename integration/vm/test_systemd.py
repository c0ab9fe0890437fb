"""Containers below a real systemd: delegated units, login sessions, memory limits, the journal."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from harness import Cli, Result, eventually

CGROUPS = Path("/sys/fs/cgroup")
SCOPE, SERVICE = ("--scope",), ("--pipe", "--wait")


def unit(cli: Cli, script: str, *options: str, status: int = 0) -> Result:
    """Run lines of shell in a transient unit of the user's systemd: SCOPE or SERVICE, and its properties."""
    path = f"{os.path.dirname(cli.program)}:{cli.env['PATH']}"
    variables = [f"{name}={value}" for name, value in cli.environment(PATH=path).items()]
    command = ["systemd-run", "--user", "--quiet", "--collect", *options, "env", "-i", *variables]
    done = subprocess.run(
        [*command, "sh", "-c", script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
    )
    result = Result((*options, script), done.returncode, done.stdout, done.stderr)
    assert result.status == status, str(result)
    return result


def session(cli: Cli, user: str, script: str) -> str:
    """Run lines of shell in a login session, which pam_systemd(8) makes; return their output."""
    script = f"exec 2>&1; PATH={os.path.dirname(cli.program)}:$PATH; {script}"
    done = subprocess.run(
        ["sudo", "-n", "systemd-run", "--quiet", "--pipe", "--wait", "su", "-l", user, "-c", script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def status(cli: Cli, name: str) -> str:
    return cli.inspect(name, "{{.State.Status}}")


def test_a_container_of_a_scope_has_a_cgroup_of_its_own(cli: Cli, image: str) -> None:
    unit(cli, f"daemonless run -d --name=c --network=none {image} sleep 1000", *SCOPE, "--unit=own.scope")
    cgroup = Path(cli.inspect("c", "{{.State.CgroupPath}}"))
    assert cgroup.parent.name == "own.scope" and cgroup.name.startswith("daemonless-")
    assert cli.inspect("c", "{{.State.Pid}}") in (cgroup / "cgroup.procs").read_text().split()
    cli("pause", "c")
    assert "frozen 1" in (cgroup / "cgroup.events").read_text()
    cli("unpause", "c")
    cli("rm", "--force", "--time=0", "c")
    eventually(lambda: not cgroup.parent.exists(), message="the scope did not end with its last process")


def test_a_login_session_has_no_cgroup_to_give(cli: Cli, image: str) -> None:
    shown = session(
        cli,
        "tester",
        f"set -e; daemonless run -d --name s --network=none {image} sleep 1000;"
        "cat /proc/$(daemonless inspect -f '{{.State.Pid}}' s)/cgroup;"
        "daemonless pause s; daemonless unpause s",
    )
    assert "/session-" in shown and "daemonless-" not in shown
    assert "stopped by signals" in shown


@pytest.mark.parametrize("user", ["tester", "guest"])  # the one lingers, the other does not
def test_a_container_outlives_its_login_session(cli: Cli, image: str, user: str) -> None:
    session(cli, user, f"daemonless run -d --name s --replace --network=none {image} sleep 1000")
    shown = session(cli, user, "daemonless exec s echo inside; daemonless rm --force --time 0 s")
    assert shown == "inside\ns\n"


def test_a_scope_ends_with_the_last_login_of_who_does_not_linger(cli: Cli, image: str) -> None:
    options = "--name s --restart=always --stop-timeout=1 --network=none"
    session(cli, "guest", f"systemd-run --user --scope daemonless run -d {options} {image} sleep 1000")
    uid = subprocess.run(["id", "-u", "guest"], capture_output=True, text=True, check=True).stdout.strip()
    eventually(lambda: not os.path.exists(f"/run/user/{uid}"), 60, "the user's systemd did not end")
    shown = session(cli, "guest", "daemonless ps --all --format '{{.Names}} {{.Status}}'; daemonless rm s")
    assert shown.startswith("s Exited (137)"), shown


@pytest.mark.parametrize(
    ("unit_options", "goes_on"),
    [(SCOPE, True), (SERVICE, False), ((*SERVICE, "--property=KillMode=process"), True)],
)
def test_what_ends_with_a_unit(cli: Cli, image: str, unit_options: tuple[str, ...], goes_on: bool) -> None:
    run = f"daemonless run -d --name=c --restart=always --stop-timeout=1 --network=none {image} sleep 1000"
    unit(cli, run, *unit_options)
    assert status(cli, "c") == ("running" if goes_on else "exited")
    if not goes_on:
        assert cli.inspect("c", "{{.State.ExitCode}} {{.State.StoppedByUser}}") == "137 false"


# Without Delegate= systemd ends a whole unit of which a process was killed.
@pytest.mark.parametrize(
    ("unit_options", "is_spared"),
    [
        ((*SCOPE, "--property=Delegate=yes"), True),
        (SCOPE, False),
        ((*SERVICE, "--property=Delegate=yes"), True),
        (SERVICE, False),
    ],
)
def test_an_out_of_memory_kill_is_recorded(
    cli: Cli, image: str, unit_options: tuple[str, ...], is_spared: bool
) -> None:
    run = f"daemonless run --name=c --network=none {image} dd if=/dev/zero of=/dev/null bs=200M count=1"
    limit = ("--property=MemoryMax=100M", "--property=MemorySwapMax=0")
    path = Path(cli.environment()["DAEMONLESS_RUNROOT"]) / "events.jsonl"
    path.unlink(missing_ok=True)
    if is_spared:
        done = unit(cli, run, *unit_options, *limit, status=137)
        assert "ran out of memory" in done.stderr
    else:
        with pytest.raises(AssertionError):
            unit(cli, run, *unit_options, *limit, status=137)
    eventually(lambda: status(cli, "c") == "exited")
    assert cli.inspect("c", "{{.State.ExitCode}} {{.State.OOMKilled}}") == "137 true"
    events = [json.loads(line) for line in cli("events", "--stream=false", "--format=json").lines]
    assert [event["Status"] for event in events if event["Name"] == "c"].count("oom") == 1


def test_another_containers_out_of_memory_kill_is_not_ours(cli: Cli, image: str) -> None:
    """Two containers in one scope; the memory controller counts for the scope alone."""
    run = "daemonless run --network=none"
    unit(
        cli,
        f"{run} -d --name=a {image} sleep 1000; {run} -d --name=b --stop-timeout=0 {image} sleep 1000;"
        f"{run} --name=c {image} dd if=/dev/zero of=/dev/null bs=200M count=1; daemonless stop b",
        *(*SCOPE, "--property=Delegate=yes", "--property=MemoryMax=100M", "--property=MemorySwapMax=0"),
    )
    cli("kill", "a")
    eventually(lambda: status(cli, "a") == "exited")
    shown = [cli.inspect(name, "{{.State.ExitCode}} {{.State.OOMKilled}}") for name in "abc"]
    assert shown == ["137 false", "137 false", "137 true"]


def test_the_journal(cli: Cli, image: str) -> None:
    options = ("--name=c", "--network=none", "--log-driver=journald")
    cli("run", *options, image, "sh", "-c", "echo out; echo err >&2")
    wanted = f"CONTAINER_NAME=c CONTAINER_ID_FULL={cli.inspect('c', '{{.Id}}')}".split()

    def entries() -> list[tuple[str, str]]:
        done = subprocess.run(
            ["journalctl", "--user", "--quiet", "--output=json", *wanted], capture_output=True, text=True
        )
        found = [json.loads(line) for line in done.stdout.splitlines()]
        return sorted((entry["PRIORITY"], entry["MESSAGE"]) for entry in found)

    eventually(lambda: entries() == [("3", "err"), ("6", "out")], message=str(entries()))
    shown = cli("logs", "c", status=None)
    assert (shown.status, shown.stdout, shown.stderr) == (0, "out\n", "err\n"), str(shown)


def test_limits_of_a_build_are_those_of_its_cgroup(cli: Cli, image: str, tmp_path: Path) -> None:
    """In a user's unit the controllers are at hand beside the unit's own cgroup, or below it."""
    (tmp_path / "Dockerfile").write_text(
        f"FROM {image}\nRUN --network=none cd /sys/fs/cgroup && cat memory.max memory.swap.max cpu.max\n"
    )
    options = "--no-cache --progress plain --memory 64m --memory-swap 96m --cpus 0.5"
    done = unit(cli, f"daemonless build {options} {tmp_path}", *SCOPE, "--property=Delegate=yes")
    said = [line.split(maxsplit=2)[2] for line in done.stderr.splitlines() if line.startswith("#2 ")]
    assert said[1:4] == [str(64 << 20), str(32 << 20), "50000 100000"]
    (tmp_path / "Dockerfile").write_text(
        f"FROM {image}\nRUN --network=none head -c 200000000 /dev/zero | tail -n 1 | wc -c; true\n"
    )
    done = unit(cli, f"daemonless build {options} {tmp_path}", *SCOPE, "--property=Delegate=yes")
    assert "the kernel has killed processes of this step" in done.stderr
    left = [path for path in CGROUPS.rglob("daemonless.*") if path.is_dir()]
    assert left == []
