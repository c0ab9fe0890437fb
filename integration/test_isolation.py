"""What a container can and cannot see and do: identity, capabilities, seccomp, procfs, descriptors."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from pathlib import Path

import pytest
from harness import Cli, eventually

NONE = ("run", "--rm", "--network=none")

# The default set of podman: CHOWN DAC_OVERRIDE FOWNER FSETID KILL NET_BIND_SERVICE SETFCAP SETGID
# SETPCAP SETUID SYS_CHROOT, by their bits in linux/capability.h.
DEFAULT_CAPABILITIES = "00000000800405fb"
NO_CAPABILITIES = "0000000000000000"
NET_RAW_ADDED = "00000000800425fb"
CHOWN_DROPPED = "00000000800405fa"
CHOWN_ALONE = "0000000000000001"


def capabilities(status: str) -> dict[str, str]:
    return dict(re.findall(r"^Cap(Inh|Prm|Eff|Bnd|Amb):\t([0-9a-f]{16})$", status, re.MULTILINE))


def sets(inheritable: str, permitted: str, bounding: str) -> dict[str, str]:
    return {"Inh": inheritable, "Prm": permitted, "Eff": permitted, "Bnd": bounding, "Amb": inheritable}


# options; inheritable = ambient, permitted = effective, bounding
CAPABILITIES = [
    ("", NO_CAPABILITIES, DEFAULT_CAPABILITIES, DEFAULT_CAPABILITIES),
    ("--cap-add net_raw", NO_CAPABILITIES, NET_RAW_ADDED, NET_RAW_ADDED),
    ("--cap-add CAP_NET_RAW", NO_CAPABILITIES, NET_RAW_ADDED, NET_RAW_ADDED),
    ("--cap-drop chown", NO_CAPABILITIES, CHOWN_DROPPED, CHOWN_DROPPED),
    ("--cap-drop all", NO_CAPABILITIES, NO_CAPABILITIES, NO_CAPABILITIES),
    ("--cap-drop=ALL --cap-add=CHOWN", NO_CAPABILITIES, CHOWN_ALONE, CHOWN_ALONE),
    ("--user 1000", NO_CAPABILITIES, NO_CAPABILITIES, DEFAULT_CAPABILITIES),
    ("--user 1000 --cap-drop=all --cap-add=chown", CHOWN_ALONE, CHOWN_ALONE, CHOWN_ALONE),
]


@pytest.mark.parametrize(("options", "inheritable", "permitted", "bounding"), CAPABILITIES)
def test_capabilities_of_run(
    cli: Cli, image: str, options: str, inheritable: str, permitted: str, bounding: str
) -> None:
    status = cli(*NONE, *options.split(), image, "cat", "/proc/self/status").stdout
    assert capabilities(status) == sets(inheritable, permitted, bounding)


@pytest.mark.parametrize(
    ("of_run", "of_exec", "permitted"),
    [
        ("", "", DEFAULT_CAPABILITIES),
        ("--cap-drop chown", "", CHOWN_DROPPED),
        ("", "--user 1000", NO_CAPABILITIES),
        ("--user 1000", "", NO_CAPABILITIES),
        ("--user 1000", "--user 0", DEFAULT_CAPABILITIES),
    ],
)
def test_capabilities_of_exec_are_those_of_run(
    cli: Cli, image: str, of_run: str, of_exec: str, permitted: str
) -> None:
    cli("run", "-d", "--network=none", "--name", "target", *of_run.split(), image, "sleep", "1000")
    status = cli("exec", *of_exec.split(), "target", "cat", "/proc/self/status").stdout
    assert capabilities(status)["Eff"] == permitted
    assert capabilities(status)["Inh"] == NO_CAPABILITIES


@pytest.mark.parametrize(
    ("options", "seccomp", "no_new_privileges"),
    [
        ("", "2", "0"),
        ("--security-opt no-new-privileges", "2", "1"),
        ("--security-opt seccomp=unconfined", "0", "0"),
        ("--cap-add sys_admin", "2", "0"),
        ("--user 1000", "2", "0"),
    ],
)
def test_seccomp_and_no_new_privileges(
    cli: Cli, image: str, options: str, seccomp: str, no_new_privileges: str
) -> None:
    wanted = {"Seccomp": seccomp, "NoNewPrivs": no_new_privileges}
    shown = cli(*NONE, *options.split(), image, "cat", "/proc/self/status").stdout
    assert {name: re.findall(rf"^{name}:\t(\d)$", shown, re.MULTILINE)[0] for name in wanted} == wanted
    cli("run", "-d", "--network=none", "--name", "target", *options.split(), image, "sleep", "1000")
    shown = cli("exec", "target", "cat", "/proc/self/status").stdout
    assert {name: re.findall(rf"^{name}:\t(\d)$", shown, re.MULTILINE)[0] for name in wanted} == wanted


# commands of busybox whose system call the default profile refuses, even with every capability
REFUSED = [
    "unshare -U true",
    "unshare -m true",
    "mount -t tmpfs none /tmp",
    "umount /dev/shm",
]


@pytest.mark.parametrize("command", REFUSED)
def test_refused_by_default(cli: Cli, image: str, command: str) -> None:
    result = cli(*NONE, image, "sh", "-c", command, status=None)
    assert result.status != 0 and ("not permitted" in result.stderr or "denied" in result.stderr)


def test_identity_inside_and_outside(cli: Cli, image: str) -> None:
    cli("run", "-d", "--network=none", "--name", "target", image, "sleep", "1000")
    pid = cli.inspect("target", "{{.State.Pid}}")
    status = Path(f"/proc/{pid}/status").read_text()
    assert re.search(rf"^Uid:\t{os.getuid()}\t", status, re.MULTILINE)
    assert cli("exec", "target", "id", "-u").stdout == "0\n"
    assert cli("exec", "target", "sh", "-c", "wc -l < /proc/self/uid_map").stdout == "2\n"


def test_other_users_are_subordinate_ids(cli: Cli, image: str) -> None:
    cli("run", "-d", "--network=none", "--name", "target", "--user", "1000", image, "sleep", "1000")
    pid = cli.inspect("target", "{{.State.Pid}}")
    uid = int(re.findall(r"^Uid:\t(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[0])
    user = pwd.getpwuid(os.getuid()).pw_name
    first = int(re.findall(rf"^{user}:(\d+):", Path("/etc/subuid").read_text(), re.MULTILINE)[0])
    assert uid == first + 999


def test_any_user_may_open_the_standard_streams(cli: Cli, image: str) -> None:
    script = "cat < /dev/stdin; echo out > /dev/stdout; echo err > /dev/stderr"
    done = cli(*NONE, "-i", "--user=1000", image, "sh", "-c", script, input="in\n")
    assert (done.stdout, done.stderr) == ("in\nout\n", "err\n")
    name = cli("run", "-d", "--network=none", image, "sleep", "1000").stdout.strip()
    done = cli("exec", "-i", "--user=1000", name, "sh", "-c", script, input="in\n")
    assert (done.stdout, done.stderr) == ("in\nout\n", "err\n")


def test_the_callers_groups_stay_outside(cli: Cli, image: str) -> None:
    assert cli(*NONE, image, "id", "-G").stdout == "0\n"


def test_keep_id(cli: Cli, image: str, tmp_path: Path) -> None:
    uid, gid = os.getuid(), os.getgid()
    run = (*NONE, "--userns=keep-id", "-v", f"{tmp_path}:/out", image)
    assert cli(*run, "sh", "-c", "id -u; id -g").lines == [str(uid), str(gid)]
    cli(*run, "touch", "/out/mine")
    assert (tmp_path / "mine").stat().st_uid == uid
    assert cli(*NONE, "--userns=keep-id:uid=77,gid=78", image, "sh", "-c", "id -u; id -g").lines == [
        "77",
        "78",
    ]


# Each path that exists reads as empty or not at all.
MASKED = [
    *("/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats"),
    *("/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats"),
    *("/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/selinux"),
]
READ_ONLY = ["/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]

PROBE_MASKED = """
for path in %s; do
    if [ -d $path ]; then
        [ -z "$(ls -A $path)" ] || echo "$path lists"
        touch $path/x 2>/dev/null && echo "$path takes"
    elif [ -e $path ]; then [ -z "$(head -c 1 $path 2>/dev/null)" ] || echo "$path reads"
    fi
done; exit 0
"""
PROBE_READ_ONLY = """
for path in %s; do
    [ -e $path ] || continue
    grep -q "^[^ ]* $path [^ ]* ro" /proc/self/mounts || echo "$path is writable"
done; exit 0
"""


@pytest.mark.parametrize("options", ["", "--user 1000", "--read-only", "--cap-add all"])
def test_masked_and_read_only_paths(cli: Cli, image: str, options: str) -> None:
    run = (*NONE, *options.split(), image, "sh", "-c")
    assert cli(*run, PROBE_MASKED % " ".join(MASKED)).stdout == ""
    assert cli(*run, PROBE_READ_ONLY % " ".join(READ_ONLY)).stdout == ""


def test_the_masks_can_be_lifted(cli: Cli, image: str) -> None:
    """The twin of the test above: without the masks the probe does find something."""
    assert cli(*NONE, "--privileged", image, "sh", "-c", PROBE_MASKED % " ".join(MASKED)).stdout


def test_namespaces_are_all_new(cli: Cli, image: str) -> None:
    kinds = ["user", "mnt", "pid", "ipc", "uts", "net", "cgroup"]
    script = "; ".join(f"readlink /proc/self/ns/{kind}" for kind in kinds)
    inside = cli(*NONE, image, "sh", "-c", script).lines
    outside = [os.readlink(f"/proc/self/ns/{kind}") for kind in kinds]
    assert len(inside) == len(kinds) and not set(inside) & set(outside)


@pytest.mark.parametrize(
    ("option", "kind"), [("--pid", "pid"), ("--ipc", "ipc"), ("--uts", "uts"), ("--network", "net")]
)
def test_namespaces_of_the_host(cli: Cli, image: str, option: str, kind: str) -> None:
    inside = cli("run", "--rm", f"{option}=host", image, "readlink", f"/proc/self/ns/{kind}").stdout.strip()
    assert inside == os.readlink(f"/proc/self/ns/{kind}")


def test_no_descriptor_of_the_caller_gets_in(cli: Cli, image: str, tmp_path: Path) -> None:
    """CVE-2024-21626: a leaked descriptor of a host directory is a way out."""
    descriptors = tuple(os.open(tmp_path, os.O_RDONLY) for _ in range(20))
    for fd in descriptors:
        os.set_inheritable(fd, True)
    try:
        listing = ("sh", "-c", "for fd in /proc/self/fd/*; do readlink $fd || :; done")
        shown = cli(*NONE, image, *listing, pass_fds=descriptors).stdout
        assert str(tmp_path) not in shown
        cli("run", "-d", "--network=none", "--name", "target", image, "sleep", "1000", pass_fds=descriptors)
        assert str(tmp_path) not in cli("exec", "target", *listing, pass_fds=descriptors).stdout
    finally:
        for fd in descriptors:
            os.close(fd)


def test_the_environment_is_built_from_nothing(cli: Cli, image: str) -> None:
    """Neither container, supervisor nor helpers see a variable of the caller."""
    secret = {"A_SECRET_OF_THE_CALLER": "canary-5f2b"}
    cli("run", "-d", "--name", "target", image, "sleep", "1000", env=secret)
    shown = cli("exec", "target", "env", env=secret).stdout
    assert "canary" not in shown
    assert {line.partition("=")[0] for line in shown.splitlines()} <= {
        *("PATH", "HOME", "HOSTNAME", "container", "TERM", "PWD", "SHLVL"),
    }
    pid = int(cli.inspect("target", "{{.State.Pid}}"))
    assert b"canary" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_the_callers_environment_if_asked(cli: Cli, image: str) -> None:
    """All of it below what the image sets; a pattern takes a part; and nothing of it gets into an image."""
    env = {"MINE_A": "1", "MINE_B": "2", "OTHER": "3", "PATH": "/of/the/caller:/usr/bin:/bin"}
    shown = set(cli(*NONE, "--env-host", "-e", "OTHER=4", image, "env", env=env).lines)
    assert {"MINE_A=1", "MINE_B=2", "OTHER=4", "container=daemonless"} <= shown
    shown = set(cli(*NONE, "-e", "MINE_*", image, "env", env=env).lines)
    assert {"MINE_A=1", "MINE_B=2"} <= shown and "OTHER=3" not in shown
    cli("run", "--network=none", "--env-host", "--name", "made", image, "true", env=env)
    cli("commit", "-q", "made", "made:1")
    assert "MINE" not in cli("image", "inspect", "made:1").stdout
    cli("rm", "made")
    cli("rmi", "made:1")


def test_ipc_none_has_no_shared_memory(cli: Cli, image: str) -> None:
    namespace = ("readlink /proc/self/ns/ipc; ls /dev",)
    own, *devices = cli(*NONE, "--ipc=none", image, "sh", "-c", *namespace).lines
    assert own != os.readlink("/proc/self/ns/ipc") and "shm" not in devices and "null" in devices
    assert "shm" in cli(*NONE, "--ipc=shareable", image, "ls", "/dev").lines


def test_hostile_python_surroundings(cli: Cli, image: str, tmp_path: Path) -> None:
    """PY-2: neither the current directory nor PYTHON* variables decide what is imported."""
    for name in ("os", "posix", "fcntl", "select", "_socket", "sitecustomize", "daemonless", "encodings"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the wrong place')\n")
    start = tmp_path / "start.py"
    start.write_text("raise SystemExit('ran PYTHONSTARTUP')\n")
    env = {
        "PYTHONPATH": str(tmp_path),
        "PYTHONSTARTUP": str(start),
        "PYTHONHOME": str(tmp_path),
        "PYTHONINSPECT": "1",
    }
    for arguments in ((*NONE, image, "echo", "fine"), ("ps",), ("version",)):
        result = cli(*arguments, cwd=tmp_path, env=env)
        assert result.stderr == "", str(result)


def test_a_hostile_root_filesystem_is_not_imported_from(cli: Cli, image: str, tmp_path: Path) -> None:
    """PY-1: a rootfs full of traps where Python and glibc would look; none of them is opened."""
    trap = "import os; os.write(2, b'TRAPPED')\n"
    python = tmp_path / "python3.11"
    names = ("os", "traceback", "linecache", "warnings", "tokenize", "pwd", "encodings/idna")
    for name in names:
        file = python / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(trap)
    mounts = ["-v", f"{python}:/usr/lib/python3.11:ro", "-v", f"{python}:/usr/lib/x86_64-linux-gnu:ro"]
    result = cli(*NONE, *mounts, image, "not-there", status=127)
    assert "TRAPPED" not in result.stderr and len(result.stderr.splitlines()) <= 2, str(result)
    cli("run", "-d", "--network=none", *mounts, "--name", "target", image, "sleep", "1000")
    result = cli("exec", "target", "not-there", status=127)
    assert "TRAPPED" not in result.stderr, str(result)
    assert cli("exec", "-u", "nobody", "target", "id", "-un").stdout == "nobody\n"


def test_the_interpreter_cannot_be_overwritten(cli: Cli, image: str) -> None:
    """CVE-2019-5736: a process in the container polls for joining ones and opens their programs."""
    poll = "while :; do for exe in /proc/[0-9]*/exe; do (: >>$exe) 2>/dev/null && echo written; done; done"
    cli("run", "-d", "--network=none", "--name", "hostile", image, "sh", "-c", poll)
    for _ in range(20):
        cli("exec", "hostile", "true")
    assert cli("logs", "hostile").stdout == ""


def test_a_user_without_subordinate_ids_gets_a_single_id(cli: Cli, image: str, scratch: Path) -> None:
    """An empty /etc/subuid, in a mount namespace where newuidmap finds nothing either."""
    # setuid programs do not work in a nested user namespace, so here it is an honest single map
    empty = scratch / "empty"
    empty.touch()
    script = (
        f"mount --bind {empty} /etc/subuid && mount --bind {empty} /etc/subgid && "
        f'exec unshare --user --map-user={os.getuid()} --map-group={os.getgid()} "$@"'
    )
    single = make_single(cli)
    outside = ("unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh")
    run = (single.program, *NONE, image, "sh", "-c", "id -u; cat /proc/self/uid_map")
    done = subprocess.run(
        [*outside, *run], capture_output=True, text=True, env=single.environment(), timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", "0", str(os.getuid()), "1"]
    notes = [line for line in done.stderr.splitlines() if "subuid" in line or "subordinate" in line]
    assert len(notes) == 1, done.stderr


def make_single(cli: Cli) -> Cli:
    """A storage of its own: layers unpacked for one id are another set."""
    return Cli(cli.program, cli.root.parent / "single-root", cli.runroot.parent / "single-run", cli.env)


def test_oom_score_and_limits_do_not_need_privileges(cli: Cli, image: str) -> None:
    shown = cli(*NONE, image, "sh", "-c", "cat /proc/self/oom_score_adj; ulimit -c").lines
    assert int(shown[0]) >= int(Path("/proc/self/oom_score_adj").read_text())


def test_host_processes_are_invisible(cli: Cli, image: str) -> None:
    assert cli(*NONE, image, "sh", "-c", "ls -d /proc/[0-9]*").lines[0] == "/proc/1"
    assert len(cli(*NONE, image, "sh", "-c", "ls -d /proc/[0-9]*").lines) <= 2


def test_pid_1_of_the_container_dies_with_the_supervisor(cli: Cli, image: str) -> None:
    cli("run", "-d", "--network=none", "--name", "target", image, "sleep", "1000")
    pid = int(cli.inspect("target", "{{.State.Pid}}"))
    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, 9)
    eventually(lambda: cli.inspect("target", "{{.State.Running}}") == "false")


def own_cgroup(pid: int | str = "self") -> str:
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return next(line for line in lines if line.startswith("0::"))[3:]


def test_a_cgroup_of_its_own_where_one_was_delegated(cli: Cli, image: str) -> None:
    """scripts/test delegates a cgroup to the tests, as systemd does to a user's units."""
    cli("run", "-d", "--name", "grouped", "--network=none", image, "sleep", "1000")
    cli("exec", "-d", "grouped", "sleep", "1000")
    expected = f"{own_cgroup().rstrip('/')}/daemonless-{cli.inspect('grouped', '{{.Id}}')[:12]}"
    pid = cli.inspect("grouped", "{{.State.Pid}}")
    assert own_cgroup(pid) == expected
    mounts = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
    (directory,) = [Path(mount + expected) for mount in mounts if Path(mount + expected).is_dir()]
    assert len((directory / "cgroup.procs").read_text().split()) == 2
    assert cli("exec", "grouped", "grep", "^0::", "/proc/self/cgroup").stdout == "0::/\n"
    cli("rm", "--force", "grouped")
    eventually(lambda: not directory.exists())
