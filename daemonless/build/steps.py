"""The steps that make a layer, as far as the build's own process is concerned with them.

prepare    finds out what files the step takes, for the key of the cache
reader     reads the files that it takes from layers, for a second key; in a process of its own
starter    makes it; as well (`daemonless.build.making`)
"""

from __future__ import annotations

import os

from daemonless import syscalls as sc
from daemonless.build.cachemounts import cache_id
from daemonless.build.digests import digest_selection
from daemonless.build.index import ContentIndex
from daemonless.build.origins import Origin
from daemonless.build.request import Times
from daemonless.build.runjob import RunSettings
from daemonless.build.scheduling import Job
from daemonless.build.selection import Selection, select, select_path
from daemonless.build.sources import Sources
from daemonless.build.trees import Tree
from daemonless.build.viewing import layers_tree
from daemonless.config import Paths
from daemonless.dockerfile.steps import CopyWork, RunMount, RunWork, Step
from daemonless.images.buildcache import StepLayer, layer_from_json, layer_to_json
from daemonless.images.leases import Lease
from daemonless.isolation.task import Task, fork_plain, mapped
from daemonless.isolation.userns import IdMap
from daemonless.layers.store import LayerStore
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from typing import Any


class Prepared(Record):
    """A step whose sources are at hand."""

    content: str  # stands for them in the cache key
    origins: Mapping[str, Origin]  # by what --from or from= says
    selection: Selection | None  # what of a context is copied, as it was when `content` was found out


class Made(Record):
    """What a step gave."""

    layer: StepLayer
    warnings: tuple[str, ...]
    changed: tuple[str, ...]  # files that are not what the cache's key says of them

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Made:
        """Read what the step's process sent."""
        return cls(
            layer=layer_from_json(data["layer"]),
            warnings=tuple(data["warnings"]),
            changed=tuple(data["changed"]),
        )


class Steps:
    """How the steps of one build are made."""

    def __init__(
        self,
        paths: Paths,
        id_map: IdMap,
        *,
        directory: str,
        lease: Lease,
        sources: Sources,
        settings: RunSettings,
        times: Times | None,
    ) -> None:
        """`directory` is the build's own, below tmp/ of the data directory."""
        self._paths = paths
        self._id_map = id_map
        self._directory = directory
        self._lease = lease
        self._sources = sources
        self.settings = settings
        self._times = times
        self._count = 0

    def cache_mounts(self, step: Step) -> list[str]:
        """Return the ids of a step's cache mounts, as CacheStore has them."""
        if not isinstance(step.work, RunWork):
            return []
        caches = (mount for mount in step.work.mounts if mount.type == "cache")
        return [cache_id(mount, self.settings.cache_namespace) for mount in caches]

    def prepare(
        self, step: Step, origins: Mapping[str, Origin], printed: Callable[[bytes], None]
    ) -> Generator[Job, Any, Prepared]:
        """Find out what files a step takes; what is elsewhere is fetched by jobs, which print to `printed`.

        Raises NotFound for those that are not there, and what fetching raises.
        """
        work = step.work
        content = ""
        selection: Selection | None = None
        if isinstance(work, CopyWork):
            fetched: dict[str, Tree] = {}
            if work.checksum or any(":" in source for source in work.sources):
                fetched = yield from self._fetch(work, printed)
            origin = origins.get(work.from_)
            if origin is not None and origin.context is not None:
                tree = self._sources.tree(origin.context)
                selection = select(tree, work, fetched)
                content = digest_selection(selection, work, self._sources.index(tree))
            elif origin is not None:
                content = origin.identity
        elif isinstance(work, RunWork):
            taken = (mount for mount in work.mounts if mount.has_origin)
            content = " ".join(self._content_of_mount(mount, origins[mount.from_]) for mount in taken)
        return Prepared(content=content, origins=origins, selection=selection)

    def _fetch(
        self, work: CopyWork, printed: Callable[[bytes], None]
    ) -> Generator[Job, Any, dict[str, Tree]]:
        from daemonless.build import fetching  # noqa: PLC0415 - HTTP: 100 ms that few builds need

        found = {}
        for source in fetching.remote_sources(work):
            directory = self.new_directory()

            def start(_: int, source: str = source, directory: str = directory) -> Task:
                return Task(
                    lambda: fetching.fetch_into(source, work, directory, self.settings.secrets), fork_plain
                )

            told = yield Job(start=start, output=printed)
            found[source] = fetching.reopen(source, directory, told)
        return found

    def _content_of_mount(self, mount: RunMount, origin: Origin) -> str:
        if origin.context is None:
            return origin.identity
        everything = CopyWork(is_add=False, destination="/")
        tree = self._sources.tree(origin.context)
        return digest_selection(select_path(tree, mount.source), everything, self._sources.index(tree))

    def reader(self, step: Step, prepared: Prepared) -> Callable[[int], Task] | None:
        """Return what finds out the content of the files a step takes from layers; None if it takes none."""
        work = step.work
        origin = prepared.origins.get(work.from_) if isinstance(work, CopyWork) else None
        if not isinstance(work, CopyWork) or origin is None or origin.context is not None:
            return None
        target = self.new_directory()

        def read() -> str:
            sc.mount(None, b"/", None, sc.MS_REC | sc.MS_PRIVATE)
            tree = layers_tree(work.from_, origin.lowers, target)
            return digest_selection(select(tree, work), work, ContentIndex())

        def start(output: int) -> Task:
            os.mkdir(target, 0o700)
            return mapped(read, self._id_map, sc.CLONE_NEWNS)

        return start

    def new_directory(self) -> str:
        """Return the path of a directory for one step, which is not there yet."""
        self._count += 1
        return f"{self._directory}/{self._count}"

    def starter(
        self,
        step: Step,
        prepared: Prepared,
        lowers: tuple[str, ...],
        config: dict[str, Any],
        directory: str,
    ) -> Callable[[int], Task]:
        """Return what starts the step's process, given where its command prints.

        `config` is the config document the step works with, `directory` one of `new_directory`. The
        process returns a Made as JSON; a command that fails is a DaemonlessError with its exit status.
        """
        from daemonless.build import making  # noqa: PLC0415 - a build that makes nothing saves 40 ms

        workshop = making.Workshop(
            self._paths, self._id_map, self._lease, self._sources, self.settings, self._times
        )
        order = making.Order(
            step=step,
            origins=prepared.origins,
            selection=prepared.selection,
            lowers=lowers,
            config=config,
            directory=directory,
        )
        return lambda output: workshop.start(order, output)

    def merger(self, below: list[StepLayer], layers: list[StepLayer]) -> Callable[[], dict[str, Any]]:
        """Return what makes one layer of several, to lie on those `below`; it returns a Made as JSON."""
        unpacked = LayerStore(self._paths.data, self._id_map.key)
        lowers = tuple(unpacked.path(layer.diff_id) for layer in reversed(below))
        merged = [unpacked.path(layer.diff_id) for layer in layers]
        directory = self.new_directory()

        def work() -> dict[str, Any]:
            from daemonless.build.merging import merge  # noqa: PLC0415 - few builds do
            from daemonless.build.publishing import Publisher  # noqa: PLC0415 - as above

            publisher = Publisher(self._paths, self._id_map, self._lease)
            layer, filled = merge(publisher, directory, lowers, merged, self._times)
            return {"layer": layer_to_json(layer), "warnings": filled.warnings, "changed": ()}

        return work

    def keep(
        self,
        work: RunWork,
        config: dict[str, Any],
        layers: list[StepLayer],
        directory: str,
        warn: Callable[[str], None],
    ) -> str:
        """Make a container of what a command that failed has left in `directory`; return its name.

        That is empty if the step has not come that far, or runs on nothing. Raises as `keeping.keep`.
        """
        from daemonless.build import keeping  # noqa: PLC0415 - for what fails only

        upper = f"{directory}/upper"
        if not layers or not os.path.isdir(upper):
            return ""
        return keeping.keep(
            self._paths,
            self._id_map,
            self._lease,
            work=work,
            config=config,
            layers=layers,
            base=self.settings.request,
            upper=upper,
            warn=warn,
        )
