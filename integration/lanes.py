"""Where faults are injected: stores with containers in them that no fault may touch.

A lane is a data root and a run root of its own, so that several of them can be worked on at once.
In each live bystanders: a created, an exited and a running container, and a volume. After every
fault `Lane.recovers` demands that they are as they were, that the command given again, `rm`, and
a new `run` work, and that nothing is left of the victim.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from harness import Cli, Result, end, eventually, is_ours

REPORT: dict[tuple[str, str], Counter[str]] = {}  # (command, fault): outcomes, how many times
Job = TypeVar("Job")
_QUICK = ("--network=none",)
_ORDERLY = re.compile(
    r"already in use|exists already|no such (container|image|object|volume|secret)|is running"
    r"|already running|not running|No space left|no space left|Input/output error|cannot |was removed"
    r"|supervisor ended|init ended|was killed|supervisor is lost|ended unexpectedly"
)


def note(command: str, fault: str, outcome: str) -> None:
    """Add a line to the table that the test run prints at its end."""
    REPORT.setdefault((command, fault), Counter())[outcome] += 1


def table() -> Iterator[str]:
    """Yield the lines of the table of what was injected and what came of it."""
    faults = sum(sum(outcomes.values()) for outcomes in REPORT.values())
    yield f"{faults} faults were injected; after each, all that was there before was there and worked"
    widths = [max((len(key[column]) for key in REPORT), default=0) for column in (0, 1)]
    for (command, fault), outcomes in REPORT.items():
        ends = ", ".join(f"{count} x {outcome}" for outcome, count in sorted(outcomes.items()))
        yield f"{command:<{widths[0]}}  {fault:<{widths[1]}}  {ends}"


class Namespace:
    """A user and a mount namespace of the caller's, to mount in and to trace in.

    The user keeps its id, if `who` says nothing else, but has no subordinate ones there: newuidmap is
    a setuid program, which a traced process cannot run, so a container's single id is mapped without it.
    """

    def __init__(self, directory: Path, setup: str = "", *, who: str = "--map-current-user") -> None:
        empty = directory / "empty"
        empty.touch()
        mounts = "".join(f"mount --bind {empty} {path} && " for path in ("/etc/subuid", "/etc/subgid"))
        self.process = subprocess.Popen(
            [
                *("unshare", who, "--keep-caps", "--mount", "sh", "-ec"),
                f"{mounts}{setup or ':'}; echo ready; exec sh",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        is_ours(self.process.pid)
        assert self.process.stdout and self.process.stdout.readline() == b"ready\n"

    def enter(self, program: str, where: Path) -> str:
        """Return a script that runs the program in the namespaces, behind the words of $BEHIND."""
        target = self.process.pid
        where.write_text(
            f'#!/bin/sh\nexec nsenter -t {target} -U -m --preserve-credentials -- $BEHIND {program} "$@"\n'
        )
        where.chmod(0o755)
        return str(where)

    def run(self, script: str) -> None:
        """Run lines of shell with the privileges that the namespace gives its maker: those of its init."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{script}; echo done\n".encode())
        self.process.stdin.flush()
        assert self.process.stdout.readline() == b"done\n"

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


class Lane:
    """One store with bystanders."""

    def __init__(self, cli: Cli, image: str) -> None:
        self.cli = cli
        self.image = image
        self.token = cli.root.parent / "token"
        cli("create", *_QUICK, "--name", "bystander-created", image, "true")
        cli("run", *_QUICK, "--name", "bystander-exited", image, "sh", "-c", "exit 3", status=3)
        cli("run", *_QUICK, "-d", "--name", "bystander-running", image, "sleep", "10000")
        cli("volume", "create", "bystander-volume")
        self.ids = set(cli.ids())
        eventually(self._is_quiet, 10, "the bystanders do not come to rest")
        self.before = self._durable()
        self.processes = self._processes()

    def _durable(self) -> dict[str, bytes]:
        """Return the content of all that the bystanders, the images and the volume consist of."""
        root = self.cli.root
        files = [
            root / "containers" / container / name
            for container in sorted(self.ids)
            for name in ("container.json", "config.json", "exit.json")
        ]
        found = {str(path): path.read_bytes() for path in files if path.exists()}
        for link in (root / "names").iterdir():
            if os.readlink(link) in self.ids:
                found[str(link)] = os.readlink(link).encode()
        for entry in json.loads((root / "images/index.json").read_text())["manifests"]:
            found[json.dumps(entry, sort_keys=True)] = b""
        for path in (*root.glob("layers/*/*/layer.json"), *root.glob("volumes/*/*.json")):
            found[str(path)] = path.read_bytes()
        return found

    def leftovers(self) -> list[str]:
        """Return what belongs to no bystander, for now."""
        root, run = self.cli.root, self.cli.runroot
        names = {"bystander-created", "bystander-exited", "bystander-running"}
        found = []
        for directory, own in (
            (root / "containers", self.ids),
            (root / "names", names),
            (root / "tmp", set()),
            (root / "trash", set()),
            (root / "volumes", {"bystander-volume"}),
            (run / "containers", self.ids),
        ):
            if directory.is_dir():
                found += [str(directory / name) for name in os.listdir(directory) if name not in own]
        return found

    def _processes(self) -> set[int]:
        """Return the processes that work on this lane; they inherit where it is."""
        wanted = f"DAEMONLESS_ROOT={self.cli.root}\0".encode()
        found = set()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if wanted in Path(f"/proc/{pid}/environ").read_bytes():
                    found.add(int(pid))
            except OSError:
                continue
        return found

    def _is_quiet(self) -> bool:
        return not self.leftovers() and len(self._processes()) == 1

    def orderly(self, result: Result) -> None:
        """Fail unless a command succeeded or said in one line why not."""
        assert "internal error" not in result.stderr and "Traceback" not in result.stderr, str(result)
        errors = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
        if result.status > 0 and errors:
            assert all(_ORDERLY.search(line) for line in errors), str(result)

    def recovers(self, again: list[list[str]], victims: tuple[str, ...] = ("victim", "renamed")) -> None:
        """Fail unless everything of before is there, everything works, and nothing is left."""
        shown = self.cli("ps", "--all", "--format", "{{.Names}} {{.State}}")
        assert not shown.stderr, str(shown)
        assert {line for line in shown.lines if line.startswith("bystander")} == {
            "bystander-created created",
            "bystander-exited exited",
            "bystander-running running",
        }, str(shown)
        for words in again:
            result = self.cli(*words, status=None)
            self.orderly(result)
        self.cli("rm", "--force", "--time", "0", *victims)
        self.cli("run", "--rm", *_QUICK, "--name", "victim", self.image, "true")
        self._wait_until_quiet()
        now = self._durable()
        lost = {key for key, content in self.before.items() if now.get(key) != content}
        assert not lost, f"lost or changed: {lost}"

    def _wait_until_quiet(self) -> None:
        deadline = time.monotonic() + 8
        while (left := self.leftovers()) or self._processes() - self.processes:
            if time.monotonic() > deadline:
                raise AssertionError(f"left behind: {left} {self._processes() - self.processes}")
            time.sleep(0.005)

    def mend(self) -> None:
        """End what a failure has left running, so that the next job does not meet it."""
        end(self._processes() - self.processes)

    def close(self) -> None:
        """Remove the bystanders as well; nothing at all is left then, not even after a failure."""
        self.mend()
        self.cli("rm", "--force", "--time", "0", "--all")
        self.cli("volume", "rm", "bystander-volume")
        self.ids = set()
        self.processes = set()
        self._wait_until_quiet()
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        mounts = [line for line in lines if str(self.cli.root) in line]
        assert not mounts, "\n".join(mounts)
        eventually(lambda: not cgroups(), 5, "cgroups are left")


def cgroups() -> list[str]:
    """Return the cgroups of containers below the one of these tests that have no process."""
    own = re.search(r"^0::(.*)$", Path("/proc/self/cgroup").read_text(), re.MULTILINE)
    mounts = [Path(path) for path in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")]
    return [
        str(path)
        for mount in mounts
        if own and (mount / "cgroup.procs").exists()
        for path in Path(f"{mount}{own[1]}").glob("daemonless-*")
        if "populated 0" in (path / "cgroup.events").read_text()
    ]


def on_all(lanes: list[Lane], jobs: list[Job], work: Callable[[Lane, Job], None]) -> None:
    """Do each job on some lane, all lanes at once; fail with everything that failed."""
    free: SimpleQueue[Lane] = SimpleQueue()
    for lane in lanes:
        free.put(lane)

    def do(job: Job) -> str:
        lane = free.get()
        try:
            work(lane, job)
            return ""
        except (AssertionError, subprocess.TimeoutExpired) as error:
            lane.mend()
            return f"{job}: {error}"
        finally:
            free.put(lane)

    with ThreadPoolExecutor(len(lanes)) as pool:
        failures = [said for said in pool.map(do, jobs) if said]
    assert not failures, f"{len(failures)} of {len(jobs)}:\n" + "\n\n".join(failures[:5])
