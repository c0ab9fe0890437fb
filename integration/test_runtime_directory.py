"""The volatile half of the state: missing, deleted under running containers, or somebody else's.

And who is who: a process is its pid and the time it was started, in this boot.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from harness import Cli, eventually, processes

QUICK = ("--network=none",)


def test_it_is_deleted_while_containers_run(cli: Cli, image: str) -> None:
    script = "trap 'exit 5' TERM; while :; do sleep 0.05; done"
    cli("run", "-d", *QUICK, "--name", "alive", image, "sh", "-c", script)
    cli("create", *QUICK, "--name", "created", image, "true")
    pid = cli.inspect("alive", "{{.State.Pid}}")
    shutil.rmtree(cli.runroot)
    eventually(lambda: cli.inspect("alive", "{{.State.Status}}") == "running")
    assert cli.inspect("alive", "{{.State.Pid}}") == pid
    assert cli("exec", "alive", "echo", "here").stdout == "here\n"
    assert cli("start", "alive").stdout == "alive\n"  # it is told from one that has ended
    shutil.rmtree(cli.runroot / "containers")
    eventually(lambda: cli.inspect("alive", "{{.State.Status}}") == "running")
    cli("stop", "alive")
    assert cli.inspect("alive", "{{.State.ExitCode}}") == "5"
    assert cli("start", "-a", "created").status == 0


def test_a_container_removed_with_its_runtime_directory_ends(cli: Cli, image: str) -> None:
    """Nothing runs that is not listed."""
    cli("run", "-d", *QUICK, "--name", "gone", image, "sleep", "1000")
    (identifier,) = cli.ids()
    (cli.root / "trash").mkdir(exist_ok=True)
    (cli.root / "containers" / identifier).rename(cli.root / "trash" / "of-somebody")
    shutil.rmtree(cli.runroot / "containers" / identifier)
    eventually(lambda: not processes())
    cli("rm", "-f", "gone")
    cli("run", "--rm", *QUICK, image, "true")


@pytest.mark.parametrize("kind", ["missing", "open to all", "a link", "a file", "not ours"])
def test_what_can_be_wrong_with_it(cli: Cli, image: str, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "run"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    if kind == "open to all":
        place.mkdir()
        place.chmod(0o777)
    elif kind == "a link":
        place.symlink_to(elsewhere)
    elif kind == "a file":
        place.touch()
    elif kind == "not ours":
        place = Path("/usr/share")
    env = {"DAEMONLESS_RUNROOT": str(place)}
    words = ("run", "--rm", *QUICK, image, "true")
    result = cli(*words, env=env, status=0 if kind == "missing" else 125)
    if kind != "missing":
        assert result.stderr.count("Error:") == 1 and str(place) in result.stderr, result
        assert "Hint:" in result.stderr
    assert not list(elsewhere.iterdir())


def test_without_xdg_runtime_dir(cli: Cli, image: str, tmp_path: Path) -> None:
    """No login session: a directory of the user's own in /tmp, or /run/user/UID where there is one."""
    env = {"XDG_RUNTIME_DIR": "", "DAEMONLESS_RUNROOT": ""}
    assert cli("run", "--rm", *QUICK, image, "echo", "hi", env=env).stdout == "hi\n"
    for value in ("relative", "/nonexistent/xdg", "/root"):
        assert cli("ps", env={"XDG_RUNTIME_DIR": value, "DAEMONLESS_RUNROOT": ""}).status == 0


# A pid that is somebody else's by now: made by giving it to a bystander, in a pid namespace of ours.
REUSE = r"""
import json, os, signal, subprocess, sys, time
cli, image, root, run = sys.argv[1:]
env = {**os.environ, "DAEMONLESS_ROOT": root, "DAEMONLESS_RUNROOT": run}
def daemonless(*words):
    return subprocess.run([cli, *words], env=env, capture_output=True, text=True)
assert daemonless("run", "-d", "--network=none", "--name", "victim", image, "sleep", "1000").returncode == 0
[name] = os.listdir(f"{run}/containers")
with open(f"{run}/containers/{name}/state.json") as file:
    state = json.load(file)
os.kill(state["supervisor"], 9)
while os.path.exists(f"/proc/{state['pid']}"):
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        pass
    time.sleep(0.005)
for _ in range(100):
    with open("/proc/sys/kernel/ns_last_pid", "w") as file:
        file.write(str(state["pid"] - 1))
    bystander = os.fork()
    if bystander == 0:
        signal.pause()
    if bystander == state["pid"]:
        break
    os.kill(bystander, 9)
    os.waitpid(bystander, 0)
assert bystander == state["pid"], (bystander, state)
# as if its supervisor still lived: the lock is held, and only the time of the start tells
import fcntl
lock = os.open(f"{run}/containers/{name}/lock", os.O_RDWR)
fcntl.fcntl(lock, 37, (1).to_bytes(2, "little") + bytes(30))  # F_OFD_SETLK
for words in ("stop -t 0 victim", "kill victim", "exec victim true"):
    daemonless(*words.split())
    assert os.waitpid(bystander, os.WNOHANG) == (0, 0), words
os.close(lock)
for words in ("stop -t 0 victim", "kill victim", "exec victim true", "rm -f victim"):
    daemonless(*words.split())
    assert os.waitpid(bystander, os.WNOHANG) == (0, 0), words
os.kill(bystander, 9)
print("spared")
"""


def test_a_pid_that_was_reused_is_spared(cli: Cli, image: str) -> None:
    """By every command that signals or enters, whether a supervisor seems to live or not."""
    done = subprocess.run(
        [
            *("unshare", "--map-root-user", "--map-auto", "--pid", "--fork", "--mount-proc", "--kill-child"),
            *("/usr/bin/python3", "-c", REUSE, cli.program, image, str(cli.root), str(cli.runroot)),
        ],
        env=cli.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.endswith("spared\n"), done.stderr
    cli("container", "prune", "--force")  # who deletes what was removed ended with the namespace


POINTS = ["start.log", "start.state", "start.ready", "start.settle", "end.record", "end.tell", "end.unlock"]


@pytest.mark.parametrize("point", POINTS)
def test_commands_after_the_death_of_a_supervisor(cli: Cli, image: str, point: str) -> None:
    """Whenever it dies: no command waits for it longer than 2 s."""
    token = cli.root.parent / "token"
    token.touch()
    armed = {"DAEMONLESS_FAILPOINT": f"{point}=kill:{token}"}
    cli("run", *QUICK, "--name", "victim", image, "sh", "-c", "echo said", status=None, env=armed)
    eventually(lambda: not token.exists())
    for words in (
        *(("ps", "-a"), ("inspect", "victim"), ("logs", "victim"), ("wait", "victim"), ("stop", "victim")),
        *(("kill", "victim"), ("exec", "victim", "true"), ("start", "victim")),
        ("rm", "-f", "-t", "0", "victim"),
    ):
        started = time.monotonic()
        result = cli(*words, status=None)
        assert time.monotonic() - started < 2, result
        assert "internal error" not in result.stderr, result
    assert cli.ids() == []


def test_what_a_dead_supervisor_leaves_is_collected(cli: Cli, image: str) -> None:
    """A --rm container, its network helper, its cgroup: by the next command that meets them."""
    cli("run", "-d", "--rm", "--name", "victim", image, "sleep", "1000")
    (directory,) = (cli.runroot / "containers").iterdir()
    state = json.loads((directory / "state.json").read_text())
    os.kill(state["supervisor"], signal.SIGKILL)
    eventually(lambda: not processes(), message="something outlived the supervisor")
    assert cli("ps", "-a", "-q").stdout == ""
    assert not cli.leftovers()
    cli("run", "--rm", *QUICK, "--name", "victim", image, "true")
    eventually(lambda: not state["cgroup"] or not Path(state["cgroup"]).exists())
