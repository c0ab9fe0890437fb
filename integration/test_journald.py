"""The log driver journald, with a real journal: one of the tests' own, in a namespace without privileges."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Cli, eventually, is_ours, kill

JOURNALD = "/lib/systemd/systemd-journald"
SETUP = """\
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/systemd/journald.conf.d /run/log/journal
printf '[Journal]\\nRateLimitBurst=0\\n' >/run/systemd/journald.conf.d/tests.conf
/lib/systemd/systemd-journald &
echo $! >/run/journald.pid
exec sleep infinity
"""
RUN = ("run", "--network=none", "--log-driver=journald")
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"


class Journal:
    """A journald, and the command and journalctl in its namespaces, where they are uid 0."""

    def __init__(self, cli: Cli, directory: Path) -> None:
        assert os.access(JOURNALD, os.X_OK), "systemd-journald is not installed: run ./scripts/test"
        unshare = ["unshare", "--map-root-user", "--mount", "sh", "-euc", SETUP]
        with open(directory / "journald", "wb") as errors:
            self.process = subprocess.Popen(unshare, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        is_ours(self.process.pid)
        self._enter = ["nsenter", "--user", "--mount", "--preserve-credentials", f"-t{self.process.pid}"]
        eventually(lambda: self._output("ls", "/run/systemd/journal/socket"))
        self.pid = int(self._output("cat", "/run/journald.pid"))
        wrapper = directory / "daemonless"
        wrapper.write_text(f'#!/bin/sh\nexec {" ".join(self._enter)} {cli.program} "$@"\n')
        wrapper.chmod(0o755)
        cli.program = str(wrapper)

    def _output(self, *command: str) -> str:
        return subprocess.run([*self._enter, *command], capture_output=True, text=True, timeout=20).stdout

    def __call__(self, *arguments: str) -> list[dict[str, object]]:
        shown = self._output("journalctl", "--output=json", "--all", "--no-pager", *arguments)
        return [json.loads(line) for line in shown.splitlines()]

    def end(self) -> None:
        kill(self.pid)


@pytest.fixture
def journal(fresh: Cli, tmp_path: Path) -> Iterator[Journal]:
    program = fresh.program
    server = Journal(fresh, tmp_path)
    yield server
    fresh.remove_all()
    fresh.program = program
    server.end()
    server.process.kill()
    server.process.wait(20)


def test_output_becomes_entries_that_logs_reads(fresh: Cli, image: str, journal: Journal) -> None:
    script = r"""echo one; sleep 0.1; echo two >&2; sleep 0.1; printf '\0\377\r\n\nlast'"""
    chosen = ("--log-opt=tag={{.Name}}!", "--log-opt=labels=a", "--log-opt=env=V")
    options = ("--name=web", "--label=a=b", "--env=V=x y", *chosen)
    fresh(*RUN, *options, image, "sh", "-c", script)
    container = fresh.inspect("web", "{{.Id}}")
    entries = journal(f"CONTAINER_ID_FULL={container}")
    assert [entry["MESSAGE"] for entry in entries] == ["one", "two", [0, 255, 13], "", "last"]
    assert [entry["PRIORITY"] for entry in entries] == ["6", "3", "6", "6", "6"]
    assert [entry.get("CONTAINER_PARTIAL_MESSAGE") for entry in entries] == [None] * 4 + ["true"]
    for name, value in {
        "CONTAINER_ID": container[:12],
        "CONTAINER_NAME": "web",
        "CONTAINER_TAG": "web!",
        "SYSLOG_IDENTIFIER": "web!",
        "IMAGE_NAME": f"{image}:latest",
        "A": "b",
        "V": "x y",
    }.items():
        assert entries[0][name] == value

    shown = fresh("logs", "web")
    assert os.fsencode(shown.stdout) == b"one\n\0\xff\r\n\nlast" and shown.stderr == "two\n"
    assert fresh("logs", "--tail=1", "web").stdout == "last"
    assert os.fsencode(fresh("logs", "--tail=3", "web").stdout) == b"\0\xff\r\n\nlast"
    assert fresh("logs", "--tail=0", "web").stdout == ""
    assert fresh("logs", "--details", "web").lines[0] == "V=x y,a=b,tag=web! one"
    first = fresh("logs", "-t", "web").lines[0]
    assert re.fullmatch(f"{TIME} one", first)
    assert fresh("logs", "--until", first.split()[0], "web").lines == ["one"]
    assert fresh("logs", "--since", "2001-01-01", "--until", "2001-01-02", "web").lines == []
    second = re.search(TIME, fresh("logs", "-t", "web").stderr)
    assert second and "one" not in fresh("logs", "--since", second.group(), "web").stdout
    assert fresh.inspect("web", "{{.HostConfig.LogConfig.Type}} {{.LogPath}}") == "journald"


def test_following_ends_with_the_container(fresh: Cli, image: str, journal: Journal) -> None:
    script = "i=0; while [ ! -e /go ]; do sleep 0.05; done; seq 3000; printf end"
    fresh(*RUN, "--detach", "--name=f", image, "sh", "-c", f"echo begun; {script}")
    reader = fresh.start("logs", "--follow", "f")
    assert reader.stdout and reader.stdout.readline() == b"begun\n"
    fresh("exec", "f", "touch", "/go")
    rest, _ = reader.communicate(timeout=30)
    assert rest.decode().split() == [*map(str, range(1, 3001)), "end"]
    assert fresh("logs", "--follow", "--tail=2", "f").lines == ["3000", "end"]


def test_lines_longer_than_a_datagram(fresh: Cli, image: str, journal: Journal) -> None:
    script = "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo after"
    fresh(*RUN, "--name=long", image, "sh", "-c", script)
    assert fresh("logs", "long").stdout == "x" * 3_000_000 + "\nafter\n"
    assert fresh("logs", "--tail=2", "long").stdout == "x" * 3_000_000 + "\nafter\n"
    assert fresh("logs", "--tail=1", "long").stdout == "after\n"


def test_a_journal_that_is_not_there(cli: Cli, image: str) -> None:
    if not os.path.exists("/run/systemd/journal/socket"):
        said = cli(*RUN, "--name=x", image, "true", status=125).stderr
        assert "cannot log to journald: there is no /run/systemd/journal/socket here" in said
        assert "--log-driver=k8s-file" in said and cli.ids() == []


def test_a_journal_that_ends(fresh: Cli, image: str, journal: Journal) -> None:
    """The container is none the worse; only the next start says that there is none."""
    script = "while [ ! -e /go ]; do sleep 0.05; done; seq 100000; exit 4"
    fresh(*RUN, "--detach", "--name=x", image, "sh", "-c", script)
    journal.end()
    fresh("exec", "x", "touch", "/go")
    assert fresh("wait", "x").stdout == "4\n"
    assert "cannot log to the journal" in fresh("start", "x", status=125).stderr
