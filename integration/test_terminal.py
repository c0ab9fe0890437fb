"""run -it, exec -it and logs -f in a real terminal: typing, editing, interrupting, resizing, leaving."""

from __future__ import annotations

import re
import time

import pytest
from harness import Cli, Terminal, eventually

IT = "daemonless run -it --rm --network=none"
SHELL = r"^/ # *$"


@pytest.fixture(params=["run", "exec"])
def inside(request: pytest.FixtureRequest, cli: Cli, image: str, terminal: Terminal) -> Terminal:
    """A terminal in which a shell of a container waits for a line, through run and through exec."""
    if request.param == "run":
        terminal.type(f"{IT} --name it {image} sh")
    else:
        cli("run", "-d", "--network=none", "--name", "it", image, "sleep", "1000")
        terminal.type("daemonless exec -it it sh")
    terminal.wait_for(SHELL)
    return terminal


def test_a_shell(inside: Terminal) -> None:
    inside.type("tty; id -u; hostname")
    inside.wait_for(r"^/dev/(pts/\d+|console)$")
    inside.type("exit 7")
    inside.wait_for_prompt()
    inside.type("echo status $?")
    inside.wait_for(r"^status 7$")


def test_line_editing(inside: Terminal) -> None:
    inside.tmux("send-keys", "-l", "echo onX")
    inside.press("BSpace")
    inside.tmux("send-keys", "-l", "e tthree")
    inside.press("Left", "Left", "Left", "Left", "Left", "BSpace", "Enter")  # the first t
    inside.wait_for(r"^one three$")
    inside.press("Up", "Enter")
    inside.wait_for(r"^one three$[\s\S]*echo one three$[\s\S]*^one three$")


def test_canonical_mode(inside: Terminal) -> None:
    """The container's own line discipline: erase and kill characters work for cat, ctrl-d ends it."""
    inside.type("cat; echo end of cat")
    inside.tmux("send-keys", "-l", "forgotten")
    inside.press("C-u")
    inside.tmux("send-keys", "-l", "keptX")
    inside.press("BSpace", "Enter")
    inside.wait_for(r"^kept\nkept$")
    inside.press("C-d")
    inside.wait_for(r"^end of cat$")


def test_ctrl_c_reaches_the_program_inside_only(inside: Terminal) -> None:
    inside.type("sleep 1000 || echo interrupted")
    inside.wait_for(r"sleep 1000")
    inside.press("C-c")
    inside.wait_for(SHELL)
    inside.type("echo still here")
    inside.wait_for(r"^still here$")


def test_ctrl_z_is_the_shells_own(inside: Terminal) -> None:
    inside.type("echo up; sleep 1000")
    inside.wait_for(r"^up$")

    def stopped() -> bool:  # again, in case the shell had not come to the sleep yet
        inside.press("C-z")
        time.sleep(0.2)
        return "Stopped" in inside.screen()

    eventually(stopped)
    inside.type("echo still here")
    inside.wait_for(r"^still here$")


def test_size_and_resize(inside: Terminal) -> None:
    inside.type("stty size")
    inside.wait_for(r"^30 100$")
    for columns, lines in ((77, 22), (101, 33)):
        inside.resize(columns, lines)
        # the size travels as a message of its own, so it may come after what is typed at once
        inside.type(f"until stty size | grep -x '{lines} {columns}'; do sleep 0.1; done")
        inside.wait_for(rf"^{lines} {columns}$")


def test_a_resize_is_told_to_the_program(inside: Terminal) -> None:
    # a script, because an interactive shell puts each sleep into a foreground process group of its own
    inside.type("""sh -c 'trap "echo told: \\$(stty size)" WINCH; echo up; while :; do sleep 0.1; done'""")
    inside.wait_for(r"^up$")
    inside.resize(77, 22)
    inside.wait_for(r"^told: 22 77$")


def test_colours_pass_through(inside: Terminal) -> None:
    inside.type(r"printf '\033[31mred\033[0m\n'; echo $TERM")
    inside.wait_for("\x1b\\[31mred", colours=True)
    inside.wait_for(r"^(xterm|screen-256color)$")


def test_8_bit_text(inside: Terminal) -> None:
    inside.type("echo größe → 大")
    inside.wait_for(r"^größe → 大$")


LEAVING = {
    "exit": lambda terminal: terminal.type("exit"),
    "ctrl-d": lambda terminal: terminal.press("C-d"),
    "raw mode left on": lambda terminal: terminal.type("stty raw -echo; exit"),
}


@pytest.mark.parametrize("way", LEAVING)
def test_the_terminal_is_as_it_was(cli: Cli, image: str, terminal: Terminal, way: str) -> None:
    before = terminal.modes()
    terminal.type(f"{IT} {image} sh")
    terminal.wait_for(SHELL)
    assert terminal.modes() != before, "the terminal was never raw, so restoring it shows nothing"
    LEAVING[way](terminal)
    terminal.wait_for_prompt()
    eventually(lambda: terminal.modes() == before, message=f"{before}\n{terminal.modes()}")


@pytest.mark.parametrize("end", ["rm -f -t 0", "kill"])
def test_the_terminal_is_restored_when_the_container_is_ended(
    cli: Cli, image: str, terminal: Terminal, end: str
) -> None:
    before = terminal.modes()
    terminal.type(f"{IT} --name it {image} sh")
    terminal.wait_for(SHELL)
    cli(*end.split(), "it")
    terminal.wait_for_prompt()
    eventually(lambda: terminal.modes() == before, message=f"{before}\n{terminal.modes()}")


def test_a_command_that_is_not_there(cli: Cli, image: str, terminal: Terminal) -> None:
    before = terminal.modes()
    terminal.type(f"{IT} {image} not-there")
    terminal.wait_for(r"^Error: .*not-there")
    terminal.wait_for_prompt()
    assert terminal.modes() == before


def test_detach_keys(cli: Cli, image: str, terminal: Terminal) -> None:
    before = terminal.modes()
    terminal.type(f"daemonless run -it --network=none --name it {image} sh")
    terminal.wait_for(SHELL)
    terminal.press("C-p", "C-q")
    terminal.wait_for_prompt()
    assert terminal.modes() == before
    assert cli.inspect("it", "{{.State.Running}}") == "true"


def test_logs_follow_and_ctrl_c(cli: Cli, image: str, terminal: Terminal) -> None:
    cli(
        "run",
        "-d",
        "--network=none",
        "--name",
        "talk",
        image,
        "sh",
        "-c",
        "while :; do echo tick; sleep 0.1; done",
    )
    terminal.type("daemonless logs -f talk")
    terminal.wait_for(r"^tick\ntick\ntick$")
    terminal.press("C-c")
    terminal.wait_for_prompt()
    assert "Traceback" not in terminal.screen()
    assert cli.inspect("talk", "{{.State.Running}}") == "true"


def test_the_callers_terminal_stays_outside(cli: Cli, image: str, terminal: Terminal) -> None:
    """CVE-2017-5226: whoever holds the caller's terminal can type into it."""
    device = terminal.tmux("display-message", "-p", "#{pane_tty}")
    terminal.type(f"{IT} {image} sh -c 'ls -l /proc/*/fd; echo done'")
    terminal.wait_for(r"^done")
    host_number = device.rpartition("/")[2]
    links = re.findall(r"-> (/dev/pts/\d+)", terminal.screen())
    assert links and set(links) == {"/dev/pts/0"}, (host_number, links)


def test_help_and_errors_in_colour_only_on_a_terminal(cli: Cli, terminal: Terminal) -> None:
    assert "\x1b" not in cli("run", "--help").stdout
    terminal.type("daemonless run --help | cat | grep -c detach-keys")
    terminal.wait_for(r"^[1-9]$")
