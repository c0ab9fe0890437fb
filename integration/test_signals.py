"""Signals at any moment: what was begun is undone or done, and a command's budget of fsyncs."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest
from conftest import Registry, make_cli
from harness import Cli, kill_all
from lanes import Lane, Namespace, note, on_all
from layouts import busybox_layer, make_layout

# A line of a file in a traceback. What the interpreter says of an interrupt before it has come to the
# launcher's first line has none: it shows frozen modules alone, and the launcher at line 0.
OF_A_FILE = re.compile(rb'  File "[^<"][^"]*", line [1-9]')
QUICK = ("--network=none", "--name", "victim")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MOMENTS = 20  # of each command, spread over the time it takes


@pytest.fixture(scope="module")
def lanes(scratch: Path, image: str) -> Iterator[list[Lane]]:
    made = []
    for number in range(2):
        cli = make_cli(scratch / f"signals-{number}")
        cli("run", "--rm", "--network=none", image, "true")
        made.append(Lane(cli, image))
    try:
        yield made
        for lane in made:
            lane.close()
    except BaseException:
        kill_all()
        raise


@pytest.fixture(scope="module")
def pulled(registry: Registry, scratch: Path) -> str:
    """An image whose pull takes a moment."""
    layout = make_layout(scratch / "layout-signals", [busybox_layer({"data": os.urandom(1 << 20)})])
    return registry.push(layout, "signals")


@pytest.mark.parametrize("command", ["create", "run", "run --rm", "exec", "pull"])
def test_a_signal_at_any_moment(lanes: list[Lane], image: str, pulled: str, command: str) -> None:
    words = {
        "create": ["create", *QUICK, image, "true"],
        "run": ["run", *QUICK, image, "sleep", "0.02"],
        "run --rm": ["run", "--rm", *QUICK, image, "sleep", "0.02"],
        "exec": ["exec", "bystander-running", "sleep", "0.02"],
        "pull": ["pull", "--quiet", pulled],
    }[command]
    undo = [["rmi", "--force", pulled]] if command == "pull" else []
    started = time.monotonic()
    lanes[0].cli(*words)
    duration = time.monotonic() - started
    lanes[0].recovers(undo)
    numbers = cycle(SIGNALS)
    jobs = [(duration * moment / MOMENTS, next(numbers)) for moment in range(MOMENTS)]

    def strike(lane: Lane, job: tuple[float, signal.Signals]) -> None:
        process = lane.cli.start(*words)
        time.sleep(job[0])
        process.send_signal(job[1])
        _, err = process.communicate(timeout=20)
        lane.cli.started.remove(process)
        assert not OF_A_FILE.search(err) and b"internal error" not in err, err
        lane.recovers([words, *undo])
        ended = "in time" if process.returncode == 0 else "interrupted"
        note(command, job[1].name, ended)

    on_all(lanes, jobs, strike)


# --- what is waited for -----------------------------------------------------------------------

# How many fsyncs the person at the terminal waits for; those of the supervisor come later.
BUDGETS = {"create": 5, "run": 0, "run --rm": 0, "start": 0, "rm": 0, "stop": 0, "rename": 2, "tag": 2}


@pytest.fixture(scope="module")
def traced(scratch: Path, image: str) -> Iterator[Cli]:
    """A command that can be traced."""
    directory = scratch / "traced"
    cli = make_cli(directory)
    namespace = Namespace(directory)
    cli.program = namespace.enter(cli.program, directory / "daemonless")
    cli("run", "--rm", "--network=none", image, "true")
    yield cli
    cli.remove_all()
    namespace.close()


@pytest.mark.parametrize("command", BUDGETS)
def test_fsyncs_that_are_waited_for(traced: Cli, image: str, command: str) -> None:
    """S-2: durable where it matters, and nowhere else; each costs milliseconds on a disk."""
    before, words = {
        "create": ([], ["create", *QUICK, image, "true"]),
        "run": ([], ["run", *QUICK, image, "true"]),
        "run --rm": ([], ["run", "--rm", *QUICK, image, "true"]),
        "start": (["create", *QUICK, image, "true"], ["start", "victim"]),
        "rm": (["create", *QUICK, image, "true"], ["rm", "victim"]),
        "stop": (["run", "-d", *QUICK, image, "sleep", "1000"], ["stop", "-t", "0", "victim"]),
        "rename": (["create", *QUICK, image, "true"], ["rename", "victim", "renamed"]),
        "tag": ([], ["tag", image, "other"]),
    }[command]
    if before:
        traced(*before)
    log = traced.root.parent / "strace"
    traced(*words, env={"BEHIND": f"strace -f -qq -o {log} -e trace=execve,fsync,fdatasync,sync,syncfs"})
    traced("rm", "-f", "-t", "0", "victim", "renamed")
    text = log.read_text()
    own = re.findall(r"^(\d+) +execve\(\"[^\"]*daemonless\"", text, re.MULTILINE)[-1]
    waited_for = re.findall(rf"^{own} +(?:fsync|fdatasync|sync|syncfs)\(", text, re.MULTILINE)
    assert len(waited_for) <= BUDGETS[command], text


def test_the_order_of_what_survives_a_power_loss(traced: Cli, image: str) -> None:
    """S-1, S-14: content is on disk before the name that makes it count, and the name before success."""
    log = traced.root.parent / "strace"
    calls = "-e trace=fsync,rename,symlink,write"
    traced("create", *QUICK, image, "true", env={"BEHIND": f"strace -qq -y -o {log} {calls}"})
    steps = steps_of(log, traced)
    record = steps.index("fsync container.json")
    shown = steps.index("rename containers/ID")
    assert steps.index("fsync config.json") < shown > record
    assert {"fsync containers", "fsync names"} <= set(steps[shown:])
    assert steps.index("symlink names/victim") < shown
    assert steps.index("write stdout") > max(steps.index("fsync containers"), steps.index("fsync names"))
    traced("tag", image, "another", env={"BEHIND": f"strace -qq -y -o {log} {calls}"})
    steps = [step for step in steps_of(log, traced) if "index.json" in step or step == "fsync images"]
    assert steps == ["write index.json", "fsync index.json", "rename images/index.json", "fsync images"]
    traced("rm", "victim")


def steps_of(log: Path, cli: Cli) -> list[str]:
    """Return what was done, with short names: temporary ones are those of the file they become."""
    steps = []
    for line in log.read_text().splitlines():
        call = line.partition("(")[0]
        if call == "write" and line.startswith("write(1<"):
            steps.append("write stdout")
            continue
        paths = [path for path in re.findall(r'[<"](/[^>"]*)[>"]', line) if path.startswith(str(cli.root))]
        if not paths:
            continue
        name = os.path.relpath(paths[-1], cli.root)
        name = re.sub(r"[0-9a-f]{64}", "ID", name)
        name = re.sub(r"\.([a-z.]+)\.[0-9a-f]+\.[0-9a-f]{8}$", r"\1", name)
        if call in ("fsync", "write"):
            name = name.rpartition("/")[2]
        steps.append(f"{call} {name}")
    return steps
