"""Real RUN steps of the calling user, on a layer made of this machine's busybox."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daemonless.build.runjob import Layers, RunJob, RunSettings
from daemonless.build.running import run
from daemonless.config import Paths
from daemonless.containers.request import Network, RunRequest
from daemonless.dockerfile.steps import RunWork
from daemonless.errors import DaemonlessError
from daemonless.isolation.task import mapped
from daemonless.isolation.userns import IdMap, load_id_map
from daemonless.layers.walk import OPEN_DIRECTORY, walk

OFFLINE = RunRequest(image="", network=Network(mode="none"))


def ids() -> IdMap:
    return load_id_map(os.getuid(), os.getgid())


def as_root(work: Callable[[], Any]) -> Any:
    """Return what `work` returns as root of the user namespace: a JSON value."""
    with mapped(work, ids()) as task:
        return task.wait()


def tree(directory: str) -> dict[str, str]:
    """Return all that is in a directory of container files: mode and owner, content or target."""

    def look() -> dict[str, str]:
        found = {}

        def visit(dir_fd: int, name: bytes, path: bytes) -> int:
            status = os.lstat(name, dir_fd=dir_fd)
            text = f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}"
            fd = -1
            if stat.S_ISDIR(status.st_mode):
                fd = os.open(name, OPEN_DIRECTORY, dir_fd=dir_fd)
            elif stat.S_ISREG(status.st_mode):
                with open(os.open(name, os.O_RDONLY, dir_fd=dir_fd), "rb") as file:
                    text += " " + file.read(200).decode("utf-8", "replace")
            elif stat.S_ISLNK(status.st_mode):
                text += " " + os.readlink(os.fsdecode(name), dir_fd=dir_fd)
            found[os.fsdecode(path)] = text
            return fd

        walk(os.open(directory, OPEN_DIRECTORY), visit)
        return found

    return as_root(look)


class Ran:
    """What came of a step."""

    def __init__(self, status: int, directory: str, out: str, err: str) -> None:
        self.status, self.directory, self.out, self.err = status, directory, out, err

    @property
    def upper(self) -> str:
        return f"{self.directory}/upper"

    @property
    def changes(self) -> dict[str, str]:
        return tree(self.upper)


class Builder:
    """Runs steps one after the other, each in a directory of its own."""

    def __init__(self, scratch: Path, paths: Paths, base: str) -> None:
        self.scratch, self.paths, self.base = scratch, paths, base
        self.count = 0

    def job(self, script: str = "true", **changes: Any) -> RunJob:
        self.count += 1
        directory = self.scratch / f"step{self.count}"
        directory.mkdir(mode=0o700)
        work = {name: changes.pop(name) for name in list(changes) if name in RunWork.__fields__}
        work.setdefault("args", ("/bin/sh", "-c", script))
        settings = {name: changes.pop(name) for name in list(changes) if name in RunSettings.__fields__}
        settings.setdefault("request", OFFLINE)
        below = changes.pop("on", ())
        return RunJob(
            paths=self.paths,
            id_map=changes.pop("id_map", ids()),
            work=RunWork(**work),
            config=changes.pop("config", {}),
            layers=changes.pop("layers", Layers(lowers=(*(each.upper for each in below), self.base))),
            directory=str(directory),
            settings=RunSettings(**settings),
            **changes,
        )

    def layer(self, make: Callable[[str], None]) -> Ran:
        """Return a layer whose directory `make` has filled as root of the user namespace."""
        self.count += 1
        ran = Ran(0, f"{self.scratch}/step{self.count}", "", "")
        os.makedirs(ran.upper, 0o755)
        as_root(lambda: make(ran.upper))
        return ran

    def __call__(self, script: str = "true", **changes: Any) -> Ran:
        job = self.job(script, **changes)
        outputs = [os.open(f"{job.directory}/{name}", os.O_RDWR | os.O_CREAT) for name in ("out", "err")]
        try:
            status = run(job.replace(stdout=outputs[0], stderr=outputs[1]))
        finally:
            for fd in outputs:
                os.close(fd)
        out, err = (Path(job.directory, name).read_text() for name in ("out", "err"))
        return Ran(status, job.directory, out, err)


def in_background(job: RunJob) -> tuple[int, int]:
    """Run a step in a process of its own; return its pid and what its output is read from."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            status = run(job.replace(stdout=write_end, stderr=write_end))
        except DaemonlessError as error:
            os.write(write_end, error.message.encode())
        finally:
            os._exit(status)
    os.close(write_end)
    return pid, read_end


def finish(process: tuple[int, int]) -> tuple[int, str]:
    pid, fd = process
    with open(fd) as output:
        text = output.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
