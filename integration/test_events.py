"""events of real commands: in order, all of them, while they happen and afterwards."""

from __future__ import annotations

import json
import re
import select
import signal
import subprocess
import time

import pytest
from harness import Cli, eventually

SHOW = ("--format", "{{.Type}} {{.Status}} {{.Name}}")


def happened(cli: Cli, since: str, *words: str) -> list[str]:
    return cli("events", "--no-stream", "--since", since, *SHOW, *words).lines


@pytest.fixture
def since() -> str:
    return f"{time.time():.6f}"


def test_a_life_in_order(cli: Cli, image: str, since: str) -> None:
    cli("create", "--name", "life", "--network=none", "--label", "a=b", image, "sh", "-c", "exit 3")
    cli("start", "life")
    cli("wait", "life")
    cli("rename", "life", "other")
    cli("rm", "other")
    assert happened(cli, since) == [
        "container create life",
        "container start life",
        "container died life",
        "container rename other",
        "container remove other",
    ]
    died = cli("events", "--no-stream", "--since", since, "-f", "event=die", "--format", "json").stdout
    assert (json.loads(died)["ContainerExitCode"], json.loads(died)["Attributes"]["a"]) == (3, "b")


def test_a_container_that_removes_itself(cli: Cli, image: str, since: str) -> None:
    cli("run", "--rm", "--name", "brief", "--network=none", image, "true")
    actions = [line.split()[1] for line in happened(cli, since)]
    assert actions == ["create", "start", "died", "remove"]


def test_kill_and_stop_are_told_of(cli: Cli, image: str, since: str) -> None:
    for name in ("one", "two"):
        cli("run", "-d", "--name", name, "--network=none", image, "sleep", "100")
    cli("kill", "--signal", "KILL", "one")
    cli("stop", "--time", "0", "two")
    cli("wait", "one", "two")
    for name, action in (("one", "kill"), ("two", "stop")):
        told = happened(cli, since, "-f", f"container={name}")
        assert told[:2] == [f"container create {name}", f"container start {name}"]
        assert sorted(told[2:]) == [f"container died {name}", f"container {action} {name}"]
    killed = cli("events", "--no-stream", "--since", since, "-f", "event=kill").stdout
    assert "signal=9" in killed


def test_exec_is_told_of(cli: Cli, image: str, since: str) -> None:
    cli("run", "-d", "--name", "one", "--network=none", image, "sleep", "100")
    cli("exec", "one", "sh", "-c", "exit 7", status=7)
    session = cli("exec", "--detach", "one", "sh", "-c", "exit 8").stdout.strip()
    assert re.fullmatch("[0-9a-f]{64}", session)
    died = ("events", "--no-stream", "--since", since, "-f", "event=exec_died", "--format")
    eventually(lambda: cli(*died, "{{.ContainerExitCode}}").lines == ["7", "8"])
    told = happened(cli, since, "-f", "event=exec", "-f", "event=exec_die")
    assert told == ["container exec one", "container exec_died one"] * 2
    assert cli(*died, "{{.Attributes.execID}}").lines[1] == session


def test_images_are_told_of(cli: Cli, image: str, since: str) -> None:
    cli("pull", "--quiet", image)
    cli("tag", image, "localhost/one:1")
    cli("tag", image, "localhost/two:2")
    cli("rmi", "localhost/one:1", "localhost/two:2")
    assert happened(cli, since) == [
        f"image pull {image}:latest",
        "image tag localhost/one:1",
        "image tag localhost/two:2",
        "image untag localhost/one:1",
        "image untag localhost/two:2",
    ]
    assert len(happened(cli, since, "-f", "image=localhost/one:1")) == 2


def test_an_image_is_removed_with_its_names(fresh: Cli, image: str) -> None:
    fresh("pull", "--quiet", image)
    fresh("rmi", image)
    events = fresh("events", "--no-stream", *SHOW).lines
    assert events == [f"image {action} {image}:latest" for action in ("pull", "untag", "remove")]


def test_events_are_shown_as_they_happen(cli: Cli, image: str) -> None:
    """The stream begins with what happens next, and Ctrl-C ends it."""
    stream = cli.start("events", *SHOW, stdin=subprocess.DEVNULL)
    assert stream.stdout
    # the first line comes from whichever container is the first to be made after the stream began
    names = iter(range(100))

    def seen() -> bool:
        cli("create", "--name", f"n{next(names)}", "--network=none", image, "true")
        return bool(select.select([stream.stdout], [], [], 0.2)[0])

    eventually(seen)
    first = stream.stdout.readline().decode()
    assert re.fullmatch(r"container create n\d+\n", first)
    stream.send_signal(signal.SIGINT)
    out, err = stream.communicate(timeout=20)
    assert (stream.returncode, err) == (130, b"")
    lines = (first.encode() + out).decode().splitlines()
    began = int(lines[0].rpartition("n")[2])
    assert lines == [f"container create n{number}" for number in range(began, next(names))]


def test_a_stream_ends_with_its_reader(cli: Cli, image: str) -> None:
    stream = cli.start("events", "--since", "1h", stdin=subprocess.DEVNULL)
    assert stream.stdout
    cli("create", "--name", "one", "--network=none", image, "true")
    assert stream.stdout.readline()
    stream.stdout.close()
    assert stream.wait(20) == 141


def test_until_ends_the_stream(cli: Cli) -> None:
    cli("events", "--until", "100ms")
    cli("system", "events", "--until", "0s", "--no-trunc=false")
    assert cli("events", "--until", "soon", status=125).stderr.startswith("Error: invalid time")
