"""wait: for the end, for other states, and for what is removed meanwhile."""

from __future__ import annotations

import pytest
from harness import Cli

RUN = ("run", "--detach", "--network=none", "--name", "box")
SOON = ("--interval", "20ms")


def test_statuses_are_printed_in_the_order_of_the_arguments(cli: Cli, image: str) -> None:
    for code in (3, 0, 5):
        cli("run", "-d", "--network=none", "--name", f"box{code}", image, "sh", "-c", f"exit {code}")
    assert cli("wait", "box5", "box0", "box3").lines == ["5", "0", "3"]


def test_a_missing_container(cli: Cli) -> None:
    assert "no such container" in cli("wait", "nothing", status=125).stderr
    assert cli("wait", "--ignore", "nothing").stdout == "-1\n"


def test_running_and_paused(cli: Cli, image: str) -> None:
    cli("create", "--network=none", "--name", "box", image, "sleep", "1000")
    waiting = cli.start("wait", *SOON, "--condition=running", "box")
    cli("start", "box")
    assert waiting.communicate(timeout=20)[0] == b"-1\n"
    waiting = cli.start("wait", *SOON, "--condition=paused", "--condition=exited", "box")
    cli("pause", "box")
    assert waiting.communicate(timeout=20)[0] == b"-1\n"
    cli("unpause", "box")
    waiting = cli.start("wait", *SOON, "--condition=paused,exited", "box")
    cli("kill", "box")
    assert waiting.communicate(timeout=20)[0] == b"137\n"


def test_a_restarting_container_has_not_ended(cli: Cli, image: str) -> None:
    cli(*RUN, "--restart=on-failure:2", image, "sh", "-c", "echo run; exit 3")
    assert cli("wait", "box").stdout == "3\n"
    assert cli("logs", "box").lines == ["run"] * 3


@pytest.mark.parametrize("option", ["--condition=asleep", "--interval=soon"])
def test_what_cannot_be_waited_for(cli: Cli, image: str, option: str) -> None:
    cli("create", "--name", "box", image, "true")
    cli("wait", option, "box", status=125)


def test_the_first_of_several(cli: Cli, image: str) -> None:
    cli("run", "--detach", "--rm", "--network=none", "--name", "slow", image, "sleep", "1000")
    script = "while [ ! -e /go ]; do sleep 0.05; done; exit 4"
    cli(*RUN, "--rm", image, "sh", "-c", script)
    waiting = cli.start("wait", "--exit-first-match", "slow", "box")
    cli("exec", "box", "touch", "/go")
    assert waiting.communicate(timeout=20)[0] == b"4\n"
    assert cli("wait", "--exit-first-match", *SOON, "--condition=running", "slow", "slow").stdout == "-1\n"
    missing = cli("wait", "--exit-first-match", "nothing", status=125)
    assert "no such container: nothing" in missing.stderr and missing.stdout == ""
