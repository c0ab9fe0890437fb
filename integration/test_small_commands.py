"""port, rename, exists: what they print and how they end."""

from __future__ import annotations

import json
import shlex

import pytest
from harness import Cli, eventually

PUBLISHED = "-p 127.0.0.1:28080:80 -p 127.0.0.1:28053-28054:53-54/udp"
PORT: list[tuple[str, int, str, str]] = [
    ("box", 0, "53/udp -> 127.0.0.1:28053\n54/udp -> 127.0.0.1:28054\n80/tcp -> 127.0.0.1:28080\n", ""),
    ("--latest", 0, "53/udp -> 127.0.0.1:28053\n54/udp -> 127.0.0.1:28054\n80/tcp -> 127.0.0.1:28080\n", ""),
    ("box 80", 0, "127.0.0.1:28080\n", ""),
    ("box 80/tcp", 0, "127.0.0.1:28080\n", ""),
    ("--latest 54/udp", 0, "127.0.0.1:28054\n", ""),
    ("box 53", 125, "", "Error: container box does not publish port 53/tcp\n"),
    ("box 80/sctp", 125, "", "Error: invalid port '80/sctp'\n"),
    ("box 0", 125, "", "Error: invalid port '0'\n"),
    ("box 80 81", 125, "", "Error: too many arguments: 81\n"),
    ("", 125, "", "Error: no container was named\n"),
    ("--all box", 125, "", "Error: --all goes with neither a container nor --latest\n"),
    ("nobody", 125, "", "Error: no such container: nobody\n"),
]


def test_port_shows_what_is_published_running_or_not(cli: Cli, image: str) -> None:
    identifier = cli("run", "-d", "--name", "box", *PUBLISHED.split(), image, "sleep", "60").lines[0]

    def check() -> None:
        for words, status, out, err in PORT:
            result = cli("port", *shlex.split(words), status=status)
            assert result.stdout == out, words
            assert result.stderr.partition("Hint: ")[0] == err, words
        everything = "".join(f"{identifier[:12]}\t{line}\n" for line in PORT[0][2].splitlines())
        assert cli("container", "port", "--all").stdout == everything

    check()
    cli("stop", "-t", "0", "box")
    check()


def test_port_shows_the_port_that_was_chosen(cli: Cli, image: str) -> None:
    cli("run", "-d", "--name", "box", "-p", "127.0.0.1::80", image, "sleep", "60")
    address, _, number = cli("port", "box", "80").stdout.strip().rpartition(":")
    assert address == "127.0.0.1"
    assert int(number) > 0
    cli("stop", "-t", "0", "box")
    assert cli("port", "box").stdout == ""


def test_rename(cli: Cli, image: str) -> None:
    identifier = cli("run", "-d", "--network=none", "--name", "old", image, "sleep", "60").lines[0]
    cli("create", "--network=none", "--name", "taken", image, "true")
    assert cli("rename", "old", "new").stdout == ""
    assert cli.inspect("new", "{{.Name}} {{.State.Status}}") == "new running"
    cli("inspect", "old", status=125)
    refused = cli("container", "rename", "new", "taken", status=125)
    assert "the container name 'taken' is already in use" in refused.stderr
    assert "invalid" in cli("rename", "new", "a/b", status=125).stderr
    cli("rename", "nobody", "x", status=125)
    cli("create", "--network=none", "--name", "old", image, "true")
    lines = (cli.runroot / "events.jsonl").read_text().splitlines()
    told = [event for event in map(json.loads, lines) if event["id"] == identifier]
    assert [event["name"] for event in told if event["action"] == "rename"] == ["new"]


def test_a_renamed_container_frees_its_name_at_its_end(cli: Cli, image: str) -> None:
    cli("run", "-d", "--rm", "--network=none", "--name", "old", image, "sleep", "60")
    cli("rename", "old", "new")
    cli("kill", "new")
    eventually(lambda: not cli.ids())
    eventually(lambda: not list((cli.root / "names").iterdir()))


@pytest.mark.parametrize("kind", ["container", "image"])
def test_exists(cli: Cli, image: str, kind: str) -> None:
    cli("create", "--network=none", "--name", "box", image, "true")
    there = {"container": "box", "image": image}[kind]
    for name, status in ((there, 0), ("nothing-of-that-name", 1), ("", 1 if kind == "container" else 125)):
        result = cli(kind, "exists", name, status=status)
        assert result.stdout == ""
        assert (result.stderr == "") is (status < 2)
    cli(f"{kind}_exists", there, status=125)
    cli(kind, "exists", status=125)
