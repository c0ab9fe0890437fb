"""The steps that make a layer: RUN, COPY and ADD, WORKDIR.

    prepare    what files the step takes, as far as its cache key is concerned
    starter    makes the step, in a process of its own that ends with the layer in the store

A step works in tmp/build.RANDOM/NUMBER of the data directory, which is gone with the build.
"""

from __future__ import annotations

import os
import time

from daemonless import jsonio
from daemonless import syscalls as sc
from daemonless.build.copying import copy_into
from daemonless.build.digests import digest_selection
from daemonless.build.index import ContentIndex
from daemonless.build.origins import Origin
from daemonless.build.publishing import Publisher, Times
from daemonless.build.runjob import Layers, RunJob, RunSettings
from daemonless.build.running import run
from daemonless.build.selection import select
from daemonless.build.sources import Sources
from daemonless.build.trees import Tree
from daemonless.build.viewing import mount_layers, mount_writable
from daemonless.config import Paths
from daemonless.dockerfile.steps import CopyWork, RunMount, RunWork, Step, WorkdirWork
from daemonless.errors import DaemonlessError, printable
from daemonless.files import open_in_root
from daemonless.images.buildcache import StepLayer, layer_from_json, layer_to_json
from daemonless.isolation import identity
from daemonless.isolation.mounts import make_directories
from daemonless.isolation.task import Task, die_with, fork_plain, mapped
from daemonless.isolation.userns import IdMap
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


class Prepared(Record):
    """A step whose sources are at hand."""

    content: str  # stands for them in the cache key
    origins: Mapping[str, Origin]  # by what --from or from= says


class Made(Record):
    """What a step gave."""

    layer: StepLayer
    warnings: tuple[str, ...]

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Made:
        """Read what the step's process sent."""
        return cls(layer=layer_from_json(data["layer"]), warnings=tuple(data["warnings"]))


class Steps:
    """How the steps of one build are made."""

    def __init__(
        self,
        paths: Paths,
        id_map: IdMap,
        *,
        directory: str,
        publisher: Publisher,
        sources: Sources,
        settings: RunSettings,
        times: Times | None,
    ) -> None:
        """`directory` is the build's own, below tmp/ of the data directory."""
        self._paths = paths
        self._id_map = id_map
        self._directory = directory
        self._publisher = publisher
        self._sources = sources
        self._settings = settings
        self._times = times
        self._count = 0

    @property
    def settings_key(self) -> str:
        """What of the options the result of a RUN depends on."""
        request = self._settings.request
        return jsonio.dumps([request.network.mode, request.add_host, request.cap_add, request.cap_drop])

    def prepare(self, step: Step, origins: Mapping[str, Origin]) -> Prepared:
        """Find out what files a step takes. Raises NotFound for those that are not there."""
        work = step.work
        content = ""
        if isinstance(work, CopyWork):
            origin = origins.get(work.from_)
            if origin is not None and origin.context is not None:
                content = self._digest(work, self._sources.tree(origin.context))
            elif origin is not None:
                content = origin.identity
        elif isinstance(work, RunWork):
            binds = (mount for mount in work.mounts if mount.type == "bind")
            content = " ".join(self._content_of_bind(mount, origins[mount.from_]) for mount in binds)
        return Prepared(content=content, origins=origins)

    def _content_of_bind(self, mount: RunMount, origin: Origin) -> str:
        if origin.context is None:
            return origin.identity
        everything = CopyWork(is_add=False, sources=(mount.source or "/",), destination="/")
        return self._digest(everything, self._sources.tree(origin.context))

    def _digest(self, work: CopyWork, tree: Tree) -> str:
        return digest_selection(select(tree, work), work, self._sources.index(tree))

    def reader(self, step: Step, prepared: Prepared) -> Callable[[int], Task] | None:
        """Return what finds out the content of the files a step takes from layers; None if it takes none."""
        work = step.work
        origin = prepared.origins.get(work.from_) if isinstance(work, CopyWork) else None
        if not isinstance(work, CopyWork) or origin is None or origin.context is not None:
            return None
        target = self._new_directory()
        caller = os.getpid()

        def read() -> str:
            die_with(caller)
            sc.mount(None, b"/", None, sc.MS_REC | sc.MS_PRIVATE)
            tree = _layers_tree(work, origin, target)
            return digest_selection(select(tree, work), work, ContentIndex())

        def start(output: int) -> Task:
            os.mkdir(target, 0o700)
            return mapped(read, self._id_map, sc.CLONE_NEWNS)

        return start

    def _new_directory(self) -> str:
        self._count += 1
        return f"{self._directory}/{self._count}"

    def starter(
        self, step: Step, prepared: Prepared, lowers: tuple[str, ...], config: dict[str, Any]
    ) -> Callable[[int], Task]:
        """Return what starts the step's process, given where its command prints.

        `config` is the config document the step works with. The process returns a Made as JSON; a
        command that fails is a DaemonlessError with its exit status.
        """
        directory = self._new_directory()

        def start(output: int) -> Task:
            def work() -> dict[str, Any]:
                os.mkdir(directory, 0o700)
                layer, warnings = self._make(step, prepared, lowers, config, directory, output)
                return {"layer": layer_to_json(layer), "warnings": warnings}

            return Task(work, fork_plain)

        return start

    def _make(
        self,
        step: Step,
        prepared: Prepared,
        lowers: tuple[str, ...],
        config: dict[str, Any],
        directory: str,
        output: int,
    ) -> tuple[StepLayer, list[str]]:
        work = step.work
        if isinstance(work, RunWork):
            self._run(work, lowers, config, directory, output)
            return self._publisher.publish(directory, lowers, self._times)
        independent = isinstance(work, CopyWork) and work.link
        below = () if independent else lowers
        make_places(directory, below)
        if isinstance(work, CopyWork):
            fill = self._copier(work, prepared, below, directory)
        else:
            assert isinstance(work, WorkdirWork)
            fill = _directory_maker(work, below, config, directory)
        return self._publisher.publish(directory, below, self._times_of(work), fill)

    def _now(self) -> int:
        """Return the time, in ns, of what has none of its own."""
        return self._times.epoch * 10**9 if self._times else time.time_ns()

    def _times_of(self, work: object) -> Times | None:
        """Return the times of a step's files; those of a context are an accident of its making."""
        if self._times and isinstance(work, CopyWork):
            return self._times.replace(all=True)
        return self._times

    def _run(
        self, work: RunWork, lowers: tuple[str, ...], config: dict[str, Any], directory: str, output: int
    ) -> None:
        status = run(
            RunJob(
                paths=self._paths,
                id_map=self._id_map,
                work=work,
                config=config,
                layers=Layers(lowers=lowers),
                directory=directory,
                settings=self._settings,
                stdout=output,
                stderr=output,
            )
        )
        if status:
            raise DaemonlessError(f"the command failed with exit status {status}", exit_status=status)

    def _copier(
        self, work: CopyWork, prepared: Prepared, lowers: tuple[str, ...], directory: str
    ) -> Callable[[], list[str]]:
        origin = prepared.origins.get(work.from_)

        def fill() -> list[str]:
            root_fd = mount_writable(lowers, directory)
            if origin is None:
                tree = Tree(fd=root_fd)  # here-documents only
            elif origin.context is not None:
                tree = self._sources.tree(origin.context)
            else:
                os.mkdir(f"{directory}/source")
                tree = _layers_tree(work, origin, f"{directory}/source")
            copied = copy_into(
                root_fd, select(tree, work), work, now_ns=self._now(), single_id=self._id_map.is_single
            )
            return [*copied.warnings]

        return fill


def _layers_tree(work: CopyWork, origin: Origin, target: str) -> Tree:
    """Return the files of a stage or an image, mounted on an empty directory if they have to be."""
    fd = mount_layers(origin.lowers, target)
    if fd < 0:  # of scratch
        fd = os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return Tree(fd=fd, owners=True, name=f"--from={printable(work.from_)}")


def make_places(directory: str, lowers: tuple[str, ...]) -> None:
    """Make what an overlay over `lowers` needs; its top has the mode of the image's `/`."""
    for name in ("upper", "work", "rootfs"):
        os.mkdir(f"{directory}/{name}", 0o755)
    mode = os.stat(lowers[0]).st_mode & 0o7777 if lowers else 0o755
    os.chmod(f"{directory}/upper", mode)


def _directory_maker(
    work: WorkdirWork, lowers: tuple[str, ...], config: dict[str, Any], directory: str
) -> Callable[[], list[str]]:
    """Return what makes a working directory that is missing, for the image's user."""

    def fill() -> list[str]:
        root_fd = mount_writable(lowers, directory)
        path = os.fsencode(work.path)
        missing = []
        while path.strip(b"/") and not _is_there(root_fd, path):
            missing.append(path)
            path = path.rstrip(b"/").rpartition(b"/")[0]
        try:
            os.close(make_directories(root_fd, os.fsencode(work.path)))
        except NotADirectoryError:
            raise DaemonlessError(f"{printable(work.path)} is not a directory") from None
        user = config["config"].get("User") or ""
        if missing and user:
            who = identity.resolve(root_fd, user, ())
            for made in missing:
                fd = open_in_root(root_fd, made, os.O_RDONLY | os.O_DIRECTORY)
                os.fchown(fd, who.uid, who.gid)
                os.close(fd)
        return []

    return fill


def _is_there(root_fd: int, path: bytes) -> bool:
    try:
        os.close(open_in_root(root_fd, path, os.O_PATH))
    except FileNotFoundError:
        return False
    return True
