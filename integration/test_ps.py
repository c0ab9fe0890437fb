"""ps on real containers: states, sizes, namespaces, and a list that renews itself."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from harness import Cli, Terminal, eventually

_BY_NAMESPACE = ["CONTAINER", "ID", "NAMES", "PID", "CGROUPNS", "IPC", "MNT", "NET", "PIDNS", "USERNS", "UTS"]
RUN = ("run", "--detach", "--network=none")


def test_what_is_written_is_counted(cli: Cli, image: str) -> None:
    cli(*RUN, "--name", "writer", image, "sh", "-c", "head -c 123456 /dev/zero >/file; sleep 100")
    cli("create", "--name", "idle", "--network=none", image, "true")
    sizes = ("ps", "--all", "--size", "--format", "{{.Names}} {{.Size}}")
    eventually(lambda: "writer 123kB (virtual " in cli(*sizes).stdout)
    assert re.search(r"^idle 0B \(virtual [\d.]+MB\)$", cli(*sizes).stdout, re.MULTILINE)
    assert cli("ps", "--all", "--quiet", "--sort", "size", "--format", "{{.Names}}").lines
    shown = json.loads(cli("ps", "--all", "--size", "--format", "json").stdout)
    assert {each["Names"][0]: each["Size"]["rwSize"] for each in shown} == {"writer": 123456, "idle": 0}
    assert cli("ps", "-s").lines[0].endswith("SIZE")


def test_an_image_without_a_name_is_as_short_as_an_id(cli: Cli, image: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM {image}\nLABEL nameless=1\n")
    built = cli("build", "--quiet", str(tmp_path)).stdout.strip()
    cli("create", "--name", "one", "--network=none", built, "true")
    assert cli("ps", "--all", "--format", "{{.Image}}").stdout == f"{built[:12]}\n"
    assert cli("ps", "--all", "--no-trunc", "--format", "{{.Image}}").stdout == f"{built}\n"


def test_namespaces_are_the_process_own(cli: Cli, image: str) -> None:
    cli(*RUN, "--name", "one", image, "sleep", "100")
    pid, net = cli("ps", "--format", "{{.Pid}} {{.NET}}").stdout.split()
    assert net == os.readlink(f"/proc/{pid}/ns/net")[5:-1] != os.readlink("/proc/self/ns/net")[5:-1]
    heading, row = cli("ps", "--ns").lines
    assert heading.split() == _BY_NAMESPACE
    assert len(row.split()) == 10


def test_exit_status_belongs_to_what_has_ended(cli: Cli, image: str) -> None:
    script = "test -e /mark && sleep 100; >/mark; exit 3"
    cli("run", "--name", "again", "--network=none", image, "sh", "-c", script, status=3)
    ended = cli("ps", "--all", "--format", "{{.ExitCode}} {{.Exited}} {{.Status}}").stdout
    assert re.fullmatch(r"3 true Exited \(3\) .* ago\n", ended)
    cli("start", "again")
    running = cli("ps", "--all", "--format", "{{.ExitCode}} {{.Exited}} {{.ExitedAt}} {{.Status}}").stdout
    assert re.fullmatch(r"0 false -62135596800 Up .*\n", running)


def test_a_list_that_renews_itself(cli: Cli, image: str, terminal: Terminal) -> None:
    terminal.type("daemonless ps --watch 1 --format '<{{.Names}}>'")
    cli(*RUN, "--name", "late", image, "sleep", "100")
    terminal.wait_for("^<late>")
    assert terminal.tmux("capture-pane", "-p").splitlines()[0] == "<late>"  # the rest was cleared away
    terminal.press("C-c")
    terminal.wait_for_prompt()


def test_a_watched_list_goes_on_in_a_pipe(cli: Cli, image: str) -> None:
    cli("create", "--name", "made", "--network=none", image, "true")
    assert cli.shell("daemonless ps -a -w 1 --format '{{.Names}}' | head -n 2").stdout == "made\nmade\n"
    assert cli("ps", "--watch=-1", status=125).stderr == "Error: --watch -1 is not a number of seconds\n"
