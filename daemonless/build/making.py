"""What the process of one step does: RUN, COPY and ADD, WORKDIR, and then the layer.

A step works in tmp/build.RANDOM/NUMBER of the data directory, which is gone with the build.
"""

from __future__ import annotations

import os
import time

from daemonless.build.copying import copy_into
from daemonless.build.origins import Origin
from daemonless.build.owners import resolve_owner
from daemonless.build.publishing import Filled, Publisher
from daemonless.build.request import Times
from daemonless.build.runjob import Directory, Layers, RunJob, RunSettings
from daemonless.build.running import run
from daemonless.build.selection import Selection, select
from daemonless.build.sources import Sources
from daemonless.build.trees import Tree
from daemonless.build.viewing import layers_tree, mount_layers, mount_writable
from daemonless.config import Paths
from daemonless.dockerfile.steps import CopyWork, RunWork, Step, WorkdirWork
from daemonless.errors import DaemonlessError, printable
from daemonless.files import open_in_root
from daemonless.images.buildcache import StepLayer, layer_to_json
from daemonless.images.leases import Lease
from daemonless.isolation.mounts import make_directories
from daemonless.isolation.task import Task, fork_plain
from daemonless.isolation.userns import IdMap
from daemonless.isolation.volumes import own
from daemonless.layers.spreading import spread
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


class Order(Record):
    """One step, and what it is to be made of."""

    step: Step
    origins: Mapping[str, Origin]  # by what --from or from= says
    selection: Selection | None  # of a context: what the key of the cache is about
    lowers: tuple[str, ...]  # directories of the layers below, from the top
    config: dict[str, Any]  # the config document: user, working directory, architecture
    directory: str  # of the step's own, not there yet


class Workshop:
    """Makes the steps of one build."""

    def __init__(
        self,
        paths: Paths,
        id_map: IdMap,
        lease: Lease,
        sources: Sources,
        settings: RunSettings,
        times: Times | None,
    ) -> None:
        self._paths = paths
        self._id_map = id_map
        self._sources = sources
        self._settings = settings
        self._times = times
        self._publisher = Publisher(paths, id_map, lease)

    def start(self, order: Order, output: int) -> Task:
        """Start the step's process, whose command prints to `output`; it returns a Made as JSON."""

        def work() -> dict[str, Any]:
            os.umask(0o022)  # the caller's is no part of an image
            os.mkdir(order.directory, 0o700)
            layer, filled = self._make(order, output)
            return {
                "layer": layer_to_json(layer),
                "warnings": filled.warnings,
                "changed": filled.changed,
            }

        return Task(work, fork_plain)

    def _make(self, order: Order, output: int) -> tuple[StepLayer, Filled]:
        work, directory, lowers = order.step.work, order.directory, order.lowers
        if isinstance(work, RunWork):
            self._run(work, order, output)
            return self._publisher.publish(directory, lowers, self._times)
        if isinstance(work, CopyWork) and work.link:
            lowers = ()
        make_places(directory, lowers)
        if isinstance(work, CopyWork):
            fill = self._copier(work, order, lowers)
        else:
            assert isinstance(work, WorkdirWork)
            user = "" if self._id_map.is_single else order.config["config"].get("User") or ""
            fill = _directory_maker(work, lowers, user, directory)
        return self._publisher.publish(directory, lowers, self._times_of(work), fill)

    def _now(self) -> int:
        """Return the time, in ns, of what has none of its own."""
        return self._times.epoch * 10**9 if self._times else time.time_ns()

    def _times_of(self, work: object) -> Times | None:
        """Return the times of a step's files; those of a context are an accident of its making."""
        if self._times and isinstance(work, CopyWork):
            return self._times.replace(all=True)
        return self._times

    def _run(self, work: RunWork, order: Order, output: int) -> None:
        status = run(
            RunJob(
                paths=self._paths,
                id_map=self._id_map,
                work=work,
                config=order.config,
                layers=Layers(lowers=order.lowers),
                directory=order.directory,
                trees={name: self._tree(origin) for name, origin in order.origins.items()},
                settings=self._settings,
                stdout=output,
                stderr=output,
            )
        )
        if status:
            raise DaemonlessError(
                f"the command failed with exit status {status}",
                "to look at what it left, build with: --on-error keep",
                exit_status=status,
            )

    def _tree(self, origin: Origin) -> Layers | Directory:
        """Return what a mount of RUN takes from an origin."""
        if origin.context is None:
            return Layers(lowers=origin.lowers)
        tree = self._sources.tree(origin.context)
        return Directory(path=self._sources.path(origin.context), ignore=tree.ignore)

    def _copier(self, work: CopyWork, order: Order, lowers: tuple[str, ...]) -> Callable[[], Filled]:
        """Return what copies into the upper directory above `lowers`, none of them for --link."""
        directory = order.directory
        origin = order.origins.get(work.from_)

        def fill() -> Filled:
            root_fd = mount_writable(lowers, directory)
            names_fd = root_fd
            if order.lowers and not lowers:
                os.mkdir(f"{directory}/names")
                names_fd = mount_layers(order.lowers, f"{directory}/names")
            selection = order.selection
            if origin is None:
                selection = select(Tree(fd=root_fd), work)  # here-documents only
            elif selection is None:
                os.mkdir(f"{directory}/source")
                tree = layers_tree(work.from_, origin.lowers, f"{directory}/source")
                selection = select(tree, work)
            copied = copy_into(
                *(root_fd, selection, work),
                now_ns=self._now(),
                single_id=self._id_map.is_single,
                names_fd=names_fd,
            )
            return Filled(warnings=copied.warnings, changed=copied.changed)

        return fill


def make_places(directory: str, lowers: tuple[str, ...]) -> None:
    """Make what an overlay over `lowers` needs; its top has the mode of the image's `/`."""
    for name in ("upper", "work", "rootfs"):
        os.mkdir(f"{directory}/{name}", 0o755)
    mode = os.stat(lowers[0]).st_mode & 0o7777 if lowers else 0o755
    os.chmod(f"{directory}/upper", mode)
    upper = os.open(f"{directory}/upper", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    spread(upper)
    os.close(upper)


def _directory_maker(
    work: WorkdirWork, lowers: tuple[str, ...], user: str, directory: str
) -> Callable[[], Filled]:
    """Return what makes a working directory that is missing, for a user if there is one."""

    def fill() -> Filled:
        root_fd = mount_writable(lowers, directory)
        try:
            made = _make_missing(root_fd, os.fsencode(work.path))
        except OSError as error:
            raise DaemonlessError(
                f"cannot make the directory {printable(work.path, 60)}: {error.strerror}"
            ) from None
        if made and user:
            uid, gid = resolve_owner(root_fd, user)
            for path in made:
                fd = open_in_root(root_fd, path, os.O_RDONLY | os.O_DIRECTORY)
                own(fd, uid, gid)
                os.close(fd)
        return Filled()

    return fill


def _make_missing(root_fd: int, path: bytes) -> list[bytes]:
    """Make a directory and those above it; return the paths of the ones that were not there."""
    missing = []
    above = path
    while above.strip(b"/") and not _is_there(root_fd, above):
        missing.append(above)
        above = above.rstrip(b"/").rpartition(b"/")[0]
    os.close(make_directories(root_fd, path))
    return missing


def _is_there(root_fd: int, path: bytes) -> bool:
    try:
        os.close(open_in_root(root_fd, path, os.O_PATH))
    except FileNotFoundError:
        return False
    return True
