"""Namespaces shared with another container, or named by a path: --pid, --ipc, --uts and --userns."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from harness import Cli, eventually

RUN = ("run", "--rm", "--network=none")
KINDS = {"pid": "pid", "ipc": "ipc", "uts": "uts", "userns": "user"}


@pytest.fixture
def a(cli: Cli, image: str) -> str:
    cli("run", "-d", "--network=none", "--name=a", "--hostname=ahost", image, "sleep", "1000")
    return "a"


def sleepers() -> list[str]:
    """Return the processes of this machine that sleep for 4,321 seconds."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if words == b"sleep\x004321\x00":
            found.append(pid)
    return found


def inside(cli: Cli, name: str, kind: str) -> str:
    return cli("exec", name, "readlink", f"/proc/self/ns/{kind}").stdout


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["container", "ns"])
def test_one_namespace_is_shared_and_the_user_namespace_with_it(cli: Cli, a, image, kind, way) -> None:
    pid = cli.inspect(a, "{{.State.Pid}}")
    mode = "container:a" if way == "container" else f"ns:/proc/{pid}/ns/{KINDS[kind]}"
    cli("run", "-d", "--network=none", "--name=b", f"--{kind}={mode}", image, "sleep", "1000")
    for other in ("user", "pid", "ipc", "uts", "net", "mnt", "cgroup"):
        assert (inside(cli, "a", other) == inside(cli, "b", other)) == (other in ("user", KINDS[kind])), other
    if way == "container":
        identity = cli.inspect(a, "{{.Id}}")
        key = {"pid": "PidMode", "ipc": "IpcMode", "uts": "UTSMode", "userns": "UsernsMode"}[kind]
        assert cli.inspect("b", f"{{{{.HostConfig.{key}}}}} {{{{.Dependencies}}}}") == (
            f"container:{identity} [{identity}]"
        )
    cli("restart", "-t0", "b")
    assert inside(cli, "a", KINDS[kind]) == inside(cli, "b", KINDS[kind])
    cli("rm", "-f", "-t0", "b", "a")


def test_processes_of_one_pid_namespace(cli: Cli, a, image) -> None:
    done = cli("run", "-d", "--network=none", "--name=b", "--pid=container:a", image, "sleep", "2000")
    assert [line.split()[-1] for line in cli("exec", "b", "ps").lines[1:3]] == ["1000", "2000"]
    assert [line.split()[-1] for line in cli("top", "b", "pid", "args").lines[1:]] == ["2000"]  # its own only
    assert len(cli("top", "a", "pid", "args").lines[1:]) == 2
    cli("pause", "b")
    assert "Paused" in cli("ps", "--format={{.Status}}", "--filter=name=b").stdout
    assert cli("exec", "a", "echo", "goes on").lines == ["goes on"]
    cli("unpause", "b")
    cli("stop", "-t0", "b")
    assert cli("exec", "a", "ps").stdout.count("sleep") == 1
    # process 1 takes all of its namespace with it
    cli("start", "b")
    cli("kill", "a")
    assert cli("wait", "b").lines == ["137"]
    assert cli("ps", "-q").lines == []
    # and who is started brings what it needs
    cli("start", done.lines[0])
    assert sorted(cli("ps", "--format={{.Names}}").lines) == ["a", "b"]
    cli("rm", "-f", "--depend", "a")


def test_a_restart_policy_without_the_other_container(cli: Cli, a, image) -> None:
    """What the supervisor starts, it does not start others for."""
    cli(
        *("run", "-d", "--network=none", "--name=b", "--pid=container:a", "--restart=on-failure:1"),
        *(image, "sleep", "1000"),
    )
    cli("kill", "a")
    assert cli("wait", "b").lines == ["125"]
    assert "container a, with which this one shares a namespace, is not running" in cli.inspect(
        "b", "{{.State.Error}}"
    )
    cli("rm", "b", "a")


def test_a_network_of_its_own(cli: Cli, a, image) -> None:
    done = cli("run", "--rm", "--network=slirp4netns", "--pid=container:a", image, "ip", "address")
    assert "tap0" in done.stdout and "10.0.2.100" in done.stdout
    assert cli("run", "--rm", "--network=host", "--uts=container:a", image, "hostname").lines == ["ahost"]


def test_shared_memory_comes_with_ipc(cli: Cli, a, image) -> None:
    cli("exec", "a", "sh", "-c", "echo of a >/dev/shm/x")
    script = "cat /dev/shm/x; echo of b >/dev/shm/y"
    assert cli(*RUN, "--ipc=container:a", image, "sh", "-c", script).lines == ["of a"]
    assert cli("exec", "a", "cat", "/dev/shm/y").lines == ["of b"]
    mine = ("--tmpfs=/dev/shm", image, "ls", "/dev/shm")
    assert cli(*RUN, "--ipc=container:a", *mine).lines == []
    pid = cli.inspect(a, "{{.State.Pid}}")
    assert cli(*RUN, f"--ipc=ns:/proc/{pid}/ns/ipc", image, "ls", "/dev/shm").lines == []
    # a link in its place leads nowhere outside of the container
    cli("exec", "a", "sh", "-c", "ln -s / /tmp/root")
    cli("run", "-d", "--network=none", "--name=c", "--ipc=none", image, "sh", "-c",
        "rmdir /dev/shm; ln -s / /dev/shm; sleep 1000")  # fmt: skip
    eventually(lambda: cli("exec", "c", "readlink", "/dev/shm").lines == ["/"])
    seen = cli(*RUN, "--ipc=container:c", image, "ls", "/dev/shm").lines
    assert "bin" in seen and not set(seen) & set(os.listdir("/")) - {
        "bin", "dev", "etc", "home", "lib", "proc", "root", "run", "sbin", "sys", "tmp", "usr", "var"
    }  # fmt: skip
    cli("rm", "-f", "-t0", "c")


@pytest.mark.parametrize("pid", ["container:a", "host"])
def test_what_a_container_leaves_in_a_pid_namespace_ends_with_it(cli: Cli, a, image, pid: str) -> None:
    script = "sleep 4321 & sleep 4321 & (sleep 4321 &); echo $(hostname) started; exit 3"
    done = cli("run", "--rm", "--network=none", f"--pid={pid}", image, "sh", "-c", script, status=3)
    assert "started" in done.stdout
    assert not [line for line in cli("exec", "a", "ps").lines if "4321" in line]
    assert not sleepers()
    cli(
        "run",
        "-d",
        "--network=none",
        "--name=b",
        f"--pid={pid}",
        image,
        "sh",
        "-c",
        "sleep 4321 & sleep 1000",
    )
    eventually(lambda: sleepers())
    cli("kill", "b")
    cli("wait", "b")
    assert not sleepers()
    cli("rm", "b")
    cli("rm", "-f", "-t0", "a")


def test_a_container_of_rm_stays_as_long_as_it_is_needed(cli: Cli, image) -> None:
    cli("run", "-d", "--rm", "--network=none", "--name=a", image, "sleep", "1000")
    cli("create", "--network=none", "--name=b", "--ipc=container:a", image, "sleep", "1000")
    cli("stop", "-t0", "a")
    cli("start", "b")
    assert sorted(cli("ps", "--format={{.Names}}").lines) == ["a", "b"]
    cli("rm", "-f", "-t0", "b")
    cli("stop", "-t0", "a")
    eventually(lambda: cli("ps", "-aq").lines == [])


def test_nothing_is_left_of_who_has_gone(cli: Cli, a, image) -> None:
    for options in (("--ipc=container:a",), ("--requires=a",), ("--pid=container:a", "--restart=no")):
        cli(*RUN, *options, image, "true")
        cli("create", "--network=none", "--name=b", *options, image, "true")
        cli("rm", "b")
    assert list((cli.root / "containers" / cli.inspect(a, "{{.Id}}") / "dependents").iterdir()) == []
    cli("rm", "-f", "-t0", "a")


def test_host_names(cli: Cli, a, image) -> None:
    script = "hostname; echo $HOSTNAME; cat /etc/hostname"
    assert cli(*RUN, "--uts=container:a", image, "sh", "-c", script).lines == ["ahost"] * 3
    pid = cli.inspect(a, "{{.State.Pid}}")
    assert cli(*RUN, f"--uts=ns:/proc/{pid}/ns/uts", image, "sh", "-c", script).lines == ["ahost"] * 3


def test_whose_ids(cli: Cli, image) -> None:
    cli("run", "-d", "--network=none", "--name=k", "--userns=keep-id", image, "sleep", "1000")
    uid_map = cli("exec", "-u0", "k", "cat", "/proc/self/uid_map").stdout
    pid = cli.inspect("k", "{{.State.Pid}}")
    for option in ("--ipc=container:k", "--userns=container:k", f"--userns=ns:/proc/{pid}/ns/user"):
        assert cli(*RUN, option, image, "cat", "/proc/self/uid_map").stdout == uid_map
        assert cli(*RUN, option, image, "stat", "-c", "%u", "/bin/busybox").lines == ["0"]
    cli("rm", "-f", "-t0", "k")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--pid=container:nope",), "no such container: nope"),
        (("--pid=container:",), "after container: there is nothing"),
        (("--pid=words",), "none of host, private, container:NAME and ns:PATH"),
        (("--ipc=ns:relative",), "the path of a namespace begins with /"),
        (("--ipc=ns:/nope",), "cannot open namespace /nope"),
        (("--ipc=ns:/etc/passwd",), "/etc/passwd is no ipc namespace"),
        (("--ipc=ns:/proc/self/ns/uts",), "is no ipc namespace"),
        (("--ipc=ns:/proc/self/ns/ipc",), "it belongs to no user namespace of yours"),
        (("--pid=container:a", "--userns=keep-id"), "cannot be combined with --userns=keep-id"),
        (("--pid=container:a", "--ipc=container:other"), "different user namespaces"),
        (("--ipc=container:a", "--pid=host"), "and have --pid=host"),
        (("--ipc=container:seer",), "and have --pid=host"),
        (("--pid=container:a", "--init"), "its process must have pid 1"),
        (("--uts=container:a", "--hostname=x"), "cannot be combined with --uts=container:a"),
        (("--ipc=container:a", "--sysctl=kernel.shmmax=1"), "no ipc namespace of its own"),
    ],
)
def test_what_is_refused(cli: Cli, a, image, options, reason) -> None:
    cli("run", "-d", "--network=none", "--name=other", image, "sleep", "1000")
    cli("create", "--network=none", "--name=seer", "--pid=host", image, "true")
    done = cli(*RUN, "--name=b", *options, image, "true", status=125)
    assert reason in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    cli("rm", "-f", "-t0", "other", "seer")
    assert cli("ps", "-a", "--format={{.Names}}").lines == ["a"]
    cli("rm", "-f", "-t0", "a")  # nothing is noted of what did not come to be


def test_who_is_needed_stays(cli: Cli, a, image) -> None:
    for name, source in (("b", "a"), ("c", "b")):
        cli("create", "--network=none", "--name", name, f"--ipc=container:{source}", image, "sleep", "1000")
    for command in (("rm", "-f", "-t0", "a"), ("rm", "b")):
        done = cli(*command, status=125)
        assert "is needed by container" in done.stderr and "rm --depend" in done.stderr
    cli("stop", "-t0", "a")
    assert len(cli("container", "prune", "--force").lines) == 3  # the newest first
    cli("create", "--network=none", "--name=a", image, "true")
    cli("create", "--network=none", "--name=b", "--ipc=container:a", image, "true")
    cli("rm", "b")
    cli("rm", "a")
    for _ in range(2):
        cli("create", "--network=none", "--name=a", image, "true")
        cli("create", "--network=none", "--name=b", "--pid=container:a", image, "true")
        cli("rm", "--depend", "a") if _ else cli("rm", "--all")
    assert cli("ps", "-aq").lines == []


def test_nobody_inside_sees_what_comes_in(cli: Cli, image, scratch: Path) -> None:
    """Until its execve a new process has the host's root; who shares its pids must not get at it."""
    mark = scratch / "seen-from-inside"
    mark.write_text("host")
    spy = (
        "while :; do for p in /proc/[0-9]*; do"
        f" [ -e $p/root{mark} ] && echo found $p;"
        " tr '\\0' '\\n' <$p/environ 2>/dev/null | grep XDG_RUNTIME_DIR; done; done"
    )
    cli("run", "-d", "--network=none", "--name=a", "--cap-add=all", image, "sh", "-c", spy)
    for _ in range(15):
        cli(*RUN, "--pid=container:a", image, "true")
        cli("exec", "a", "true")
    assert cli("logs", "a").stdout == ""
    cli("rm", "-f", "-t0", "a")


def test_what_is_required_runs_first(cli: Cli, image) -> None:
    cli("create", "--network=none", "--name=db", image, "sleep", "1000")
    cli("create", "--network=none", "--name=cache", "--requires=db", image, "sleep", "1000")
    cli("run", "-d", "--network=none", "--name=app", "--requires=cache,db", image, "sleep", "1000")
    assert cli("ps", "--sort=names", "--format={{.Names}}").lines == ["app", "cache", "db"]
    ids = [cli.inspect(name, "{{.Id}}") for name in ("cache", "db")]
    assert cli.inspect("app", "{{.Dependencies}}") == f"[{' '.join(ids)}]"
    assert inside(cli, "app", "user") != inside(cli, "db", "user")  # nothing is shared
    assert "is needed by container" in cli("rm", "-f", "-t0", "db", status=125).stderr
    cli("stop", "-t0", "--all")
    cli("start", "app")
    assert len(cli("ps", "-q").lines) == 3
    assert "no such container: nope" in cli(*RUN, "--requires=nope", image, "true", status=125).stderr
    assert len(cli("rm", "-f", "-t0", "--depend", "db").lines) == 3
    assert cli("ps", "-aq").lines == []
