"""One broken file is the fault of one object: it is named, hides no other, and `rm -f` removes it.

The table of all invariants of the state and of the tests that hold them is in docs/state.md.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Cli, Result

QUICK = ("--network=none",)


def replaced(path: Path) -> Path:
    """Take a file or directory away, to put something else in its place."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    return path


def newer(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 2, "unheard": "of"}))


def wrong_types(path: Path) -> None:
    """Keep the keys and the version, but nothing of the values."""
    value = json.loads(path.read_text())
    path.write_text(json.dumps({key: 1 if key == "schema" else [None] for key in value}))


BREAKAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "zeros": lambda path: path.write_bytes(b"\0" * 500),
    "another type": lambda path: path.write_bytes(b"[]"),
    "wrong values": wrong_types,
    "newer": newer,
    "too large": lambda path: path.write_bytes(b'{"x":"' + b"y" * (50 << 20) + b'"}'),
    "fifo": lambda path: os.mkfifo(replaced(path)),
    "directory": lambda path: replaced(path).mkdir(),
    "link to nothing": lambda path: replaced(path).symlink_to("/nonexistent"),
    "link to itself": lambda path: replaced(path).symlink_to(path.name),
    "missing": replaced,
}


def quickly(cli: Cli, *words: str) -> Result:
    """Run a command, which must take no longer than 2 s and end in order."""
    started = time.monotonic()
    result = cli(*words, status=None)
    assert time.monotonic() - started < 2, result
    assert "internal error" not in result.stderr, result
    assert result.stderr.count("Error:") <= 1, result
    return result


@pytest.mark.parametrize("breakage", BREAKAGES)
@pytest.mark.parametrize("name", ["container.json", "config.json", "exit.json"])
def test_a_broken_file_of_a_container(cli: Cli, image: str, name: str, breakage: str) -> None:
    cli("create", *QUICK, "--name", "good", image, "true")
    cli("run", *QUICK, "--name", "bad", image, "sh", "-c", "exit 3", status=3)
    (identifier,) = set(cli.ids()) - {cli.inspect("good", "{{.Id}}")}
    path = cli.root / "containers" / identifier / name
    BREAKAGES[breakage](path)
    before = path.read_bytes() if breakage == "newer" else b""

    shown = quickly(cli, "ps", "--all", "--format", "{{.Names}} {{.Status}}")
    assert "good Created" in shown.lines, shown
    if name != "config.json" and (name, breakage) not in HARMLESS:
        assert shown.status == 0 and identifier[:12] in shown.stderr + shown.stdout, shown
        assert path.name in shown.stderr, shown
    for words in (
        *(("inspect", "good"), ("inspect", "bad"), ("logs", "bad"), ("wait", "bad"), ("images",)),
        *(("stop", "bad"), ("stop", "--all"), ("kill", "bad"), ("exec", "bad", "true"), ("start", "bad")),
        *(("rename", "bad", "worse"), ("rename", "worse", "bad"), ("rm", "good")),
    ):
        quickly(cli, *words)
    if before:
        assert path.read_bytes() == before, "what a newer version wrote was changed"
    quickly(cli, "rm", "--force", "--time", "0", identifier)
    assert not (cli.root / "containers" / identifier).exists()
    assert not os.listdir(cli.root / "names")
    cli("run", "--rm", *QUICK, "--name", "bad", image, "true")


# A container without an exit record has not ended, which is what it then looks like.
HARMLESS = {("exit.json", "missing"), ("exit.json", "link to nothing")}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_state_of_a_running_container(cli: Cli, image: str, breakage: str) -> None:
    """Its supervisor is found by its socket, not by what the file says."""
    cli("run", "-d", *QUICK, "--name", "bad", image, "sleep", "1000")
    identifier = cli.inspect("bad", "{{.Id}}")
    BREAKAGES[breakage](cli.runroot / "containers" / identifier / "state.json")
    for words in (
        *(("ps", "-a"), ("inspect", "bad"), ("logs", "bad"), ("kill", "bad")),
        ("exec", "bad", "true"),
    ):
        quickly(cli, *words)
    quickly(cli, "rm", "--force", "--time", "0", identifier)
    assert cli.ids() == []


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_list_of_images(fresh: Cli, image: str, breakage: str) -> None:
    """Containers need no image to live; and the list says how to get rid of it."""
    fresh("run", "-d", *QUICK, "--name", "alive", image, "sleep", "1000")
    index = fresh.root / "images" / "index.json"
    if breakage == "newer":
        return  # the image-spec gives it a version of its own, and forbids another
    BREAKAGES[breakage](index)
    for words in (
        *(("ps",), ("ps", "-a"), ("exec", "alive", "true"), ("inspect", "alive")),
        *(("stop", "-t", "0", "alive"), ("start", "alive"), ("logs", "alive")),
    ):
        assert quickly(fresh, *words).status == 0
    if breakage not in ("missing", "link to nothing"):
        for words in (("images",), ("run", "--rm", image, "true"), ("rmi", image), ("tag", image, "x")):
            result = quickly(fresh, *words)
            assert result.status == 125 and str(index) in result.stderr, result
    replaced(index)
    assert fresh("run", "--rm", *QUICK, image, "echo", "again").stdout == "again\n"


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_record_of_a_layer(fresh: Cli, image: str, breakage: str) -> None:
    fresh("create", *QUICK, "--name", "made", image, "true")
    (path,) = fresh.root.glob("layers/*/*/layer.json")
    BREAKAGES[breakage](path)
    for words in (
        *(("ps", "-a"), ("images",), ("inspect", "made"), ("inspect", image)),
        ("run", "--rm", *QUICK, image, "true"),
    ):
        quickly(fresh, *words)
    assert quickly(fresh, "start", "made").status == 0
    assert quickly(fresh, "rmi", "--force", image).status == 0
    assert fresh("run", "--rm", *QUICK, image, "echo", "again").stdout == "again\n"


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_record_of_a_volume(cli: Cli, image: str, breakage: str) -> None:
    cli("volume", "create", "good")
    cli("volume", "create", "bad")
    BREAKAGES[breakage](cli.root / "volumes" / "bad" / "volume.json")
    listed = quickly(cli, "volume", "ls", "--format", "{{.Name}}")
    assert "good" in listed.lines and "bad" in listed.stdout + listed.stderr, listed
    for words in (
        *(("volume", "inspect", "bad"), ("ps", "-a")),
        ("run", "--rm", *QUICK, "-v", "good:/x", image, "true"),
    ):
        quickly(cli, *words)
    quickly(cli, "volume", "rm", "--force", "bad")
    assert cli("volume", "ls", "--format", "{{.Name}}").lines == ["good"]
    cli("volume", "rm", "good")
