"""What a build shows: a terminal, lines, JSON for programs, or nothing; and what of a step that failed."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import Cli, Terminal, eventually, processes

Place = Callable[[str], Path]


@pytest.fixture
def place(tmp_path: Path, image: str) -> Place:
    """Make a build context of a Dockerfile only."""

    def make(dockerfile: str) -> Path:
        (tmp_path / "Dockerfile").write_text(dockerfile.replace("BASE", image))
        return tmp_path

    return make


def objects(stderr: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stderr.splitlines() if line.startswith("{")]


# --- lines --------------------------------------------------------------------------------------


def test_lines_are_without_control_sequences(cli: Cli, place: Place) -> None:
    text = r"RUN printf '\033[31mred\033[0m \033]0;title\007x\n10%%\r50%%\r99%%\nlast'"
    built = cli("build", "--no-cache", str(place(f"FROM BASE\n{text}\n")))
    printed = re.findall(r"^#2 \d+\.\d{3} (.*)$", built.stderr, re.M)
    assert printed == ["red x", "99%", "last"]
    assert re.search(r"^#2 DONE \d+\.\ds$", built.stderr, re.M)


def test_the_last_lines_of_a_step_are_not_said_twice(cli: Cli, place: Place) -> None:
    failed = cli("build", str(place("FROM BASE\nRUN seq 50; exit 4\n")), status=4)
    assert len(re.findall(r"^#2 \d+\.\d{3} 49$", failed.stderr, re.M)) == 1
    assert "------" not in failed.stderr
    assert re.search(r"^ +2 \| >>> RUN seq 50; exit 4$", failed.stderr, re.M)
    assert "the command failed with exit status 4\n" in failed.stderr


def test_the_last_lines_of_a_step_that_failed_without_a_word(cli: Cli, place: Place) -> None:
    failed = cli("build", "--quiet", str(place("FROM BASE\nRUN seq 50; exit 4\n")), status=4)
    frame, title, *lines = failed.stderr.splitlines()
    assert (frame, title) == ("------", " > [2/2] RUN seq 50; exit 4:")
    assert [line.split()[1] for line in lines[: lines.index(frame)]] == [str(n) for n in range(31, 51)]
    assert failed.stderr.count("Error: ") == 1


def test_the_variable_that_says_how(cli: Cli, place: Place) -> None:
    directory = str(place("FROM BASE\nRUN echo something\n"))
    assert objects(cli("build", directory, env={"BUILDKIT_PROGRESS": "rawjson"}).stderr)
    assert cli("build", directory, env={"BUILDKIT_PROGRESS": "quiet"}).stderr == ""
    for said in ("plain", "tty", "nonsense"):
        assert "#2 [2/2] RUN" in cli("build", directory, env={"BUILDKIT_PROGRESS": said}).stderr
    said = cli("build", "--progress", "plain", directory, env={"BUILDKIT_PROGRESS": "rawjson"}).stderr
    assert "#2 [2/2] RUN" in said
    assert "needs a terminal" in cli("build", "--progress", "tty", directory, status=125).stderr


# --- for programs -------------------------------------------------------------------------------


def test_rawjson(cli: Cli, place: Place) -> None:
    directory = str(place("FROM BASE\nRUN printf 'a\\n\\377\\n'\nRUN echo second\n"))
    cli("build", "--no-cache", "--target", "0", directory)
    (Path(directory) / "Dockerfile").write_text(
        (Path(directory) / "Dockerfile").read_text().replace("second", "third")
    )
    built = cli("build", "--progress", "rawjson", "--tag", "raw", directory)
    events = objects(built.stderr)
    assert len(events) == len(built.stderr.splitlines())
    last = {v["name"]: v for event in events for v in event.get("vertexes", ())}
    cached, made = last["[2/3] RUN printf 'a\\n\\377\\n'"], last["[3/3] RUN echo third"]
    assert cached["cached"] is True
    assert "cached" not in made
    for vertex in last.values():
        assert re.fullmatch("sha256:[0-9a-f]{64}", vertex["digest"])
        assert vertex["started"] <= vertex["completed"]
        assert "error" not in vertex
    logs = [log for event in events for log in event.get("logs", ())]
    assert [(log["vertex"], log["stream"], base64.b64decode(log["data"])) for log in logs] == [
        (made["digest"], 1, b"third\n")
    ]
    parts = [status["id"] for event in events for status in event.get("statuses", ())]
    assert parts == [f"writing image sha256:{built.stdout.strip()}", "naming to docker.io/library/raw:latest"]
    cli("rmi", "raw")


def test_rawjson_of_what_fails(cli: Cli, place: Place) -> None:
    text = (
        "FROM BASE AS a\nRUN sleep 100\nFROM BASE AS b\nRUN echo told; sleep 1; exit 3\n"
        "FROM BASE\nCOPY --from=a /etc /a\nCOPY --from=b /etc /b\n"
    )
    failed = cli("build", "--jobs", "2", "--progress", "rawjson", str(place(text)), status=3)
    last = {v["name"]: v for event in objects(failed.stderr) for v in event.get("vertexes", ())}
    assert last["[b 2/2] RUN echo told; sleep 1; exit 3"]["error"] == "the command failed with exit status 3"
    assert last["[a 2/2] RUN sleep 100"]["error"] == "canceled"
    assert "------" not in failed.stderr


# --- what a step that failed leaves -------------------------------------------------------------


def test_keep_what_a_step_left(cli: Cli, place: Place, terminal: Terminal) -> None:
    """A container with the step's files, variables, directory and user, to be entered."""
    directory = place(
        "FROM BASE\nRUN mkdir /w && chown 5:6 /w\nENV A=env\nARG B=arg\nUSER 5:6\nWORKDIR /w\nVOLUME /w\n"
        'ENTRYPOINT ["false"]\nRUN echo left > file; cd /; echo $A > /w/x; exit 9\n'
    )
    failed = cli("build", "--on-error", "keep", "--tag", "never", str(directory), status=9)
    name = failed.stderr.splitlines()[-1].removeprefix("Hint: look at what it left: daemonless start -ai ")
    assert cli("ps", "--all", "--format", "{{.Names}} {{.Status}}").lines == [f"{name} Created"]
    assert cli("image", "exists", "never", status=1)
    assert cli("diff", name).lines == ["C /w", "A /w/file", "A /w/x"]
    terminal.type(f"clear; daemonless start -ai {name}")
    terminal.wait_for(r"^/w \$$")
    terminal.type("echo $A $B $PWD $(id -u):$(id -g) $(cat file) $(cat x).")
    terminal.wait_for(r"^env arg /w 5:6 left env\.$")
    terminal.type("exit")
    terminal.wait_for(rf"{Terminal.PROMPT.strip()}\s*\Z")
    cli("rm", name)
    cli("image", "prune", "--force")
    assert cli("build", str(directory), status=9).stderr.splitlines()[-1].endswith("--on-error keep")
    assert cli("ps", "--all", "--quiet").stdout == ""


def test_keep_what_a_missing_command_left(cli: Cli, place: Place) -> None:
    directory = place('FROM BASE\nRUN ["/nowhere/program"]\n')
    failed = cli("build", "--on-error", "keep", str(directory), status=127)
    name = failed.stderr.split()[-1]
    assert f"daemonless start -ai {name}\n" in failed.stderr
    assert cli.inspect(name, "{{.Path}}") == "/bin/sh"
    cli("rm", name)


# --- on a terminal ------------------------------------------------------------------------------


def build(directory: Path, before: str = "", *options: str) -> str:
    return f"clear; {before} daemonless build --no-cache {' '.join(options)} {directory}"


def test_a_terminal(cli: Cli, place: Place, terminal: Terminal) -> None:
    loop = "i=0; while [ $i -lt 9 ]; do i=$((i+1)); echo line $i; done; sleep 3"
    directory = place(f"FROM BASE\nRUN true\nRUN {loop}\nRUN echo end\n")
    terminal.type(build(directory, "", "--tag", "shown"))
    screen = terminal.wait_for(r"^ ?=> => # line 9$")
    assert re.search(r"^ ?=> \[2/4\] RUN true +\d\.\ds$", screen, re.M), screen
    assert re.search(r"^\[\+\] Building \d\.\ds \(2/4\)$", screen, re.M), screen
    assert re.findall(r"^ ?=> => # line (\d)$", screen, re.M) == ["4", "5", "6", "7", "8", "9"]
    terminal.wait_for_prompt()
    lines = [" ".join(re.sub(r"\d+\.\ds", "T", line).split()) for line in terminal.screen().splitlines()]
    assert lines[:6] == [
        "=> [1/4] FROM daemonless.local/starter-busybox T",
        "=> [2/4] RUN true T",
        f"=> [3/4] RUN {loop} T",
        "=> [4/4] RUN echo end T",
        "[+] Built in T: 4 steps",
        "=> docker.io/library/shown:latest",
    ]
    assert re.fullmatch("[0-9a-f]{64}", lines[6])
    terminal.type(f"clear; daemonless build {directory}")
    screen = terminal.wait_for(r"^\[\+\] Built in \d\.\ds: 4 steps, 3 of them cached$")
    assert len(re.findall(r"^ ?=> CACHED \[./4\] RUN .* 0\.0s$", screen, re.M)) == 3
    terminal.wait_for_prompt()
    cli("rmi", "shown")


def test_a_terminal_that_becomes_narrow(cli: Cli, place: Place, terminal: Terminal) -> None:
    terminal.type(build(place(f"FROM BASE\nRUN echo {'wide ' * 30}; sleep 2; echo later; sleep 2\n")))
    terminal.wait_for("^ => => # wide wide")
    terminal.resize(40, 20)
    terminal.wait_for("^ => => # later$")
    screen = terminal.tmux("capture-pane", "-p")  # without what tmux itself has moved out of sight
    assert screen.count("[+] Building") == 1, screen
    assert screen.count("\n => [2/2] RUN echo wide") == 1, screen
    assert max(map(len, screen.splitlines())) < 40
    terminal.wait_for_prompt()
    screen = terminal.tmux("capture-pane", "-p")
    assert len(re.findall("Buil(ding|t in)", screen)) == 1, screen
    assert "#" not in screen


def test_a_terminal_that_becomes_wide(cli: Cli, place: Place, terminal: Terminal) -> None:
    terminal.type(build(place(f"FROM BASE\nRUN echo {'wide ' * 30}; sleep 2\n")))
    terminal.wait_for("^ => => # wide wide")
    terminal.resize(150, 12)
    screen = terminal.wait_for_prompt()
    assert len(re.findall("Buil(ding|t in)", screen)) == 1, screen
    assert screen.count("=> [2/2]") == 1, screen
    assert "#" not in screen


def test_many_steps_on_a_small_terminal(cli: Cli, place: Place, terminal: Terminal) -> None:
    stages = "".join(f"FROM BASE AS s{n}\nRUN seq 20; sleep 2\n" for n in range(6))
    copies = "".join(f"COPY --from=s{n} /etc /s{n}\n" for n in range(6))
    terminal.resize(60, 8)
    terminal.type(build(place(f"{stages}FROM BASE\n{copies}"), "", "--jobs", "6"))
    terminal.wait_for_prompt(40)
    screen = terminal.screen()
    assert len(re.findall(r"^ ?=> \[s\d 2/2\] RUN seq 20; sleep 2 +\d+\.\ds$", screen, re.M)) == 6, screen
    assert screen.count("Buil") == 1, screen
    assert "# " not in screen, screen


def test_a_step_that_fails_on_a_terminal(cli: Cli, place: Place, terminal: Terminal) -> None:
    terminal.type(build(place("FROM BASE\nRUN seq 30; sleep 1; exit 6\n")))
    terminal.wait_for("^ => => # 30$")
    screen = terminal.wait_for_prompt()
    assert re.search(r"^ ?=> ERROR \[2/2\] RUN seq 30; sleep 1; exit 6 +\d\.\ds$", screen, re.M), screen
    assert re.findall(r"^\d\.\d{3} (\d+)$", screen, re.M) == [str(number) for number in range(11, 31)]
    assert re.search(r"^ +2 \| >>> RUN seq 30", screen, re.M)
    assert "# 30" not in screen


def test_an_interrupt_leaves_nothing_half_drawn(cli: Cli, place: Place, terminal: Terminal) -> None:
    terminal.type(build(place("FROM BASE\nRUN echo waiting; sleep 100\n")))
    terminal.wait_for("^ => => # waiting$")
    terminal.press("C-c")
    screen = terminal.wait_for_prompt()
    assert re.search(r"^ ?=> CANCELED \[2/2\] RUN echo waiting; sleep 100 +\d+\.\ds$", screen, re.M), screen
    assert "# waiting" not in screen
    assert "Traceback" not in screen
    terminal.type("echo status $?")
    terminal.wait_for("^status 130$")
    eventually(lambda: not processes())


def test_without_colours(cli: Cli, place: Place, terminal: Terminal) -> None:
    directory = place("FROM BASE\nRUN true\n")
    terminal.type(build(directory, "NO_COLOR=1"))
    terminal.wait_for_prompt()
    assert not re.search(r"\x1b\[(3|9|4|10)[0-7]m|\x1b\[[34]8;", terminal.screen(colours=True))
    terminal.type(build(directory))
    terminal.wait_for(r"\x1b\[34m", colours=True)
    terminal.wait_for_prompt()


@pytest.mark.parametrize("setting", ["TERM=dumb", "CI=true"])
def test_a_terminal_that_is_none(cli: Cli, place: Place, terminal: Terminal, setting: str) -> None:
    terminal.type(build(place("FROM BASE\nRUN true\n"), setting))
    terminal.wait_for(r"^#2 DONE \d\.\ds$")
    terminal.wait_for_prompt()
