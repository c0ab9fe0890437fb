"""Containers chosen by options: start, stop, kill, wait and rm on many at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Cli

RUN = ("run", "--detach", "--network=none")


def test_a_life_by_filters_and_files(cli: Cli, image: str, tmp_path: Path) -> None:
    """Every command that takes several containers, on those of one label."""
    file = tmp_path / "id"
    cli("create", "--network=none", "--name", "other", image, "sleep", "100")
    for name in ("a", "b"):
        cli("create", "--network=none", "--name", name, "--label", "team=x", image, "sleep", "100")
    one = cli("create", "--network=none", "--cidfile", str(file), image, "true").stdout
    ids = cli("ps", "--all", "--quiet", "--no-trunc", "--filter", "label=team=x").lines
    assert sorted(cli("start", "--filter", "label=team=x").lines) == sorted(ids)
    assert cli("start", "--filter", "label=team=x").stdout == ""  # they run already
    assert cli("stop", "-t", "0", "--filter", "name=^b$", "a", "b", "other").stdout == "b\n"
    assert len(cli("kill", "--all").lines) == 1
    assert cli("wait", "--latest").stdout == "0\n"
    assert cli("rm", "--cidfile", str(file)).stdout == one
    assert cli("rm", "--ignore", "--cidfile", str(file)).stdout == ""
    assert cli("rm", "--cidfile", str(file), status=1).stdout == ""
    assert sorted(cli("rm", "--filter", "label=team=x").lines) == sorted(ids)
    assert len(cli("rm", "--all").lines) == 1
    assert cli("rm", "--all").stdout == ""


def test_start_of_all_and_of_the_latest(cli: Cli, image: str) -> None:
    for name in ("a", "b"):
        cli("create", "--network=none", "--name", name, image, "echo", name)
    assert cli("start", "--attach", "--latest").stdout == "b\n"
    assert len(cli("start", "--all").lines) == 2
    cli("wait", "a", "b")
    assert cli("start", "--attach", "a", "b", status=125).stderr.startswith("Error: only one container")


@pytest.mark.parametrize("command", ["start", "stop", "kill", "wait", "rm"])
def test_nothing_named(cli: Cli, command: str) -> None:
    result = cli(command, status=125)
    assert result.stderr.startswith("Error: you must provide at least one name or id\nHint: ")
    assert result.stdout == ""


def test_an_empty_list_is_told_about(cli: Cli) -> None:
    result = cli.shell("daemonless rm $(daemonless ps --all --quiet)", status=125)
    assert "--all" in result.stderr and "may have been empty" in result.stderr


def test_the_others_go_on(cli: Cli, image: str) -> None:
    cli(*RUN, "--name", "runs", image, "sleep", "100")
    cli("create", "--network=none", "--name", "made", image, "true")
    cli("rm", "runs", status=2)
    result = cli("rm", "nothing", "runs", "made", status=1)
    assert result.stdout == "made\n"
    assert "no such container: nothing" in result.stderr and "container runs is running" in result.stderr
    assert cli("rm", "runs", "nothing", status=1).stdout == ""
    assert cli("stop", "-t", "0", "nothing", "runs", status=125).stdout == "runs\n"
    assert cli("stop", "--ignore", "nothing", "runs").stdout == "runs\n"


def test_dependents_go_first_and_only_if_asked(cli: Cli, image: str) -> None:
    """A family of --volumes-from: parent, child, grandchild; a stranger stays."""
    new = ("create", "--network=none")
    cli(*new, "--name", "parent", "-v", "/shared", image, "true")
    child = cli(*new, "--name", "child", "--volumes-from", "parent:ro", image, "true").stdout.strip()
    grandchild = cli(*new, "--name", "grandchild", "--volumes-from", child[:12], image, "true").stdout.strip()
    assert cli.inspect("child", "{{.HostConfig.VolumesFrom}}") == "[parent:ro]"
    cli("rename", "parent", "elder")
    cli(*new, "--name", "parent", image, "true")  # a stranger, whatever it is called
    assert cli("rm", "--depend", "parent").stdout == "parent\n"
    assert cli("rm", "--depend", "--volumes", "elder").lines == [grandchild, child, "elder"]
    assert cli("volume", "ls", "-q").stdout == ""
    cli(*new, "--name", "parent", "-v", "/shared", image, "true")
    cli(*new, "--name", "child", "--volumes-from", "parent", image, "true")
    cli("rm", "parent")
    assert cli("start", "--attach", "child").stdout == ""  # the volume is still there
    cli("rm", "--volumes", "child")
    assert cli("volume", "ls", "-q").stdout == ""


def test_exec_in_the_latest_and_in_that_of_a_file(cli: Cli, image: str, tmp_path: Path) -> None:
    file = tmp_path / "id"
    cli(*RUN, "--cidfile", str(file), "--hostname", "first", image, "sleep", "100")
    cli(*RUN, "--hostname", "second", image, "sleep", "100")
    assert cli("exec", "--latest", "sh", "-c", "hostname").stdout == "second\n"
    assert cli("exec", "--cidfile", str(file), "hostname").stdout == "first\n"
    assert cli("exec", "--latest", "--cidfile", str(file), "true", status=125).stdout == ""
    missing = cli("exec", "second", status=125)
    assert missing.stderr.startswith("Error: missing argument 'COMMAND...'\n")
