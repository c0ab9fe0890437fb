"""Dockerfiles of every kind: what daemonless makes of them is what buildah makes of them.

Each case of `corpus` is built by both, and the configurations and the flattened file systems are compared:
paths, kinds, modes, owners, link targets, hard links, extended attributes and content. Where the installed
buildah lacks the feature, the case says what must come of it. The run prints the table.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import STARTER, TABLES
from corpus import flat
from corpus.all import CASES
from corpus.case import Case, Entry
from corpus.server import Server
from harness import Cli, is_ours

# of the configuration; what else there is, only one of both has
KEYS = (
    "Cmd",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Healthcheck",
    "Labels",
    "OnBuild",
    "Shell",
    "StopSignal",
    "User",
    "Volumes",
    "WorkingDir",
)
# what buildah mounts on, and leaves behind as empty files
STUBS = {"etc/hostname", "etc/hosts", "etc/resolv.conf"}
Tree = dict[str, Entry]
OWN_DIRECTORIES = """
for own in /run /dev/shm /var/tmp /var/lib/containers; do
    [ ! -d $own ] || mount -t tmpfs none $own
done
exec "$@"
"""


def entries(found: dict[str, list[Any]]) -> Tree:
    return {
        name: Entry(kind, mode, tuple(owner), content, tuple(map(tuple, xattrs)), tuple(names))
        for name, (kind, mode, owner, content, xattrs, names) in found.items()
    }


def configuration(document: dict[str, Any]) -> dict[str, Any]:
    """Return what is compared of a configuration, without what is empty."""
    config = document.get("config") or {}
    found = {key: config[key] for key in KEYS if config.get(key)}
    labels = {
        key: value for key, value in found.get("Labels", {}).items() if not key.startswith("io.buildah.")
    }
    found["Labels"] = labels
    if found.get("WorkingDir") == "/":
        del found["WorkingDir"]  # no directory means the same
    found["Env"] = sorted(found.get("Env", ()))
    found["author"] = document.get("author")
    return {key: value for key, value in found.items() if value}


class Judge:
    """buildah in a user namespace of its own, which builds in the background what will be asked for."""

    def __init__(self, place: Path, base: Path) -> None:
        self._answers: dict[str, queue.Queue[dict[str, Any]]] = {}
        place.mkdir()
        program = ["/usr/bin/python3", flat.__file__, str(place), str(base)]
        self._process = subprocess.Popen(
            [
                "unshare",
                "--map-root-user",
                "--map-auto",
                "--mount",
                "sh",
                "-euc",
                OWN_DIRECTORIES,
                "sh",
                *program,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "XDG_RUNTIME_DIR": str(place), "_CONTAINERS_USERNS_CONFIGURED": "done"},
        )
        is_ours(self._process.pid)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def ask(self, cases: list[tuple[Case, Path, dict[str, str]]]) -> None:
        """Let all cases be built, in this order."""
        assert self._process.stdin
        for case, directory, places in cases:
            self._answers[case.name] = queue.Queue()
            request = {
                "name": case.name,
                "arguments": case.arguments(places),
                "directory": str(directory),
                "standard_input": str(directory / "stdin") if case.standard_input else "",
                "env": dict(case.env),
            }
            self._process.stdin.write(f"{json.dumps(request)}\n")
        self._process.stdin.close()

    def _read(self) -> None:
        assert self._process.stdout
        try:
            with self._process.stdout as lines:
                for line in lines:
                    if line.endswith("\n"):  # the last one may be cut
                        answer = json.loads(line)
                        self._answers[answer["name"]].put(answer)
        finally:  # whoever still waits need not wait for long
            for waiting in self._answers.values():
                waiting.put({"status": 125, "output": "the judge has ended"})

    def answer(self, case: Case) -> dict[str, Any]:
        answer = self._answers[case.name].get(timeout=120)
        assert answer["status"] == 0, f"buildah fails: {answer['output']}"
        return answer

    def close(self) -> None:
        """End it, whether or not everything has been asked for."""
        self._process.kill()
        self._process.wait(20)
        self._reader.join(20)


class World:
    """The base image, the servers, and the directories of the cases."""

    def __init__(self, cli: Cli, place: Path, wanted: list[Case]) -> None:
        self.cli = cli
        self.place = place
        (place / "served").mkdir(parents=True)
        self.server = Server(place / "served")
        cli("save", "--quiet", "--format=oci-dir", "--output", str(place / "base"), STARTER)
        cli("save", "--quiet", "--format=oci-archive", "--output", str(place / "base.tar"), STARTER)
        _, config, tree = flat.of_layout(place / "base")
        self.base = (entries(tree), configuration(config))
        for case in wanted:
            case.write(self.directory(case), self.places(case))
        self.judge = Judge(place / "buildah", place / "base.tar")
        self.judge.ask(
            [(case, self.directory(case), self.places(case)) for case in wanted if not case.buildah]
        )

    def directory(self, case: Case) -> Path:
        return self.place / case.name

    def places(self, case: Case) -> dict[str, str]:
        return {
            "case": str(self.directory(case)),
            "http": self.server.address,
            "commit": self.server.commit,
            "salt": self.place.name,
        }

    def close(self) -> None:
        self.judge.close()
        self.server.close()

    def build(self, case: Case) -> tuple[Tree, dict[str, Any]]:
        """Build a case with daemonless; return the files and the configuration of the image."""
        directory = self.directory(case)
        identity = directory / "id"
        data = (directory / "stdin").read_bytes() if case.standard_input else None
        built = self.cli(
            "build",
            f"--iidfile={identity}",
            *case.arguments(self.places(case)),
            input=data,
            env=dict(case.env),
            cwd=directory,
        )
        assert case.warns in built.stderr, str(built)
        layout = directory / "layout"
        self.cli("save", "--quiet", "--format=oci-dir", "--output", str(layout), identity.read_text().strip())
        _, config, tree = flat.of_layout(layout)
        return entries(tree), configuration(config)

    def expected(self, case: Case) -> tuple[Tree, dict[str, Any]]:
        """Return what must come of a case: what buildah made of it, or what the case says."""
        if not case.buildah:
            answer = self.judge.answer(case)
            tree = entries(answer["tree"])
            for name in STUBS & set(tree) - set(self.base[0]):
                if tree[name] == Entry("file", 0o755, (0, 0)):
                    del tree[name]
            return tree, configuration(answer["config"])
        assert case.tree is not None
        base, config = self.base
        tree = {name: entry for name, entry in base.items() if name not in case.gone} | dict(case.tree)
        values = {**config, **case.config}
        if "Env" in case.config:
            values["Env"] = sorted(config["Env"] + case.config["Env"])
        if "Labels" in case.config:
            values["Labels"] = config["Labels"] | case.config["Labels"]
        return tree, values


@pytest.fixture(scope="module")
def world(session_cli: Cli, scratch: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    parameters = [
        item.callspec.params.get("case") for item in request.session.items if hasattr(item, "callspec")
    ]
    place = World(session_cli, scratch / "corpus", [case for case in parameters if isinstance(case, Case)])
    yield place
    place.close()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(world: World, cli: Cli, case: Case) -> None:
    lines = TABLES.setdefault("corpus", [f"{'case':<52}{'judged by':<68}outcome"])
    number = len(lines)
    judge = f"the case: {case.buildah}" if case.buildah else "buildah"
    lines.append(f"{case.name:<52}{judge:<68}FAILS")
    tree, config = world.build(case)
    expected_tree, expected_config = world.expected(case)
    differences = [
        f"/{name}\n    is      {tree.get(name, 'missing')}\n    not     {expected_tree.get(name, 'missing')}"
        for name in sorted({*tree, *expected_tree})
        if tree.get(name) != expected_tree.get(name)
    ]
    differences += [
        f"{key}\n    is      {config.get(key)}\n    not     {expected_config.get(key)}"
        for key in sorted({*config, *expected_config})
        if config.get(key) != expected_config.get(key)
    ]
    if differences:
        pytest.fail(
            "\n".join([f"the image of {world.directory(case)} differs:", *differences]), pytrace=False
        )
    lines[number] = f"{case.name:<52}{judge:<68}equal"
