"""run, create, start, exec, ps, logs, inspect, wait, stop, kill, rm: what they print and how they end."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest
from harness import Cli, descendants_named, eventually

ID = re.compile(r"[0-9a-f]{64}")
DETACHED = ("run", "--detach", "--network=none")

# arguments after `run --rm --network=none`, with IMAGE for the image; status; patterns of both outputs
RUN: list[tuple[str, int, str, str]] = [
    ("IMAGE echo Oh hai", 0, r"Oh hai\n", ""),
    ("IMAGE sh -c 'exit 3'", 3, "", ""),
    ("IMAGE sh -c 'echo out; echo err >&2'", 0, r"out\n", r"err\n"),
    ("IMAGE sh -c 'kill -TERM $$'", 0, "", ""),  # pid 1 ignores what it does not handle
    ("IMAGE sh -c 'sh -c \"kill -9 \\$\\$\"; exit $?'", 137, "", r"(Killed\n)?"),
    ("--init IMAGE sh -c 'kill -TERM $$'", 143, "", ""),
    ("IMAGE sh -c 'echo $$'", 0, r"1\n", ""),
    ("--init IMAGE sh -c 'echo $$'", 0, r"([2-9]|\d\d)\n", ""),
    ("IMAGE id -u", 0, r"0\n", ""),
    ("IMAGE hostname", 0, r"[0-9a-f]{12}\n", ""),
    ("-h box IMAGE hostname", 0, r"box\n", ""),
    ("--hostname=box IMAGE cat /etc/hostname", 0, r"box\n", ""),
    ("-h box IMAGE grep -w box /etc/hosts", 0, r".*\bbox\b.*\n", ""),
    ("-e A=1 -e B=a=b IMAGE sh -c 'echo $A $B'", 0, r"1 a=b\n", ""),
    ("--env A= IMAGE sh -c 'echo \"<${A-unset}>\"'", 0, r"<>\n", ""),
    ("-e FROM_THE_CALLER IMAGE sh -c 'echo \"<$FROM_THE_CALLER>\"'", 0, r"<yes>\n", ""),
    ("-e NOT_SET_HERE IMAGE sh -c 'echo \"<${NOT_SET_HERE-unset}>\"'", 0, r"<unset>\n", ""),
    ("IMAGE sh -c 'echo ${FROM_THE_CALLER-nothing}'", 0, r"nothing\n", ""),
    ("-w /tmp IMAGE pwd", 0, r"/tmp\n", ""),
    ("--workdir /made/here IMAGE pwd", 127, "", r"Error: .*/made/here.*\n(Hint: .*\n)?"),
    ("--entrypoint echo IMAGE a b", 0, r"a b\n", ""),
    ('--entrypoint \'["echo", "x"]\' IMAGE a b', 0, r"x a b\n", ""),
    ("--user 1000 IMAGE id", 0, r"uid=1000 gid=0.*\n", ""),
    ("--user 1000:1001 IMAGE sh -c 'id -u; id -g'", 0, r"1000\n1001\n", ""),
    ("-u nobody IMAGE id -un", 0, r"nobody\n", ""),
    ("--user 1000 --group-add 7 --group-add 8 IMAGE id -G", 0, r"0 7 8\n", ""),
    ("--uidmap 0:0:1 --uidmap 1:1:99 IMAGE awk '{print $1, $3}' /proc/self/uid_map", 0, r"0 1\n1 99\n", ""),
    ("--uidmap 0:0:1 --uidmap 1:1:99 IMAGE awk '{print $1, $3}' /proc/self/gid_map", 0, r"0 1\n1 99\n", ""),
    (
        "--uidmap 0:1:99 --uidmap 99:0:1 --user 99 IMAGE sh -c 'touch /tmp/a; stat -c %u /tmp/a'",
        0,
        r"99\n",
        "",
    ),
    ("--uidmap 0:0:1 --gidmap 0:0:50 --user 0:7 IMAGE id -g", 0, r"7\n", ""),
    ("--uidmap 0:0:1 IMAGE id", 0, r"uid=0.*\n", ""),
    ("--uidmap 0:0:10 --user 11 IMAGE true", 125, "", r"Error: .*11.*\n(Hint: .*\n)?"),
    ("--user 5:6 IMAGE sed -n s/^Groups:.//p /proc/self/status", 0, r"6 \n", ""),
    ("--user 5:6 --group-add keep-groups IMAGE sed -n s/^Groups:.//p /proc/self/status", 0, r"0 \n", ""),
    (
        "--group-add 5 --group-add keep-groups IMAGE true",
        125,
        "",
        r"Error: .*keep-groups cannot be combined .*\n",
    ),
    ("--read-only IMAGE touch /file", 1, "", r"touch: /file: Read-only file system\n"),
    ("--read-only IMAGE touch /tmp/file /run/file /var/tmp/file /dev/shm/file", 0, "", ""),
    ("--read-only --read-only-tmpfs=false IMAGE touch /tmp/file", 1, "", r"touch: .*Read-only.*\n"),
    (
        "--tmpfs /data IMAGE sh -c 'touch /data/x && grep \" /data \" /proc/mounts'",
        0,
        r"tmpfs /data .*\n",
        "",
    ),
    ("--tmpfs /data:size=1m,mode=700 IMAGE stat -c %a /data", 0, r"700\n", ""),
    ("--shm-size 1m IMAGE df -k /dev/shm", 0, r"(?s).*\b1024\b.*", ""),
    ("--ulimit nofile=100:200 IMAGE sh -c 'ulimit -n; ulimit -Hn'", 0, r"100\n200\n", ""),
    ("--ulimit nofile=999999999 IMAGE true", 0, "", r"(Warning: .*\n)?"),  # clamped, never fatal
    ("--umask 0077 IMAGE sh -c umask", 0, r"0077\n", ""),
    ("IMAGE sh -c umask", 0, r"0022\n", ""),
    ("--uts=host IMAGE hostname", 0, r".+\n", ""),
    ("--label a=b --name labelled IMAGE true", 0, "", ""),
    ("--privileged IMAGE true", 0, "", ""),
    ("--device /dev/fuse:/dev/there IMAGE test -c /dev/there", 0, "", ""),
    ("IMAGE sh -c 'ls /proc/self/fd | wc -l'", 0, r"4\n", ""),  # 0, 1, 2, and the directory itself
    (
        "IMAGE ls /dev/",
        0,
        r"core\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nst.*\nst.*\nst.*\ntty\nurandom\nzero\n",
        "",
    ),
]


def words(text: str, image: str) -> list[str]:
    return [image if word == "IMAGE" else word for word in shlex.split(text)]


@pytest.mark.parametrize(("arguments", "status", "out", "err"), RUN, ids=[row[0] for row in RUN])
def test_run(cli: Cli, image: str, arguments: str, status: int, out: str, err: str) -> None:
    result = cli(
        *("run", "--rm", "--network=none"),
        *words(arguments, image),
        status=status,
        env={"FROM_THE_CALLER": "yes"},
    )
    assert re.fullmatch(out, result.stdout), str(result)
    assert re.fullmatch(err, result.stderr), str(result)
    assert cli.ids() == []


def test_run_passes_standard_input_and_its_end(cli: Cli, image: str) -> None:
    data = bytes(range(256)) * 5000
    program = cli("run", "--rm", "-i", "--network=none", image, "sh", "-c", "md5sum; echo end", input=data)
    assert program.lines == [f"{hashlib.md5(data).hexdigest()}  -", "end"]


def test_run_without_interactive_has_no_input(cli: Cli, image: str) -> None:
    assert cli("run", "--rm", "--network=none", image, "cat", input="text").stdout == ""


def test_large_output_arrives_whole(cli: Cli, image: str) -> None:
    result = cli("run", "--rm", "--network=none", image, "sh", "-c", "yes 0123456789 | head -n 300000")
    assert result.stdout == "0123456789\n" * 300000


def test_a_reader_that_leaves_early_ends_the_container(cli: Cli, image: str) -> None:
    result = cli.shell(f"daemonless run --rm --network=none {image} yes | head -n 2")
    assert result.stdout == "y\ny\n"


def test_run_detached_prints_the_id(cli: Cli, image: str) -> None:
    result = cli(*DETACHED, "--name", "one", image, "sleep", "1000")
    assert ID.fullmatch(result.stdout.strip())
    assert cli.inspect("one", "{{.Id}}") == result.stdout.strip()


def test_the_story_of_one_container(cli: Cli, image: str) -> None:
    container = cli(
        "create", "--name", "story", "--network=none", image, "sh", "-c", "echo told; exec sleep 100"
    )
    identity = container.stdout.strip()
    assert ID.fullmatch(identity)
    assert cli.inspect("story", "{{.State.Status}}") == "created"
    assert cli("ps", "--quiet").stdout == ""
    assert cli("ps", "-aq").lines == [identity[:12]]

    assert cli("start", "story").stdout == "story\n"
    assert cli.inspect("story", "{{.State.Running}}") == "true"
    assert cli("ps", "--format", "{{.Names}} {{.ID}}").lines == [f"story {identity[:12]}"]
    eventually(lambda: cli("logs", "story").stdout == "told\n")

    assert cli("exec", "story", "cat", "/proc/1/comm").stdout == "sleep\n"
    assert cli("stop", "--time", "0", "story").stdout == "story\n"
    assert cli.inspect("story", "{{.State.Status}} {{.State.ExitCode}}") == "exited 137"
    assert re.match(r"Exited \(137\) .*ago", cli("ps", "-a", "--format", "{{.Status}}").stdout)

    cli("start", identity[:8])
    eventually(lambda: cli("logs", "story").stdout == "told\ntold\n")
    cli("rm", "story", status=2)
    assert cli("rm", "-f", "story").stdout == "story\n"
    cli("inspect", "story", status=125)


@pytest.mark.parametrize("name", ["name", "id", "short id"])
def test_containers_are_found_by(cli: Cli, image: str, name: str) -> None:
    identity = cli("create", "--name", "abc", image, "true").stdout.strip()
    spelling = {"name": "abc", "id": identity, "short id": identity[:10]}[name]
    assert cli.inspect(spelling, "{{.Name}}").lstrip("/") == "abc"


# arguments of exec after the container; status; patterns of both outputs
EXEC: list[tuple[str, str, int, str, str]] = [
    ("", "echo hello", 0, r"hello\n", ""),
    ("", "sh -c 'exit 4'", 4, "", ""),
    ("", "sh -c 'kill -9 $$'", 137, "", ""),
    ("", "/not/there", 127, "", r"Error: .*/not/there.*\n(Hint: .*\n)?"),
    ("", "not-there", 127, "", r"Error: .*not-there.*\n(Hint: .*\n)?"),
    ("", "/etc/passwd", 126, "", r"Error: .*/etc/passwd.*\n(Hint: .*\n)?"),
    ("", "/tmp", 126, "", r"Error: .*/tmp.*\n(Hint: .*\n)?"),
    ("-e A=b", "sh -c 'echo $A'", 0, r"b\n", ""),
    ("", "sh -c 'echo $OF_RUN'", 0, r"yes\n", ""),
    ("-w /etc", "pwd", 0, r"/etc\n", ""),
    ("", "pwd", 0, r"/tmp\n", ""),
    ("-w /not/there", "pwd", 127, "", r"Error: .*/not/there.*\n(Hint: .*\n)?"),
    ("-u 1000", "id -u", 0, r"1000\n", ""),
    ("--user nobody", "id -un", 0, r"nobody\n", ""),
    ("", "hostname", 0, r"box\n", ""),
    ("", "sh -c 'ls /proc/self/fd | wc -l'", 0, r"4\n", ""),
    ("--privileged", "true", 0, "", ""),
]


def test_a_directory_as_the_root(cli: Cli, image: str, tmp_path: Path) -> None:
    """Written to as it is, or with O below a layer of the container's own; either without an image."""
    root = tmp_path / "diff"  # as the directories of layers are called
    root.mkdir()
    cli("create", "--network=none", "--name", "source", image, "true")
    cli("export", "-o", str(tmp_path / "tar"), "source")
    subprocess.run(["tar", "-C", root, "-xf", tmp_path / "tar", "--exclude=dev"], check=True)
    cli("rm", "source")
    options = ("--network=none", "--rootfs")
    assert cli("run", "--rm", *options, str(root), "sh", "-c", "id -u; echo a >/a").stdout == "0\n"
    assert (root / "a").read_text() == "a\n"
    script = "echo b >/a; rm /bin/ls; sleep 1000"
    cli("run", "-d", *options, "--name", "kept", "./diff:O", "sh", "-c", script, cwd=tmp_path)
    eventually(lambda: cli("exec", "kept", "cat", "/a").stdout == "b\n")
    assert (root / "a").read_text() == "a\n" and os.path.lexists(root / "bin/ls")
    cli("stop", "-t", "0", "kept")
    assert cli("diff", "kept").lines == ["C /a", "C /bin", "D /bin/ls"]
    assert cli("cp", "kept:/a", "-").stdout.count("b\n") == 1
    refused = cli("commit", "kept", "made", status=125).stderr
    assert "has a directory as its root" in refused and "daemonless import" in refused
    assert cli("inspect", "--format", "{{.Rootfs}} {{.Image}}", "kept").stdout == f"{root} \n"
    assert cli("ps", "-a", "--size", "--format", "{{.Image}} {{.ImageID}}|").stdout == f"{root} |\n"
    cli("run", "--name", "plain", *options, str(root), "sh", "-c", "echo c >/c")
    cli("cp", str(tmp_path / "tar"), "plain:/copied")
    assert cli("cp", "plain:/c", "-").stdout.count("c\n") == 1 and (root / "copied").exists()
    assert "of its own" in cli("diff", "plain", status=125).stderr
    (root / "bin/sh").rename(root / "bin/moved")
    cli("start", "--attach", "plain", status=127)
    cli("image", "prune", "-f")  # asks every container what it needs
    missing = cli("run", *options, str(root / "not there"), "true", status=125).stderr
    assert "does not exist" in missing
    assert "no directory" in cli("run", *options, str(tmp_path / "tar"), "true", status=125).stderr
    assert "DIRECTORY:O" in cli("run", *options, f"{root}:idmap", "true", status=125).stderr


@pytest.mark.parametrize(
    ("options", "command", "status", "out", "err"), EXEC, ids=[f"{r[0]} {r[1]}" for r in EXEC]
)
def test_exec(cli: Cli, image: str, options: str, command: str, status: int, out: str, err: str) -> None:
    cli(*DETACHED, "--name", "target", "-h", "box", "-w", "/tmp", "-e", "OF_RUN=yes", image, "sleep", "1000")
    result = cli("exec", *words(options, image), "target", *words(command, image), status=status)
    assert re.fullmatch(out, result.stdout), str(result)
    assert re.fullmatch(err, result.stderr), str(result)


def test_exec_and_cp_in_a_container_with_an_init(cli: Cli, image: str) -> None:
    cli(*DETACHED, "--init", "--name", "target", image, "sleep", "1000")
    assert cli("exec", "target", "cat", "/proc/2/comm").stdout == "sleep\n"
    assert cli("cp", "target:/etc/hostname", "-").stdout


def test_exec_passes_standard_input(cli: Cli, image: str) -> None:
    cli(*DETACHED, "--name", "target", image, "sleep", "1000")
    assert cli("exec", "-i", "target", "cat", input="through\n").stdout == "through\n"
    assert cli("exec", "target", "cat", input="not through\n").stdout == ""


def test_exec_detached(cli: Cli, image: str) -> None:
    cli(*DETACHED, "--name", "target", image, "sleep", "1000")
    cli("exec", "-d", "target", "touch", "/tmp/made")
    eventually(lambda: cli("exec", "target", "test", "-e", "/tmp/made", status=None).status == 0)


def test_exec_in_a_stopped_container(cli: Cli, image: str) -> None:
    cli("create", "--name", "idle", image, "true")
    result = cli("exec", "idle", "true", status=None)
    assert result.status in (125, 255) and "idle" in result.stderr and "not running" in result.stderr


def test_stop_asks_first(cli: Cli, image: str) -> None:
    script = "trap 'echo asked; exit 5' TERM; echo up; while :; do sleep 0.1; done"
    cli(*DETACHED, "--name", "polite", image, "sh", "-c", script)
    eventually(lambda: "up" in cli("logs", "polite").stdout)
    cli("stop", "--timeout", "3", "polite")
    assert cli("logs", "polite").stdout == "up\nasked\n"
    assert cli("wait", "polite").stdout == "5\n"


def test_stop_kills_what_does_not_listen(cli: Cli, image: str) -> None:
    cli(*DETACHED, "--name", "deaf", image, "sleep", "1000")
    started = time.monotonic()
    cli("stop", "--timeout", "1", "deaf")
    assert 1 <= time.monotonic() - started < 5
    assert cli.inspect("deaf", "{{.State.ExitCode}}") == "137"


def test_stop_uses_the_stop_signal(cli: Cli, image: str) -> None:
    script = "trap 'exit 6' USR1; echo up; while :; do sleep 0.1; done"
    cli(*DETACHED, "--name", "own", "--stop-signal", "USR1", image, "sh", "-c", script)
    eventually(lambda: "up" in cli("logs", "own").stdout)
    cli("stop", "own")
    assert cli.inspect("own", "{{.State.ExitCode}}") == "6"


def test_stop_of_a_stopped_container_is_no_error(cli: Cli, image: str) -> None:
    cli("run", "--name", "done", "--network=none", image, "true")
    assert cli("stop", "done").stdout == "done\n"


@pytest.mark.parametrize("name", ["USR1", "SIGUSR1", "usr1", "10"])
def test_kill_signal(cli: Cli, image: str, name: str) -> None:
    script = "trap 'echo got it' USR1; echo up; while :; do sleep 0.1; done"
    cli(*DETACHED, "--name", "target", image, "sh", "-c", script)
    eventually(lambda: "up" in cli("logs", "target").stdout)
    assert cli("kill", "--signal", name, "target").stdout == "target\n"
    eventually(lambda: cli("logs", "target").stdout == "up\ngot it\n")
    assert cli.inspect("target", "{{.State.Running}}") == "true"


def test_kill_without_a_signal_ends_it(cli: Cli, image: str) -> None:
    cli(*DETACHED, "--name", "target", image, "sleep", "1000")
    cli("kill", "target")
    assert cli("wait", "target").stdout == "137\n"


def test_wait_returns_when_it_ends(cli: Cli, image: str) -> None:
    cli(*DETACHED, "--name", "brief", image, "sh", "-c", "sleep 0.5; exit 9")
    assert cli("wait", "brief").stdout == "9\n"
    assert cli("wait", "brief").stdout == "9\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_for_the_command_reach_the_container(cli: Cli, image: str, number: int) -> None:
    script = f"trap 'exit 40' {number}; echo up; while :; do sleep 0.1; done"
    process = cli.start("run", "--rm", "--name", "front", "--network=none", image, "sh", "-c", script)
    assert process.stdout and process.stdout.readline() == b"up\n"
    process.send_signal(number)
    assert process.wait(20) == 40


@pytest.mark.parametrize("command", [("run", "--init", "--network=none", "--name", "front"), ("start", "-a")])
def test_a_signal_while_it_starts_leaves_nothing_running(
    cli: Cli, image: str, command: tuple[str, ...]
) -> None:
    """It comes before there is anything to run, or it reaches the process."""
    words = (*command, image, "sleep", "1000")
    if command[0] == "start":
        cli("create", "--init", "--network=none", "--name", "front", image, "sleep", "1000")
        words = (*command, "front")
    for moment in range(30):
        process = cli.start(*words)
        time.sleep(moment * 0.006)
        process.send_signal((signal.SIGTERM, signal.SIGINT)[moment % 2])
        process.communicate(timeout=20)
        assert cli("ps", "--quiet").stdout == ""
        if command[0] == "run":
            cli("rm", "--force", "front")


def test_logs_keep_order_streams_and_count(cli: Cli, image: str) -> None:
    cli(
        "run",
        "--name",
        "talk",
        "--network=none",
        image,
        "sh",
        "-c",
        "for i in 1 2 3 4; do echo $i; done; echo e >&2",
    )
    both = cli("logs", "talk")
    assert both.stdout == "1\n2\n3\n4\n" and both.stderr == "e\n"
    assert cli("logs", "--tail", "2", "talk").stdout + cli("logs", "--tail", "2", "talk").stderr == "4\ne\n"
    assert cli("logs", "--tail", "0", "talk").stdout == ""
    stamped = cli("logs", "-t", "talk").lines
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+\S+ 1", stamped[0])


def test_logs_follow_until_the_end(cli: Cli, image: str) -> None:
    cli(*DETACHED, "--name", "talk", image, "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.3; done")
    assert cli("logs", "--follow", "talk").stdout == "1\n2\n3\n"


def test_ps_columns(cli: Cli, image: str) -> None:
    cli(*DETACHED, "--name", "shown", image, "sleep", "1000")
    header, row = cli("ps").lines
    assert re.split(r"\s{2,}", header.strip()) == [
        *("CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES")
    ]
    assert re.match(rf"[0-9a-f]{{12}}  .*{image}.*  sleep 1000 .*Up .* shown$", row), row


def test_ps_filters(cli: Cli, image: str) -> None:
    for name, label in (("a1", "k=1"), ("a2", "k=2"), ("b", "other")):
        cli("create", "--name", name, "--label", label, image, "true")
    cli("start", "b")
    cli("wait", "b")

    def names(*filters: str) -> list[str]:
        options = [f"--filter={text}" for text in filters]
        return sorted(cli("ps", "--all", "--format", "{{.Names}}", *options).lines)

    assert names() == ["a1", "a2", "b"]
    assert names("label=k") == ["a1", "a2"]
    assert names("label=k=2") == ["a2"]
    assert names("label=k", "label=k=1") == ["a1"]
    assert names("name=a") == ["a1", "a2"]
    assert names("name=^a1$", "name=b") == ["a1", "b"]
    assert names("status=exited") == ["b"]
    assert names("status=created") == ["a1", "a2"]
    assert names("exited=0") == ["b"]
    assert names("label=absent") == []


def test_ps_as_json(cli: Cli, image: str) -> None:
    identity = cli("create", "--name", "j", image, "true").stdout.strip()
    (shown,) = json.loads(cli("ps", "-a", "--format", "json").stdout)
    assert shown["Id"] == identity and shown["Names"] == ["j"]


def test_inspect_shows_the_process(cli: Cli, image: str) -> None:
    cli(*DETACHED, "--name", "seen", "--label", "a=b", image, "sleep", "1000")
    pid = cli.inspect("seen", "{{.State.Pid}}")
    assert Path(f"/proc/{pid}/comm").read_text() == "sleep\n"
    assert cli.inspect("seen", '{{index .Config.Labels "a"}}') == "b"
    assert cli.inspect("seen", "{{json .Config.Cmd}}") == '["sleep","1000"]'


def test_rm_of_a_running_container_says_how(cli: Cli, image: str) -> None:
    cli(*DETACHED, "--name", "busy", image, "sleep", "1000")
    result = cli("rm", "busy", status=2)
    assert re.match(r"Error: .*busy.*running.*\nHint: .*--force", result.stderr), str(result)
    assert cli.inspect("busy", "{{.State.Running}}") == "true"


def test_the_writable_layer_lasts_as_long_as_the_container(cli: Cli, image: str) -> None:
    cli(
        "run",
        "--name",
        "keeps",
        "--network=none",
        image,
        "sh",
        "-c",
        "cat /kept 2>/dev/null || echo first >/kept",
    )
    assert cli("start", "--attach", "keeps").stdout == "first\n"
    assert cli("run", "--rm", "--network=none", image, "ls", "/kept", status=1).stdout == ""


def test_cidfile(cli: Cli, image: str, tmp_path: Path) -> None:
    file = tmp_path / "cid"
    cli("run", "--rm", "--network=none", "--cidfile", str(file), image, "true")
    assert ID.fullmatch(file.read_text().strip())
    again = cli("run", "--rm", "--network=none", "--cidfile", str(file), image, "true", status=125)
    assert str(file) in again.stderr


def test_replace_takes_the_name_over(cli: Cli, image: str) -> None:
    first = cli(*DETACHED, "--name", "only", image, "sleep", "1000").stdout
    second = cli(*DETACHED, "--name", "only", "--replace", image, "sleep", "1000").stdout
    assert first != second and cli.ids() == [second.strip()]


def test_removed_at_the_end(cli: Cli, image: str) -> None:
    cli(*DETACHED, "--rm", "--name", "brief", image, "sleep", "0.2")
    eventually(lambda: cli.ids() == [])
    assert not cli.leftovers()


def test_the_network_helper_ends_with_the_container(cli: Cli, image: str) -> None:
    cli("run", "--detach", "--name", "net", image, "sleep", "1000")
    assert len(descendants_named("slirp4netns")) == 1
    cli("stop", "-t", "0", "net")
    eventually(lambda: descendants_named("slirp4netns") == [])


# The examples that the project started from, in their own spelling. IMAGE stands for centos:6 and its
# like; the examples that need a registry are in test_readme.py, on a local one.
EXAMPLES = [
    ('run IMAGE /bin/echo "Oh hai"', r"Oh hai\n"),
    (
        'run --detach --name test_labels --label="foo=bar" --label="fizz=buzz" IMAGE sleep 1000',
        r"[0-9a-f]{64}\n",
    ),
    ('ps --filter="label=foo=bar"', r"(?s)CONTAINER ID.*\btest_labels\n"),
    ("ps --all", r"(?s)CONTAINER ID.*Oh hai.*"),
    ("kill --signal USR1 test_labels", r"test_labels\n"),
    ("logs --follow $(daemonless ps --all --quiet --filter status=exited)", r"Oh hai\n"),
    ("stop --timeout 3 test_labels", r"test_labels\n"),
    ("rm $(daemonless ps --all --quiet)", r"([0-9a-f]{12,64}\n){2}"),
    ("images --quiet --filter dangling=true", r""),
]


def test_the_examples_of_the_notes(cli: Cli, image: str) -> None:
    for line, expected in EXAMPLES:
        result = cli.shell("daemonless " + line.replace("IMAGE", image))
        assert re.fullmatch(expected, result.stdout), str(result)


def test_rm_and_rmi_of_nothing_name_the_way(cli: Cli) -> None:
    for command in ("rm", "rmi"):
        result = cli(command, status=None)
        assert result.status == 125 and "Error: " in result.stderr, str(result)
