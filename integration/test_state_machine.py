"""Random sequences of commands, kills and reboots against a model that fits on a page."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import pytest
from harness import Cli, eventually, kill, processes
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

QUICK = ("--network=none",)
NAMES = st.sampled_from(["one", "two", "six"])  # none is the beginning of an id
# The same sequences every time: a failure can be repeated. Not shrunk, so that it is soon known.
BUDGET = settings(
    max_examples=20,
    stateful_step_count=15,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Containers(RuleBasedStateMachine):
    """A dict from names to what must be true of the container."""

    def __init__(self, cli: Cli, image: str) -> None:
        super().__init__()
        self.cli = cli
        self.image = image
        self.model: dict[str, str] = {}  # name: created, running or exited
        self.temporary: set[str] = set()  # made with --rm

    def status(self, *words: str) -> int:
        return self.cli(*words, status=None).status

    def ended(self, name: str) -> None:
        """A container has ended: it stays, unless it was made with --rm."""
        if name in self.temporary:
            self.temporary.discard(name)
            del self.model[name]
        else:
            self.model[name] = "exited"

    # --- commands ---------------------------------------------------------------------------

    @rule(name=NAMES, temporary=st.booleans())
    def create(self, name: str, temporary: bool) -> None:
        options = ["--rm"] if temporary else []
        status = self.status("create", *QUICK, *options, "--name", name, self.image, "sleep", "1000")
        assert status == (125 if name in self.model else 0)
        if status == 0:
            self.model[name] = "created"
            self.temporary |= {name} if temporary else set()

    @rule(name=NAMES, temporary=st.booleans())
    def run(self, name: str, temporary: bool) -> None:
        options = ["--rm"] if temporary else []
        status = self.status("run", "-d", *QUICK, *options, "--name", name, self.image, "sleep", "1000")
        assert status == (125 if name in self.model else 0)
        if status == 0:
            self.model[name] = "running"
            self.temporary |= {name} if temporary else set()

    @rule(name=NAMES)
    def run_to_its_end(self, name: str) -> None:
        status = self.status("run", *QUICK, "--name", name, self.image, "sh", "-c", "exit 3")
        assert status == (125 if name in self.model else 3)
        self.model.setdefault(name, "exited")

    @rule(name=NAMES)
    def start(self, name: str) -> None:
        status = self.status("start", name)
        assert status == (0 if name in self.model else 125)
        if self.model.get(name) == "created":
            self.model[name] = "running"
        elif name in self.model:
            # what it runs may be over at once, or sleep
            eventually(lambda: self.shown()[name] in ("running", "exited"))
            self.model[name] = self.settled(name)

    def settled(self, name: str) -> str:
        """Return the state of a started container, given the time `exit 3` takes if that is what it runs."""
        if "sleep" in self.cli.inspect(name, "{{.Config.Cmd}}"):
            return "running"
        eventually(lambda: self.shown()[name] == "exited")
        return "exited"

    @rule(name=NAMES)
    def stop(self, name: str) -> None:
        assert self.status("stop", "-t", "0", name) == (0 if name in self.model else 125)
        if self.model.get(name) == "running":
            self.ended(name)

    @rule(name=NAMES)
    def kill(self, name: str) -> None:
        assert self.status("kill", name) == (0 if self.model.get(name) == "running" else 125)
        if self.model.get(name) == "running":
            self.ended(name)

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        expected = {"running": 2, None: 1}.get(self.model.get(name), 0)
        assert self.status("rm", name) == expected
        if expected == 0:
            del self.model[name]
            self.temporary.discard(name)

    @rule(name=NAMES)
    def remove_by_force(self, name: str) -> None:
        assert self.status("rm", "-f", "-t", "0", name) == 0
        self.model.pop(name, None)
        self.temporary.discard(name)

    @rule(name=NAMES, other=NAMES)
    def rename(self, name: str, other: str) -> None:
        status = self.status("rename", name, other)
        if name in self.model and other not in self.model:
            assert status == 0
            self.model[other] = self.model.pop(name)
            if name in self.temporary:
                self.temporary ^= {name, other}
        elif name != other:
            assert status == 125

    @rule(name=NAMES)
    def execute(self, name: str) -> None:
        status = self.status("exec", name, "true")
        assert (status == 0) == (self.model.get(name) == "running")

    @rule()
    def prune(self) -> None:
        assert self.status("container", "prune", "-f") == 0
        self.model = {name: state for name, state in self.model.items() if state == "running"}
        self.temporary &= set(self.model)

    # --- accidents --------------------------------------------------------------------------

    @rule(name=NAMES)
    def kill_the_supervisor(self, name: str) -> None:
        if self.model.get(name) == "running":
            self.kill_supervisor_of(name)
            self.ended(name)

    def kill_supervisor_of(self, name: str) -> None:
        pid = int(self.cli.inspect(name, "{{.State.Pid}}"))
        kill(int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]))
        eventually(lambda: not Path(f"/proc/{pid}").exists(), 10, "the container outlives its supervisor")

    @rule(name=NAMES, command=st.sampled_from(["run", "start", "rm -f", "rename"]), after=st.integers(0, 40))
    def kill_the_command(self, name: str, command: str, after: int) -> None:
        """Kill a command after some ms: what it was to do is done, or not."""
        other = "other"
        words = {
            "run": ["run", "-d", *QUICK, "--name", name, self.image, "sleep", "1000"],
            "start": ["start", name],
            "rm -f": ["rm", "-f", "-t", "0", name],
            "rename": ["rename", name, other],
        }[command]
        before = self.model.get(name)
        process = self.cli.start(*words)
        time.sleep(after / 1000)
        process.kill()
        process.communicate()
        self.cli.started.remove(process)
        allowed = {before}
        if command == "run" and before is None:
            allowed |= {"created", "running"}
        if command == "start" and before:
            allowed |= {"running", "exited"}
        if command == "rm -f":
            allowed |= {None, "exited"}
        if command == "rename" and before and self.status("rename", other, name) == 0:
            return  # it had been done, and is undone
        time.sleep(0.1)  # a supervisor without its command goes on with the start
        found = self.shown().get(name)
        assert found in allowed, f"{command}: {before} became {found}"
        self.model.pop(name, None)
        if found:
            self.model[name] = found
        else:
            self.temporary.discard(name)

    @rule(volatile=st.booleans())
    def reboot(self, volatile: bool) -> None:
        """Everything dies; the runtime directory is gone or, on a disk, as it was at an earlier boot."""
        for pid in processes():
            kill(pid)
        eventually(lambda: not processes())
        if volatile:
            shutil.rmtree(self.cli.runroot)
        else:
            for state in self.cli.runroot.glob("containers/*/state.json"):
                text = re.sub(r'"bootId":"[^"]*"', '"bootId":"another"', state.read_text())
                state.write_text(text)
        for name, state in list(self.model.items()):
            if state == "running":
                self.ended(name)

    # --- what must be true ------------------------------------------------------------------

    def shown(self) -> dict[str, str]:
        result = self.cli("ps", "-a", "--format", "{{.Names}} {{.State}}")
        assert not result.stderr, result
        return dict(line.split(" ") for line in result.lines)

    @invariant()
    def what_is_listed_is_what_there_is(self) -> None:
        assert self.shown() == self.model

    def teardown(self) -> None:
        self.cli.remove_all()
        left = self.cli.leftovers()
        assert not left, "\n".join(left)


@pytest.mark.filterwarnings("ignore")
def test_random_sequences(cli: Cli, image: str) -> None:
    run_state_machine_as_test(lambda: Containers(cli, image), settings=BUDGET)
