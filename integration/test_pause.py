"""pause and unpause: by the container's cgroup, or by signals where it has none of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Cli, eventually


def own_cgroup() -> Path | None:
    """Return the directory of this process's cgroup (v2), if it may be written to."""
    text = re.search(r"^0::(.*)$", Path("/proc/self/cgroup").read_text(), re.MULTILINE)
    for mount in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        if text and os.access(f"{mount}/cgroup.procs", os.F_OK):
            path = Path(f"{mount}{text[1]}")
            return path if os.access(path, os.W_OK) else None
    return None


@pytest.fixture(params=["cgroup", "signals"])
def method(request: pytest.FixtureRequest) -> Iterator[str]:
    """How containers are paused; without a cgroup that is ours there is only one way."""
    cgroup = own_cgroup()
    if request.param == "cgroup":
        if cgroup is None:
            pytest.skip("no cgroup is delegated to us")
        yield "cgroup"
        return
    mode = cgroup.stat().st_mode & 0o7777 if cgroup else 0
    if cgroup:
        cgroup.chmod(0o555)
    yield "signals"
    if cgroup:
        cgroup.chmod(mode)


COUNT = "i=0; while :; do i=$((i+1)); echo $i > /dev/shm/n; done"


def started(cli: Cli, image: str) -> None:
    """Start a container whose child counts."""
    cli("run", "--detach", "--name=c", "--network=none", image, "sh", "-c", f"({COUNT}) & wait")
    cli("exec", "c", "sh", "-c", "until [ -s /dev/shm/n ]; do :; done")


def test_pause_and_unpause(cli: Cli, image: str, method: str) -> None:
    started(cli, image)
    done = cli("pause", "c")
    assert done.stdout == "c\n"
    assert ("stopped by signals" in done.stderr) == (method == "signals")
    assert cli.inspect("c", "{{.State.Status}} {{.State.Paused}}") == "paused true"
    assert cli("ps", "--filter=status=paused", "--format={{.Names}}").stdout == "c\n"
    before = cli("cp", "c:/dev/shm/n", "-").stdout
    assert cli("cp", "c:/dev/shm/n", "-").stdout == before
    assert "already paused" in cli("pause", "c", status=125).stderr
    assert "is paused" in cli("exec", "c", "true", status=125).stderr
    assert cli("unpause", "c").stdout == "c\n"
    assert cli.inspect("c", "{{.State.Status}}") == "running"
    eventually(lambda: cli("cp", "c:/dev/shm/n", "-", status=None).stdout != before)
    assert "not paused" in cli("unpause", "c", status=125).stderr


def test_processes_of_exec_are_paused_too(cli: Cli, image: str, method: str) -> None:
    cli("run", "--detach", "--init", "--name=c", "--network=none", image, "sleep", "1000")
    cli.start("exec", "c", "sh", "-c", COUNT)  # no descendant of the process 1 of --init
    cli("exec", "c", "sh", "-c", "until [ -s /dev/shm/n ]; do :; done")
    cli("pause", "c")
    before = cli("cp", "c:/dev/shm/n", "-").stdout
    assert cli("cp", "c:/dev/shm/n", "-").stdout == before
    cli("unpause", "c")
    eventually(lambda: cli("cp", "c:/dev/shm/n", "-", status=None).stdout != before)


def test_a_paused_container_can_be_stopped_killed_and_removed(cli: Cli, image: str, method: str) -> None:
    script = "trap 'exit 3' TERM; while :; do sleep 0.01; done"
    cli("run", "--detach", "--name=c", "--network=none", image, "sh", "-c", script)
    cli("pause", "--all")
    cli("stop", "--time=20", "c")
    assert cli.inspect("c", "{{.State.Status}} {{.State.ExitCode}}") == "exited 3"
    cli("start", "c")
    assert cli.inspect("c", "{{.State.Status}}") == "running"
    cli("container", "pause", "c")
    cli("kill", "c")
    cli("start", "c")
    cli("pause", "--latest")
    cli("rm", "--force", "--time=0", "c")


def test_what_does_not_run_cannot_be_paused(cli: Cli, image: str) -> None:
    cli("create", "--name=c", image, "true")
    assert "created" in cli("pause", "c", status=125).stderr
    assert "no such container" in cli("pause", "nothing", status=125).stderr
    assert cli("pause", "--all").stdout == ""


def test_commit_pauses_if_asked(cli: Cli, image: str, method: str) -> None:
    script = "while :; do echo 1 > /a; echo 1 > /b; echo 2 > /a; echo 2 > /b; done"
    cli("run", "--detach", "--name=c", "--network=none", image, "sh", "-c", script)
    cli("commit", "--quiet", "--pause", "c", "own/paused")
    assert cli.inspect("c", "{{.State.Status}}") == "running"
    cli("rmi", "own/paused")
