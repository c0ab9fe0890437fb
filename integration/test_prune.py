"""container prune: what goes, what stays, and starting while it goes on."""

from __future__ import annotations

import re

from harness import Cli, Terminal


def test_what_does_not_run_goes(cli: Cli, image: str) -> None:
    made = cli("create", "--network=none", image, "true").stdout
    cli("run", "--name", "ended", "--network=none", image, "true")
    ended = cli("inspect", "--format", "{{.Id}}", "ended").stdout
    cli("run", "-d", "--name", "runs", "--network=none", image, "sleep", "100")
    assert sorted(cli("container", "prune", "--force").lines) == sorted([made.strip(), ended.strip()])
    assert cli("ps", "-a", "--format", "{{.Names}}").stdout == "runs\n"
    assert cli("container", "prune", "-f").stdout == ""


def test_filters(cli: Cli, image: str) -> None:
    for name, label in (("one", "keep=yes"), ("two", "keep=no"), ("three", "other")):
        cli("create", "--name", name, "--label", label, "--network=none", image, "true")
    names = ("ps", "-a", "--format", "{{.Names}}")
    assert cli("container", "prune", "-f", "--filter", "until=1h").stdout == ""
    assert len(cli("container", "prune", "-f", "--filter", "label!=keep").lines) == 1
    assert len(cli("container", "prune", "-f", "--filter", "label=keep=no").lines) == 1
    assert cli(*names).stdout == "one\n"
    wrong = cli("container", "prune", "-f", "--filter", "name=one", status=125)
    assert wrong.stderr.startswith("Error: name is not a filter of prune\nHint: the keys are label, label!")
    assert len(cli("container", "prune", "-f", "--filter", "until=0s").lines) == 1


def test_it_asks(cli: Cli, image: str, terminal: Terminal) -> None:
    cli("create", "--name", "mine", "--network=none", image, "true")
    unanswered = cli("container", "prune", status=125)
    assert "Error: nothing was removed" in unanswered.stderr and unanswered.stdout == ""
    assert cli("container", "prune", input="n\n").stdout == ""
    terminal.type("daemonless container prune")
    screen = terminal.wait_for(r"continue\? \[y/N\]")
    assert re.search(r"[0-9a-f]{12}  mine", screen)
    terminal.type("y")
    terminal.wait_for(r"^[0-9a-f]{64}")
    terminal.wait_for_prompt()
    assert cli.ids() == []
    assert cli("container", "prune").stdout == ""  # nothing to ask about


def test_a_start_beside_a_prune_wins_or_loses_whole(cli: Cli, image: str) -> None:
    """Whatever the order, a container either runs afterwards or is gone; a loser says why."""
    for number in range(8):
        name = f"x{number}"  # which no id begins with
        cli("create", "--name", name, "--network=none", image, "sleep", "100")
        start = cli.start("start", name)
        pruned = cli("container", "prune", "--force").lines
        out, err = start.communicate(timeout=30)
        listed = cli("ps", "-a", "--filter", f"name=^{name}$", "--format", "{{.State}}").stdout
        if start.returncode == 0:
            assert (listed, pruned, out.decode()) == ("running\n", [], f"{name}\n")
        else:
            assert listed == "" and len(pruned) == 1 and b"no such container" in err
