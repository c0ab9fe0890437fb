"""logs: several containers, drivers, rotation, following, and containers that print a lot."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest
from harness import Cli, Terminal, eventually

RUN = ("run", "--network=none")
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"


def run(cli: Cli, image: str, script: str, *options: str, status: int | None = 0) -> str:
    """Run a script to its end without --rm; return the container's id."""
    container = cli("create", "--network=none", *options, image, "sh", "-c", script).stdout.strip()
    cli("start", "--attach", container, status=status)
    return container


def memory(pid: int) -> int:
    """Return the resident memory of a process in KiB, at its highest (proc_pid_status(5), VmHWM)."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0])


def supervisor(cli: Cli, container: str) -> int:
    state = json.loads((cli.runroot / "containers" / container / "state.json").read_text())
    return int(state["supervisor"])


# --- what is shown --------------------------------------------------------------------------


def test_several_containers_are_put_in_order_of_time(cli: Cli, image: str) -> None:
    first = run(cli, image, "echo a1; sleep 0.3; echo a2 >&2; sleep 0.3; printf a; echo 3", "--name=a")
    second = run(cli, image, "echo b1", "--name=b")
    shown = cli("logs", "a", "b")
    assert shown.lines == [f"{first[:12]} a1", f"{first[:12]} a3", f"{second[:12]} b1"]
    assert shown.stderr == f"{first[:12]} a2\n"
    merged = cli.shell("daemonless logs --names a b 2>&1").lines
    assert merged == ["a a1", "a a2", "a a3", "b b1"]
    assert cli("logs", "-n", "--tail=1", "b", "a").lines == ["a a3", "b b1"]
    assert re.fullmatch(rf"b {TIME} b1\n", cli("logs", "-nt", "b").stdout)
    cli("logs", "a", "missing", status=125)


def test_the_newest_container(cli: Cli, image: str) -> None:
    run(cli, image, "echo old")
    run(cli, image, "echo new")
    assert cli("logs", "--latest").stdout == "new\n"
    cli("logs", status=125)


def test_colours(cli: Cli, image: str, terminal: Terminal) -> None:
    run(cli, image, "echo one", "--name=a")
    run(cli, image, "echo two", "--name=b")
    assert cli("logs", "--color", "-n", "a", "b").stdout == "\x1b[37ma one\x1b[0m\n\x1b[31mb two\x1b[0m\n"
    assert "\x1b" not in cli("logs", "--color", "-n", "a", "b", env={"NO_COLOR": "1"}).stdout
    assert "\x1b" not in cli("logs", "-n", "a", "b").stdout
    terminal.type("daemonless logs -n a b")
    terminal.wait_for("\x1b\\[31mb two", colours=True)


def test_details_show_the_tag(cli: Cli, image: str) -> None:
    run(cli, image, "echo x", "--name=a", "--log-opt", "tag=web")
    run(cli, image, "echo x", "--name=b")
    assert cli("logs", "--details", "a").stdout == "tag=web x\n"
    assert cli("logs", "--details", "b").stdout == " x\n"


@pytest.mark.parametrize("driver", ["k8s-file", "json-file"])
def test_details_show_what_was_chosen(cli: Cli, image: str, driver: str) -> None:
    chosen = ("--log-opt=tag={{.Name}}", "--log-opt=labels=team,none", "--log-opt=env=LEVEL")
    options = ("--name=a", "--label=team=blue", "--label=x=y", "--env=LEVEL=3", *chosen)
    run(cli, image, "echo x", *options, f"--log-driver={driver}")
    assert cli("logs", "--details", "a").stdout == "LEVEL=3,tag=a,team=blue x\n"
    assert cli("logs", "a").stdout == "x\n"
    if driver == "json-file":
        record = json.loads(Path(cli.inspect("a", "{{.LogPath}}")).read_text())
        assert record["attrs"] == {"tag": "a", "team": "blue", "LEVEL": "3"}


@pytest.mark.parametrize("driver", ["k8s-file", "json-file"])
def test_any_bytes(cli: Cli, image: str, driver: str) -> None:
    script = r"""printf '\0\1\377\\ "q"\r\nno end' ; printf 'err\033[0m' >&2"""
    container = run(cli, image, script, f"--log-driver={driver}")
    out = cli("logs", container)
    lost = b"\xff" if driver == "k8s-file" else "\ufffd".encode()
    assert os.fsencode(out.stdout) == b'\0\1%s\\ "q"\r\nno end' % lost
    assert out.stderr == "err\x1b[0m"


def test_until_and_since(cli: Cli, image: str) -> None:
    container = run(cli, image, "echo one; sleep 0.2; echo two; sleep 0.2; echo three")
    times = [line.split()[0] for line in cli("logs", "-t", container).lines]
    assert cli("logs", "--since", times[1], container).lines == ["two", "three"]
    assert cli("logs", "--until", times[1], container).lines == ["one", "two"]
    assert cli("logs", "--since", times[1], "--until", times[1], container).lines == ["two"]


# --- drivers --------------------------------------------------------------------------------


def test_others_can_read_json_file(cli: Cli, image: str) -> None:
    container = run(cli, image, "echo größe; echo oh >&2", "--log-driver=json-file")
    path = cli.inspect(container, "{{.LogPath}}")
    records = [json.loads(line) for line in Path(path).read_text().splitlines()]
    assert sorted((record["stream"], record["log"]) for record in records) == [
        ("stderr", "oh\n"),
        ("stdout", "größe\n"),
    ]


def test_none_keeps_nothing(cli: Cli, image: str) -> None:
    container = run(cli, image, "echo x", "--log-driver=none")
    said = cli("logs", container, status=125).stderr
    assert "'none' log driver, cannot read logs" in said


def test_passthrough_gives_the_callers_own_streams(cli: Cli, image: str, tmp_path: Path) -> None:
    script = "cat; echo err >&2; ls -l /proc/self/fd/1"
    container = cli("create", "--network=none", "-i", "--log-driver=passthrough", image, "sh", "-c", script)
    name = container.stdout.strip()
    with open(tmp_path / "in", "w+") as given, open(tmp_path / "out", "w+") as taken:
        given.write("typed\n")
        given.seek(0)
        process = cli.start("start", "-ai", name, stdin=given, stdout=taken, stderr=taken)
        assert process.wait(20) == 0
    shown = (tmp_path / "out").read_text()
    assert shown.startswith("typed\nerr\n") and "/out" in shown
    assert "cannot read logs" in cli("logs", name, status=125).stderr
    cli("create", "-t", "--log-driver=passthrough", image, status=125)


def test_passthrough_is_refused_on_a_terminal(cli: Cli, image: str, terminal: Terminal) -> None:
    """CVE-2017-5226: whoever holds the caller's terminal can type into it."""
    terminal.type(f"daemonless run --network=none --log-driver=passthrough {image} true; echo ended $?")
    terminal.wait_for(r"^ended 125$")
    assert "cannot be used on a terminal" in terminal.screen()
    assert cli.ids() == []


def test_options_of_the_log(cli: Cli, image: str, tmp_path: Path) -> None:
    options = ("--log-opt=max-size=1k", "--log-opt", "max-file=3", "--log-opt", f"path={tmp_path}/own.log")
    container = run(cli, image, "seq 1 100", *options)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["own.log", "own.log.1", "own.log.2"]
    assert all(file.stat().st_size <= 1024 for file in files)
    shown = cli("logs", container).lines
    assert shown == [str(number) for number in range(101 - len(shown), 101)] and len(shown) > 40
    assert cli("logs", "--tail=40", container).lines == shown[-40:]
    assert cli.inspect(container, "{{.HostConfig.LogConfig.Path}} {{.HostConfig.LogConfig.Size}}") == (
        f"{tmp_path}/own.log 1024B"
    )


@pytest.mark.parametrize(
    "option", ["max-size", "max-size=", "max-size=1x", "max-file=0", "color=red", "path=a\nb"]
)
def test_log_options_that_make_no_sense(cli: Cli, image: str, option: str) -> None:
    assert "--log-opt" in cli("create", "--log-opt", option, image, status=125).stderr
    assert cli.ids() == []


def test_a_driver_without_files_has_no_size(cli: Cli, image: str) -> None:
    said = cli("create", "--log-driver=none", "--log-opt=max-size=1k", image, status=125).stderr
    assert "max-size" in said


# --- following ------------------------------------------------------------------------------


def test_following_survives_rotation_and_ends_with_the_container(cli: Cli, image: str) -> None:
    script = "for i in $(seq 1 60); do echo line $i; sleep 0.02; done"
    cli(*RUN, "-d", "--name=f", "--log-opt=max-size=500", "--log-opt=max-file=4", image, "sh", "-c", script)
    shown = cli("logs", "--follow", "f").lines
    assert shown == [f"line {number}" for number in range(1, 61)]


def test_following_several(cli: Cli, image: str) -> None:
    cli(*RUN, "-d", "--name=short", image, "sh", "-c", "echo one; sleep 0.2; echo two")
    cli(*RUN, "-d", "--name=long", image, "sh", "-c", "sleep 0.6; printf thr; sleep 0.1; echo ee")
    assert cli("logs", "-fn", "short", "long").lines == ["short one", "short two", "long three"]


def test_following_goes_on_across_restarts(cli: Cli, image: str) -> None:
    script = "echo up; sleep 0.3; exit 1"
    cli(*RUN, "-d", "--name=f", "--restart=on-failure:2", image, "sh", "-c", script)
    assert cli("logs", "--follow", "f").lines == ["up"] * 3


def test_following_until(cli: Cli, image: str) -> None:
    cli(*RUN, "-d", "--name=f", image, "sh", "-c", "while :; do echo x; sleep 0.05; done")
    soon = str(time.time() + 1)
    shown = cli("logs", "--follow", "--until", soon, "f", timeout=10)
    assert 2 < len(shown.lines) < 40


# --- a lot of output ------------------------------------------------------------------------


@pytest.mark.parametrize("driver", ["k8s-file", "json-file"])
def test_a_lot_of_output_is_whole_and_takes_no_memory(cli: Cli, image: str, driver: str) -> None:
    script = "yes $(seq -s, 1 40) | head -n 300000; sleep 1000"
    container = cli(*RUN, "-d", f"--log-driver={driver}", image, "sh", "-c", script).stdout.strip()
    line = ",".join(map(str, range(1, 41)))
    eventually(lambda: cli("logs", "--tail=1", container).stdout == f"{line}\n", 30)
    eventually(lambda: len(cli("logs", container).stdout) == 300000 * (len(line) + 1), 30)
    assert memory(supervisor(cli, container)) < 40 << 10
    assert set(cli("logs", container).lines) == {line}


def test_a_line_without_end(cli: Cli, image: str) -> None:
    script = "echo first; dd if=/dev/zero bs=1M count=10 2>/dev/null | tr '\\0' x; echo; echo last"
    container = run(cli, image, script)
    assert cli("logs", "--tail=1", container).stdout == "last\n"
    assert cli("logs", "--tail=2", container).stdout == "x" * (10 << 20) + "\nlast\n"
    assert cli("logs", container).stdout[:7] == "first\nx"


def test_a_torn_record_is_passed_over(cli: Cli, image: str) -> None:
    container = run(cli, image, "echo one; echo two")
    path = Path(cli.inspect(container, "{{.LogPath}}"))
    os.truncate(path, path.stat().st_size - 2)
    assert cli("logs", container).stdout == "one\n"
    cli("start", "--attach", container)
    assert cli("logs", container).stdout == "one\none\ntwo\n"
