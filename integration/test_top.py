"""top: the processes of a container, told by the host."""

from __future__ import annotations

import os
import pwd
import re
from pathlib import Path

import pytest
from harness import Cli, eventually

DETACHED = ("run", "--detach", "--network=none")


def rows(cli: Cli, *words: str) -> list[list[str]]:
    return [line.split(maxsplit=20) for line in cli("top", *words).lines]


def has(cli: Cli, name: str, count: int) -> None:
    eventually(lambda: len(cli("top", name).lines) == count + 1)


def test_top_shows_podmans_columns(cli: Cli, image: str) -> None:
    cli(*DETACHED, "--name", "box", "-t", image, "sh", "-c", "sleep 998 & exec sleep 999")
    eventually(lambda: {"sleep 998", "sleep 999"} <= {x.strip() for x in cli("top", "box", "args").lines})
    lines = cli("top", "box").lines
    assert lines[0].split() == ["USER", "PID", "PPID", "%CPU", "ELAPSED", "TTY", "TIME", "COMMAND"]
    pattern = r"root +1 +0 +\d+\.\d{3} +(\d+m)?[\d.]+m?s +pts/0 +[\d.]+m?s +sleep 999"
    assert re.fullmatch(pattern, lines[1])
    assert re.fullmatch(pattern.replace(" +1 +0", r" +\d+ +1").replace("999", "998"), lines[2])
    assert cli("container", "top", "--latest").lines[0].split() == lines[0].split()


def test_top_tells_ids_inside_and_outside(cli: Cli, image: str) -> None:
    cli(*DETACHED, "--name", "box", "--user", "nobody", image, "sleep", "999")
    user = pwd.getpwuid(os.getuid()).pw_name
    pid = cli.inspect("box", "{{.State.Pid}}")
    heading, row = rows(cli, "box", "pid", "hpid", "user", "huser", "uid", "seccomp", "capeff")
    assert heading == ["PID", "HPID", "USER", "HUSER", "UID", "SECCOMP", "EFFECTIVE", "CAPS"]
    assert row[:3] == ["1", pid, "nobody"]
    assert row[3] not in ("nobody", "root", user)
    assert row[4:] == ["65534", "filter", "none"]


def test_top_shows_exec_sessions_and_nested_namespaces(cli: Cli, image: str) -> None:
    script = "unshare -pf sleep 997 & exec sleep 999"
    cli(*DETACHED, "--name", "box", "--privileged", image, "sh", "-c", script)
    cli("exec", "--detach", "box", "sleep", "998")
    wanted = sorted(["COMMAND", "sleep 999", "unshare -pf sleep 997", "sleep 997", "sleep 998"])
    eventually(lambda: sorted(line.strip() for line in cli("top", "box", "args").lines) == wanted)
    pids = [int(row[0]) for row in rows(cli, "box", "pid")[1:]]
    assert pids == sorted(set(pids))
    assert pids[0] == 1


@pytest.mark.parametrize("words", [("-eo", "pid,comm"), ("--", "-eo", "pid,comm"), ("pid", "comm")])
def test_top_takes_ps_options_and_descriptors(cli: Cli, image: str, words: tuple[str, ...]) -> None:
    cli(*DETACHED, "--name", "box", image, "sleep", "999")
    assert rows(cli, "box", *words) == [["PID", "COMMAND"], ["1", "sleep"]]


def test_top_sorts(cli: Cli, image: str) -> None:
    script = "sleep 1 & for i in 2 3 4 5 6 7 8 9; do sleep 99$i & done; exec sleep 999"
    cli(*DETACHED, "--name", "box", image, "sh", "-c", script)
    eventually(lambda: "sleep 999" in cli("top", "box", "args").stdout)
    pids = [int(row[0]) for row in rows(cli, "box", "-eo", "pid,args", "--sort=-pid")[1:]]
    assert pids == sorted(pids, reverse=True) and len(pids) > 8
    by_name = [row[1:] for row in rows(cli, "box", "-eo", "pid,args", "--sort", "args,-pid")[1:]]
    assert by_name == sorted(by_name)


def test_top_with_threads(cli: Cli, image: str) -> None:
    """Those of the machine's own interpreter, bound into the container."""
    binds = [word for name in ("usr", "lib", "lib64") for word in ("-v", f"/{name}:/{name}:ro")]
    script = "import threading as t, time; [t.Thread(target=time.sleep, args=[900]).start() for _ in 'ab']"
    cli(*DETACHED, "--name", "box", *binds, image, "/usr/bin/python3", "-c", script)
    columns = ("-eTo", "pid,tid,nlwp,comm")
    eventually(lambda: len(rows(cli, "box", *columns)) == 4)
    assert rows(cli, "box", *columns) == [
        ["PID", "SPID", "NLWP", "COMMAND"],
        *(["1", number, "3", "python3"] for number in "123"),
    ]
    assert [row[:2] for row in rows(cli, "box", "-L", "--sort=-lwp")[1:]] == [["1", n] for n in "321"]
    assert len(rows(cli, "box", "-ef")) == 2


def test_top_with_the_hosts_pids(cli: Cli, image: str) -> None:
    cli(*DETACHED, "--name", "box", "--pid=host", image, "sleep", "999")
    assert rows(cli, "box", "pid", "args")[1:] == [[cli.inspect("box", "{{.State.Pid}}"), "sleep", "999"]]


def test_top_of_processes_that_come_and_go(cli: Cli, image: str) -> None:
    cli(*DETACHED, "--name", "box", image, "sh", "-c", "while :; do true & true; done")
    for _ in range(20):
        assert rows(cli, "box", "pid", "args")[1][0] == "1"


def test_top_of_a_container_that_does_not_run(cli: Cli, image: str) -> None:
    cli("create", "--network=none", "--name", "box", image, "true")
    failed = cli("top", "box", status=125)
    assert failed.stderr.startswith("Error: container box is created, so it has no processes\n")
    assert cli("top", "nobody", status=125).stderr.startswith("Error: no such container: nobody\n")
    assert cli("top", status=125).stderr.startswith("Error: no container was named\n")
    cli("top", "box", "bogus", status=125)


def test_cve_2022_1227_top_runs_nothing_of_the_image(cli: Cli, image: str, tmp_path: Path) -> None:
    """Programs, libraries and modules that a container's `top` could have picked up leave no trace."""
    trap = r"""
        for name in /bin/ps /usr/bin/ps /bin/nsenter /usr/bin/getent; do
            mkdir -p ${name%/*}; rm -f $name
            printf '#!/bin/sh\necho %s >>/trapped\n' $name >$name; chmod 755 $name
        done
        for name in encodings pwd grp os; do echo "open('/trapped', 'a').write('$name')" >/$name.py; done
        exec sleep 999
    """
    cli(*DETACHED, "--name", "box", image, "/bin/busybox", "sh", "-c", trap)
    eventually(lambda: cli("exec", "box", "/bin/busybox", "test", "-e", "/os.py", status=None).status == 0)
    for words in ((), ("user", "huser", "args"), ("-ef",), ("aux",)):
        assert cli("top", "box", *words, cwd="/").stdout
    cli("exec", "box", "/bin/busybox", "test", "!", "-e", "/trapped")


@pytest.mark.parametrize(
    ("passwd", "user"),
    [
        ("printf 'boss:x:0:0::/:\\n' >/etc/passwd", "boss"),
        ("printf '\\033[31mred:x:0:0::/:\\n' >/etc/passwd", r"\x1b[31mred"),
        ("rm /etc/passwd; ln -s CANARY /etc/passwd", "0"),
        ("rm /etc/passwd; mkfifo /etc/passwd", "0"),
        ("rm /etc/passwd; mkdir /etc/passwd", "0"),
        ("rm /etc/passwd; truncate -s 1G /etc/passwd", "0"),
        ("rm /etc/passwd", "0"),
    ],
)
def test_names_come_from_the_containers_own_files(
    cli: Cli, image: str, tmp_path: Path, passwd: str, user: str
) -> None:
    """Rows 10 and 29 of the security table: links, FIFOs and giants only cost the names."""
    canary = tmp_path / "canary"
    canary.write_text("canary:x:0:0::/:\n")
    script = f"{passwd.replace('CANARY', str(canary))}; exec sleep 999"
    cli(*DETACHED, "--name", "box", image, "sh", "-c", script)
    has(cli, "box", 1)
    eventually(lambda: "sleep" in cli("top", "box", "comm").stdout)
    assert rows(cli, "box", "user")[1] == [user]


def test_arguments_cannot_control_the_terminal(cli: Cli, image: str) -> None:
    cli(*DETACHED, "--name", "box", image, "sh", "-c", "sleep 999; true", "\x1b[31m\nred")
    assert r"\x1b[31m\nred" in cli("top", "box", "args").lines[1]
