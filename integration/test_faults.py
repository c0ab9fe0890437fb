"""Faults at every step: killed, disk full, I/O error. Whatever was there before is there afterwards.

The failpoints of `daemonless.failpoints` stand before each step that changes state; strace(1)
injects the same into system calls that have none. The table of all of it is printed at the end.
"""

from __future__ import annotations

import ast
import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import Registry, make_cli
from harness import Result, kill_all
from lanes import Lane, Namespace, note, on_all
from layouts import busybox_layer, make_layout

PACKAGE = Path(__file__).resolve().parent.parent / "daemonless"
QUICK = ("--network=none", "--name", "victim")


DOCKERFILE = """
FROM IMAGE
ARG ID
RUN --network=none --mount=type=cache,id=$ID,target=/c date +%s%N$RANDOM | tee /c/f > /f
"""


# Its cache lies beside the stores, made without the last step.
CACHED = """
FROM IMAGE
RUN --mount=type=cache,id=victim,target=/cache echo 1 | tee -a /cache/file > /made
COPY Dockerfile /
"""
LAST_STEP = "RUN --mount=type=cache,id=victim,target=/cache cat /cache/* > /last; true\nENV A=1\n"


@dataclass(frozen=True)
class Scenario:
    """A command to be struck, what goes before it, and what undoes its effect on images."""

    command: tuple[str, ...]
    before: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()


# IMAGE, PULLED, ARCHIVE and other words in capitals stand for names that only the run knows.
SCENARIOS = {
    "create": Scenario(("create", *QUICK, "IMAGE", "true")),
    "run": Scenario(("run", *QUICK, "IMAGE", "true")),
    "run --rm": Scenario(("run", "--rm", *QUICK, "IMAGE", "true")),
    "run --detach": Scenario(("run", "--detach", *QUICK, "IMAGE", "sleep", "1000")),
    "start": Scenario(("start", "victim"), ("create", *QUICK, "IMAGE", "sleep", "1000")),
    "start --attach": Scenario(("start", "--attach", "victim"), ("create", *QUICK, "IMAGE", "true")),
    "stop": Scenario(("stop", "--time", "0", "victim"), ("run", "-d", *QUICK, "IMAGE", "sleep", "1000")),
    "kill": Scenario(("kill", "victim"), ("run", "-d", "--rm", *QUICK, "IMAGE", "sleep", "1000")),
    "rm": Scenario(("rm", "victim"), ("create", *QUICK, "IMAGE", "true")),
    "rm --force": Scenario(
        ("rm", "--force", "--time", "0", "victim"), ("run", "-d", *QUICK, "IMAGE", "sleep", "1000")
    ),
    "rename": Scenario(("rename", "victim", "renamed"), ("create", *QUICK, "IMAGE", "true")),
    "tag": Scenario(("tag", "IMAGE", "victim:1"), (), ("rmi", "--force", "victim:1")),
    "pull": Scenario(("pull", "--quiet", "PULLED"), (), ("rmi", "--force", "PULLED")),
    "rmi": Scenario(("rmi", "PULLED"), ("pull", "--quiet", "PULLED"), ("rmi", "--force", "PULLED")),
    "manifest create": Scenario(
        ("manifest", "create", "victim:1", "IMAGE"), (), ("manifest", "rm", "--ignore", "victim:1")
    ),
    "manifest add": Scenario(
        ("manifest", "add", "victim:1", "IMAGE"),
        ("manifest", "create", "victim:1"),
        ("manifest", "rm", "--ignore", "victim:1"),
    ),
    "commit": Scenario(
        ("commit", "--quiet", "victim", "victim:1"),
        ("run", *QUICK, "IMAGE", "touch", "/file"),
        ("rmi", "--force", "victim:1"),
    ),
    "build": Scenario(
        ("build", "--quiet", "--no-cache", "--build-arg", "ID=UNIQUE", "--tag", "victim:1", "CONTEXT"),
        (),
        ("rmi", "--force", "victim:1"),
    ),
    "image prune": Scenario(
        ("image", "prune", "--force"),
        ("commit", "--quiet", "--message", "of no name", "bystander-exited"),
        ("image", "prune", "--force"),
    ),
    "build --cache-to": Scenario(
        ("build", "--quiet", "--tag", "victim:1", "--cache-to", "CACHE-TO", "CACHED"),
        (),
        ("rmi", "--force", "victim:1"),
    ),
    "build --cache-from": Scenario(
        ("build", "--quiet", "--tag", "victim:1", "--cache-from", "CACHE-FROM", "CACHED"),
        ("builder", "prune", "--all", "--force"),
        ("rmi", "--force", "victim:1"),
    ),
    "builder prune": Scenario(
        ("builder", "prune", "--all", "--force"),
        ("build", "--quiet", "--output", "type=oci,dest=/dev/null", "CACHED"),
        ("builder", "prune", "--all", "--force"),
    ),
    "run --health-cmd": Scenario(
        ("run", "--detach", *QUICK, "--health-cmd=true", "--health-interval=50ms", "IMAGE", "sleep", "1000")
    ),
    "run --ipc": Scenario(("run", "--rm", *QUICK, "--ipc=container:bystander-running", "IMAGE", "true")),
    "run --userns": Scenario(("run", "--rm", *QUICK, "--userns=auto", "IMAGE", "true")),
    "import": Scenario(("import", "--quiet", "ARCHIVE", "victim:1"), (), ("rmi", "--force", "victim:1")),
    "load": Scenario(("load", "--quiet", "--input", "SAVED"), (), ("rmi", "--force", "victim:1")),
    "volume create": Scenario(("volume", "create", "victim"), (), ("volume", "rm", "--force", "victim")),
    "volume rm": Scenario(
        ("volume", "rm", "victim"), ("volume", "create", "victim"), ("volume", "rm", "--force", "victim")
    ),
    "volume import": Scenario(
        ("volume", "import", "victim", "ARCHIVE"),
        ("volume", "create", "victim"),
        ("volume", "rm", "--force", "victim"),
    ),
    "run --volume": Scenario(
        ("run", "--rm", *QUICK, "-v", "victim:/etc", "IMAGE", "true"),
        (),
        ("volume", "rm", "--force", "victim"),
    ),
    "secret create": Scenario(
        ("secret", "create", "victim", "/etc/passwd"), (), ("secret", "rm", "--ignore", "victim")
    ),
    "login": Scenario(("login", "-u", "u", "-p", "p", "REGISTRY"), (), ("logout", "--all")),
    "logout": Scenario(
        ("logout", "REGISTRY"), ("login", "-u", "u", "-p", "p", "REGISTRY"), ("logout", "--all")
    ),
    "secret rm": Scenario(
        ("secret", "rm", "victim"),
        ("secret", "create", "victim", "/etc/passwd"),
        ("secret", "rm", "--ignore", "victim"),
    ),
    "run --secret": Scenario(
        ("run", "--rm", *QUICK, "--secret", "victim", "IMAGE", "true"),
        ("secret", "create", "victim", "/etc/passwd"),
        ("secret", "rm", "--ignore", "victim"),
    ),
}

ANY = ("kill", "enospc", "eio")
KILL = ("kill",)  # before a step that has no way to fail
# Every failpoint of the source: what is done there, and by which commands it is come to.
MATRIX = {
    "create.stage": (ANY, ("create", "run --rm")),
    "create.name": (ANY, ("create", "run --rm")),
    "create.directories": (ANY, ("create", "run --rm")),
    "create.give": (ANY, ("run --userns",)),
    "create.note": (ANY, ("run --ipc",)),
    "create.config": (ANY, ("create", "run")),
    "create.record": (ANY, ("create", "run")),
    "create.sync": (ANY, ("create",)),
    "create.hold": (ANY, ("run", "run --rm")),
    "create.publish": (ANY, ("create", "run --rm")),
    "create.sync_place": (ANY, ("create",)),
    "create.unlock": (KILL, ("create", "run", "run --rm")),
    "start.prepare": (ANY, ("run", "run --rm", "start", "run --ipc", "run --userns")),
    "start.supervisor": (ANY, ("run", "run --rm", "start")),
    "start.log": (ANY, ("run", "run --rm", "run --detach", "start")),
    "start.socket": (ANY, ("run", "run --rm", "run --detach", "start")),
    "start.state": (ANY, ("run", "run --rm", "run --detach", "start")),
    "start.exec": (ANY, ("run", "run --rm", "run --detach", "start", "run --ipc", "run --userns")),
    "start.ready": (KILL, ("run", "run --rm", "run --detach", "start", "start --attach")),
    "start.settle": (ANY, ("run", "run --rm", "run --detach", "start")),
    "end.record": (ANY, ("run", "run --rm", "start --attach", "stop", "kill", "rm --force")),
    "end.state": (ANY, ("run", "start --attach", "stop", "rm --force")),
    "end.tell": (KILL, ("run", "run --rm", "stop", "kill", "rm --force")),
    "end.unlock": (KILL, ("run", "run --rm", "stop", "kill", "rm --force")),
    "end.afterwards": (KILL, ("run", "run --rm", "stop", "kill")),
    "rm.discard": (ANY, ("rm", "rm --force", "run --rm", "kill", "run --ipc", "run --userns")),
    "rm.name": (ANY, ("rm", "rm --force", "run --rm", "kill")),
    "rm.run_directory": (ANY, ("rm", "rm --force", "run --rm", "kill")),
    "rm.intent": (ANY, ("rm", "rm --force", "run --rm", "kill")),
    "rename.claim": (ANY, ("rename",)),
    "rename.record": (ANY, ("rename",)),
    "rename.release": (ANY, ("rename",)),
    "rename.intent": (ANY, ("rename",)),
    "blob.commit": (
        ANY,
        ("pull", "commit", "import", "load", "manifest create", "manifest add", "build --cache-from"),
    ),
    "blob.sync": (ANY, ("commit", "import", "manifest create", "manifest add")),
    "blobs.sync": (ANY, ("pull", "load", "build")),
    "partial.commit": (ANY, ("pull",)),
    "partial.sync": (ANY, ("pull",)),
    "commit.layer": (ANY, ("commit", "import")),
    "commit.unpacked": (ANY, ("commit", "import")),
    "commit.list": (ANY, ("commit", "import")),
    "build.layer": (ANY, ("build",)),
    "build.adopt": (ANY, ("build",)),
    "build.blob": (ANY, ("build",)),
    "build.record": (ANY, ("build", "build --cache-from")),
    "build.list": (ANY, ("build",)),
    "build.export": (ANY, ("build --cache-to",)),
    "build.import": (ANY, ("build --cache-from",)),
    "build.import_mount": (ANY, ("build --cache-from",)),
    "build.mount": (ANY, ("build --cache-from",)),
    "cache.begin": (ANY, ("build",)),
    "cache.fill": (ANY, ("build",)),
    "lease.keep": (ANY, ("pull", "commit", "build", "import", "load", "manifest create", "manifest add")),
    "images.write": (
        ANY,
        (
            *("pull", "tag", "rmi", "commit", "import", "load", "image prune"),
            *("manifest create", "manifest add"),
        ),
    ),
    "images.discard": (ANY, ("rmi", "image prune", "builder prune")),
    "health.write": (ANY, ("run --health-cmd",)),
    "health.probe": (ANY, ("run --health-cmd",)),
    "volume.stage": (ANY, ("volume create", "run --volume")),
    "volume.publish": (ANY, ("volume create", "run --volume")),
    "volume.sync": (ANY, ("volume create",)),
    "volume.discard": (ANY, ("volume rm",)),
    "volume.import": (ANY, ("volume import",)),
    "volume.merge": (ANY, ("volume import",)),
    "volume.merged": (ANY, ("volume import",)),
    "volume.ready": (ANY, ("run --volume",)),
    "volume.copied": (ANY, ("run --volume",)),
    "volume.move": (ANY, ("run --volume",)),
    "volume.used": (ANY, ("run --volume",)),
    "login.write": (ANY, ("login", "logout")),
    "secret.write": (ANY, ("secret create",)),
    "secret.copy": (ANY, ("run --secret",)),
    "secret.remove": (ANY, ("secret rm",)),
}


def test_every_failpoint_of_the_source_is_in_the_matrix() -> None:
    """A new step without a fault is a red test."""
    names = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "failpoints.reach":
                (argument,) = node.args
                assert isinstance(argument, ast.Constant), f"{path}: a name that cannot be found"
                assert argument.value not in names, f"{argument.value} is two places"
                names.add(argument.value)
    assert names == set(MATRIX)


@pytest.fixture(scope="module")
def pulled(registry: Registry, scratch: Path) -> str:
    """A small image of the registry's."""
    layout = make_layout(scratch / "layout-faults", [busybox_layer({"data": b"x" * 5000})])
    return registry.push(layout, "faults")


def prepared(directory: Path, image: str, namespace: Namespace | None = None) -> Lane:
    """Return a lane in a new directory, its commands run in the namespace if one is given."""
    cli = make_cli(directory)
    if namespace:
        cli.program = namespace.enter(cli.program, directory / "daemonless")
    cli("run", "--rm", "--network=none", image, "true")
    (directory / "context").mkdir()
    (directory / "context/Dockerfile").write_text(DOCKERFILE.replace("IMAGE", image))
    context = directory / "cached"
    context.mkdir()
    (context / "Dockerfile").write_text(CACHED.replace("IMAGE", image))
    cli("build", "--quiet", "--cache-to", f"type=local,dest={directory}/cache,mode=max", str(context))
    (context / "Dockerfile").write_text(CACHED.replace("IMAGE", image) + LAST_STEP)
    cli("image", "prune", "--force")
    cli("builder", "prune", "--all", "--force")
    (directory / "archive.tar").write_bytes(busybox_layer({"data": b"x" * 5000}))
    cli("import", "--quiet", str(directory / "archive.tar"), "victim:1")
    cli("save", "--quiet", "--output", str(directory / "image.tar"), "victim:1")
    cli("rmi", "victim:1")
    return Lane(cli, image)


def put_away(lanes: list[Lane]) -> None:
    """Remove the bystanders; nothing at all is left then."""
    for lane in lanes:
        lane.close()


@pytest.fixture(scope="module")
def lanes(scratch: Path, image: str) -> Iterator[list[Lane]]:
    """Two stores, one for each core of a small machine."""
    try:
        made = [prepared(Path(tempfile.mkdtemp(prefix="lane-", dir=scratch)), image) for _ in range(2)]
        yield made
        put_away(made)
    except BaseException:
        kill_all()
        raise


def words(lane: Lane, pulled: str, command: tuple[str, ...]) -> list[str]:
    names = {
        "IMAGE": lane.image,
        "PULLED": pulled,
        "ARCHIVE": str(lane.cli.root.parent / "archive.tar"),
        "SAVED": str(lane.cli.root.parent / "image.tar"),
        "CACHED": str(lane.cli.root.parent / "cached"),
        "CACHE-TO": f"type=local,dest={lane.cli.root.parent}/saved",
        "CACHE-FROM": f"type=local,src={lane.cli.root.parent}/cache",
        "CONTEXT": str(lane.cli.root.parent / "context"),
        "REGISTRY": pulled.partition("/")[0],
    }
    names["ID=UNIQUE"] = f"ID={os.urandom(8).hex()}"  # what is made once is made again in the next run
    return [names.get(word, word) for word in command]


Fault = tuple[str, str, str]  # failpoint, action, name of the scenario
FAULTS: list[Fault] = [
    (point, action, name)
    for point, (actions, names) in MATRIX.items()
    for action in actions
    for name in names
]


@pytest.mark.parametrize("command", SCENARIOS)
def test_a_fault_at_every_failpoint(lanes: list[Lane], pulled: str, command: str) -> None:
    jobs = [fault for fault in FAULTS if fault[2] == command]
    on_all(lanes, jobs, lambda lane, fault: strike(lane, fault, pulled))


def strike(lane: Lane, fault: Fault, pulled: str) -> None:
    """Run the command of a scenario with one failpoint armed, and see that the store recovers."""
    point, action, name = fault
    scenario = SCENARIOS[name]
    command = words(lane, pulled, scenario.command)
    armed = {"DAEMONLESS_FAILPOINT": f"{point}={action}:{lane.token}"}
    if scenario.before:
        # armed as well, because supervisors inherit it; without its token it does not act
        lane.cli(*words(lane, pulled, scenario.before), env=armed)
    lane.token.touch()
    result = lane.cli(*command, env=armed, status=None, timeout=30)
    deadline = time.monotonic() + 8
    while lane.token.exists():
        assert time.monotonic() < deadline, f"never came there; {result}"
        time.sleep(0.005)
    lane.orderly(result)
    lane.recovers([command, *([words(lane, pulled, scenario.undo)] if scenario.undo else [])])
    ended = "killed" if result.status in (-9, 137) else f"status {result.status}"
    note(name, f"{action} at {point}", ended)


# --- system calls -----------------------------------------------------------------------------

# What is injected by strace(1), at the Nth such call of every process of the command.
INJECTIONS = (
    *((call, "signal=KILL") for call in ("rename", "mkdir", "symlink", "unlink", "write", "fsync")),
    *((call, "error=ENOSPC") for call in ("rename", "mkdir", "symlink", "write")),
    *((call, "error=EIO") for call in ("rename", "unlink", "fsync")),
)
STRUCK = (
    *("create", "run", "run --rm", "start --attach", "stop", "rm", "rename", "tag", "pull", "rmi"),
    *("commit", "build --cache-from"),
)
MOST = 2  # places at which a call is struck, spread over all of them


@pytest.fixture(scope="module")
def traced_lanes(scratch: Path, image: str) -> Iterator[list[Lane]]:
    """Two stores whose commands can be traced."""
    namespaces = []
    try:
        made = []
        for _ in range(2):
            directory = Path(tempfile.mkdtemp(prefix="traced-", dir=scratch))
            namespaces.append(Namespace(directory))
            made.append(prepared(directory, image, namespaces[-1]))
        yield made
        put_away(made)
    finally:
        for namespace in namespaces:
            namespace.close()


@pytest.mark.parametrize("command", STRUCK)
def test_a_fault_in_the_nth_system_call(traced_lanes: list[Lane], pulled: str, command: str) -> None:
    lane = traced_lanes[0]
    counts = count_calls(lane, command, pulled)
    jobs = []
    for call, action in INJECTIONS:
        number = counts.get(call, 0)
        step = max(1, -(-number // MOST))
        jobs += [(call, action, nth, command) for nth in range(1, number + 1, step)]
    on_all(traced_lanes, jobs, lambda lane, job: inject(lane, job, pulled))


def traced(lane: Lane, log: Path, options: str, command: list[str]) -> Result:
    behind = f"strace -f -qq -o {log} {options}"
    return lane.cli(*command, env={"BEHIND": behind}, status=None, timeout=30)


def count_calls(lane: Lane, name: str, pulled: str) -> dict[str, int]:
    """Return how often each call is made by the process of the command that makes most of them."""
    scenario = SCENARIOS[name]
    if scenario.before:
        lane.cli(*words(lane, pulled, scenario.before))
    log = lane.cli.root.parent / "strace"
    calls = ",".join({call for call, _ in INJECTIONS})
    result = traced(lane, log, f"-e trace={calls}", words(lane, pulled, scenario.command))
    assert result.status == 0, str(result)
    found = Counter(re.findall(r"^(\d+) +(\w+)\(", log.read_text(), re.MULTILINE))
    lane.recovers([words(lane, pulled, scenario.undo)] if scenario.undo else [])
    most: dict[str, int] = {}
    for (_, call), count in found.items():
        most[call] = max(count, most.get(call, 0))
    return most


def inject(lane: Lane, job: tuple[str, str, int, str], pulled: str) -> None:
    """Run the command of a scenario with its Nth call struck, and see that the store recovers."""
    call, action, nth, name = job
    scenario = SCENARIOS[name]
    command = words(lane, pulled, scenario.command)
    if scenario.before:
        lane.cli(*words(lane, pulled, scenario.before))
    log = lane.cli.root.parent / "strace"
    result = traced(lane, log, f"-e trace={call} -e inject={call}:{action}:when={nth}", command)
    struck = len(re.findall(r"INJECTED|killed by SIGKILL", log.read_text()))
    assert struck, f"the call was not made; {result}"
    lane.orderly(result)
    lane.recovers([command, *([words(lane, pulled, scenario.undo)] if scenario.undo else [])])
    ended = "killed" if result.status in (-9, 137) else f"status {result.status}"
    note(name, f"{action.partition('=')[2].lower()} in {call}()", ended)
