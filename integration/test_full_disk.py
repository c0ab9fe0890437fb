"""A disk without space or inodes, and one that cannot be written: what needs no room works.

The disk is a small tmpfs in a mount namespace of the user's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import make_cli
from harness import Result, kill_all
from lanes import Namespace, note

QUICK = ("--network=none",)


class Disk:
    """A small file system with a store on it, that can be filled and made read-only."""

    def __init__(self, directory: Path, options: str) -> None:
        self.directory = directory
        place = directory / "disk"
        place.mkdir()
        self.namespace = Namespace(directory, f"mount -t tmpfs -o {options},mode=700 none {place}")
        # what lies in a mount of another namespace is reached through a process that is in it
        self.place = Path(f"/proc/{self.namespace.process.pid}/root{place}")
        self.cli = make_cli(directory)
        self.cli.program = self.namespace.enter(self.cli.program, directory / "daemonless")
        self.cli.root = place / "root"

    def fill(self) -> None:
        """Leave no block and no inode free."""
        with open(self.place / "filler", "wb", buffering=0) as file:
            for size in (1 << 20, 4096):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    pass
        try:
            for number in range(100_000):
                (self.place / f"filler.{number}").touch()
        except OSError:
            pass

    def empty(self) -> None:
        for path in self.place.glob("filler*"):
            path.unlink()

    def forbid_writing(self) -> None:
        """Mount it once more, read-only, for all commands to come; what runs has files open for writing."""
        place = self.directory / "disk"
        self.namespace.run(f"mount --bind {place} {place}; mount -o remount,bind,ro {place}")

    def allow_writing(self) -> None:
        self.namespace.run(f"umount {self.directory}/disk")

    def close(self) -> None:
        self.namespace.close()


@pytest.fixture(params=["size=96m", "size=96m,nr_inodes=400"], ids=["space", "inodes"])
def disk(request: pytest.FixtureRequest, scratch: Path, tmp_path: Path, image: str) -> Iterator[Disk]:
    made = Disk(tmp_path, request.param)
    try:
        yield made
    finally:
        kill_all()
        made.close()


def in_order(result: Result) -> Result:
    """Fail unless a command succeeded, or failed with one line that says why."""
    assert "internal error" not in result.stderr, result
    if result.status:
        assert result.stderr.count("Error:") == 1, result
        assert "o space left" in result.stderr or "Read-only" in result.stderr, result
    return result


def test_a_full_disk(disk: Disk, image: str) -> None:
    cli = disk.cli
    cli("create", *QUICK, "--name", "created", image, "true")
    cli("run", *QUICK, "--name", "exited", image, "sh", "-c", "echo said; exit 3", status=3)
    cli("run", "-d", *QUICK, "--name", "running", image, "sleep", "1000")
    cli("run", "-d", "--rm", *QUICK, "--name", "going", image, "sleep", "1000")
    cli("run", "-d", *QUICK, "--name", "talking", image, "sh", "-c", "while :; do echo x; sleep 0.01; done")
    disk.fill()
    # reads need no room
    assert len(cli("ps", "-a").lines) == 6
    assert '"exited"' in cli("inspect", "exited").stdout
    assert cli("logs", "exited").stdout == "said\n"
    assert cli("exec", "running", "echo", "in").stdout == "in\n"
    cli("images")
    # what needs room says so, and leaves all as it was
    for words in (
        *(("create", *QUICK, "--name", "new", image, "true"), ("run", "--rm", *QUICK, image, "true")),
        *(("tag", image, "other"), ("rename", "exited", "renamed"), ("volume", "create", "v")),
    ):
        result = in_order(cli(*words, status=None))
        assert result.status == 125, result
        note(words[0], "full disk", f"status {result.status}")
    # starting needs none: the run directory is elsewhere
    in_order(cli("start", "created", status=None))
    # ends need none either
    for words in (("stop", "-t", "0", "running"), ("kill", "going"), ("wait", "running"), ("rm", "running")):
        cli(*words)
        note(words[0], "full disk", "status 0")
    cli("rm", "-f", "-t", "0", "talking")
    cli("container", "prune", "-f")
    assert cli.ids() == []
    disk.empty()
    assert cli("run", "--rm", *QUICK, image, "echo", "again").stdout == "again\n"
    assert cli.leftovers() == []


def test_a_container_that_fills_the_disk(disk: Disk, image: str) -> None:
    """Its own output, and its own files: it fails, its end is recorded, and it can be removed."""
    script = "dd if=/dev/zero of=/big bs=1M; yes | head -c 40000000; exit 7"
    disk.cli("run", *QUICK, "--name", "big", image, "sh", "-c", script, status=7)
    assert disk.cli.inspect("big", "{{.State.ExitCode}}") == "7"
    disk.cli("rm", "big")
    assert disk.cli("run", "--rm", *QUICK, image, "echo", "again").stdout == "again\n"
    assert disk.cli.leftovers() == []


def test_a_pull_onto_a_full_disk(disk: Disk, image: str) -> None:
    disk.cli("ps")
    disk.fill()
    result = in_order(disk.cli("run", "--rm", *QUICK, image, "true", status=None))
    assert result.status == 125
    disk.empty()
    assert disk.cli("run", "--rm", *QUICK, image, "echo", "again").stdout == "again\n"
    assert disk.cli.leftovers() == []


def test_a_build_onto_a_full_disk(disk: Disk, image: str, tmp_path: Path) -> None:
    """It fails in one line, and the images of before, and what of the build was made, are there."""
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(f"FROM {image}\nRUN echo 1 > /1\n")
    old = disk.cli("build", "--quiet", "--tag", "old", str(context)).stdout
    (context / "Dockerfile").write_text(f"FROM {image}\nRUN echo 1 > /1\nRUN echo 2 > /2\nENV A=1\n")
    disk.fill()
    result = in_order(disk.cli("build", "--quiet", "--tag", "old", str(context), status=None))
    assert result.status == 125
    note("build", "full disk", f"status {result.status}")
    assert disk.cli.inspect("old", "{{.Id}}") == old.strip()
    disk.empty()
    fills = "RUN dd if=/dev/zero of=/big bs=1M; rm -f /big; exit 3\n"
    (context / "Dockerfile").write_text(f"FROM {image}\nRUN echo 1 > /1\n{fills}")
    disk.cli("build", "--quiet", str(context), status=3)
    (context / "Dockerfile").write_text(f"FROM {image}\nRUN echo 1 > /1\nRUN echo 2 > /2\n")
    disk.cli("build", "--quiet", "--tag", "new", str(context))
    assert disk.cli("run", "--rm", *QUICK, "new", "cat", "/1", "/2").stdout == "1\n2\n"
    assert disk.cli("run", "--rm", *QUICK, "old", "cat", "/1").stdout == "1\n"
    disk.cli("rmi", "old", "new")
    assert not list((disk.place / "root/tmp").iterdir())


def test_a_disk_that_cannot_be_written(disk: Disk, image: str) -> None:
    cli = disk.cli
    cli("run", *QUICK, "--name", "exited", image, "sh", "-c", "echo said; exit 3", status=3)
    cli("run", "-d", *QUICK, "--name", "running", image, "sleep", "1000")
    disk.forbid_writing()
    assert len(cli("ps", "-a").lines) == 3
    assert '"exited"' in cli("inspect", "exited").stdout
    assert cli("logs", "exited").stdout == "said\n"
    assert cli("exec", "running", "echo", "in").stdout == "in\n"
    cli("images")
    for words in (
        *(("create", *QUICK, "--name", "new", image, "true"), ("run", "--rm", *QUICK, image, "true")),
        *(("start", "exited"), ("rename", "exited", "renamed"), ("rm", "exited")),
        *(("tag", image, "other"), ("volume", "create", "v")),
    ):
        result = in_order(cli(*words, status=None))
        assert result.status in (1, 125), result
        note(words[0], "read-only disk", f"status {result.status}")
    disk.allow_writing()
    cli("rm", "-f", "-t", "0", "--all")
    assert cli.leftovers() == []
