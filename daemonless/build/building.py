"""A build: stages planned, steps looked up in the cache or made, and an image of the last of them."""

from __future__ import annotations

from hashlib import sha256

from daemonless import clock, jsonio
from daemonless.build.chores import perform
from daemonless.build.finishing import Finished, finish
from daemonless.build.keys import Keys
from daemonless.build.lookup import Offer, StepCache
from daemonless.build.origins import Origin
from daemonless.build.planning import FROM, Plan, StageState, wanted_origins
from daemonless.build.request import BuildRequest
from daemonless.build.scheduling import Job, Scheduler
from daemonless.build.steps import Made, Steps
from daemonless.config import Paths
from daemonless.dockerfile.document import DockerfileError
from daemonless.dockerfile.steps import RunWork, Step
from daemonless.errors import DaemonlessError, printable
from daemonless.images.buildcache import CachedStep, StepLayer
from daemonless.images.cachelist import INLINE, inline_steps
from daemonless.images.formats import MAX_LAYERS
from daemonless.images.leases import Lease
from daemonless.images.store import Image
from daemonless.isolation.userns import IdMap
from daemonless.layers.store import LayerStore
from daemonless.oci.digest import Digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from daemonless.build.report import Report, TaskName


class Builder:
    """One build of one platform."""

    def __init__(
        self,
        paths: Paths,
        request: BuildRequest,
        plan: Plan,
        id_map: IdMap,
        *,
        lease: Lease,
        steps: Steps,
        cache: StepCache,
        report: Report,
    ) -> None:
        self._paths = paths
        self._request = request
        self._file = request.dockerfile
        self._plan = plan
        self._stages, self._target = plan.stages, plan.target
        self._id_map = id_map
        self._lease = lease
        self._steps = steps
        self._report = report
        self._cache = cache
        self._keys = Keys(
            str(request.platform), request.times, steps.settings, has_single_id=id_map.is_single
        )
        self._unpacked = LayerStore(paths.data, id_map.key)

    def build(self) -> Finished:
        """Run what was planned and return the image. Raises DockerfileError or OSError."""
        self.run()
        if self._request.squash:
            self._squash(self._stages[self._target])
        return self._finish()

    def run(self) -> None:
        """Make all layers of the stages that were planned."""
        scheduler = Scheduler(self._request.jobs, self._report.tick)
        scheduler.run({number: self._run(state) for number, state in self._stages.items()})

    def perform(self, title: str, work: Callable[[], list[str]]) -> None:
        """Do something with the result in a process of its own; the lines it returns are warnings."""
        for line in perform(self._report, self._plan.new_task(title), work):
            self._report.warn(line)

    def used(self, *, everything: bool) -> list[CachedStep]:
        """Return the steps, once they have run: of all stages, or of what the target consists of."""
        stages = list(self._stages)
        if not everything:
            stages = [self._target]
            while (base := self._stages[stages[-1]].base) is not None:
                stages.append(base)
        return self._cache.used(stages)

    def cache_mounts(self) -> set[str]:
        """Return the ids of the cache mounts of all stages."""
        steps = (step for state in self._stages.values() for step in state.evaluated.steps)
        return {identity for step in steps for identity in self._steps.cache_mounts(step)}

    @property
    def layers(self) -> list[StepLayer]:
        """The layers of the target, bottom first, once it has run."""
        return self._stages[self._target].layers

    @property
    def lowers(self) -> list[str]:
        """The directories of these layers, from the top."""
        return self._lowers(self._stages[self._target])

    # --- running ------------------------------------------------------------------------------

    def _run(self, state: StageState) -> Generator[Job | int, Any, None]:
        """Make the stage's layers, one step after the other."""
        yield from self._begin(state)
        for index, step in enumerate(state.evaluated.steps):
            task = state.tasks.get(index)
            for wanted in wanted_origins(step):
                origin = state.origins[wanted]
                if origin.stage is not None:
                    yield origin.stage
            if step.work is None or task is None:
                self._note(state, step)
                continue
            yield from self._make(state, step, task)

    def _begin(self, state: StageState) -> Generator[int, Any, None]:
        if state.base is not None:
            yield state.base
            base = self._stages[state.base]
            state.layers, state.history = list(base.layers), list(base.history)
            state.created, state.chain = base.created, base.chain
        elif state.image is not None:
            state.layers = layers_of(state.image, self._unpacked)
            state.history = list(state.image.config.get("history") or [])
            state.created = state.image.created
        if FROM in state.tasks:
            self._report.done(state.tasks[FROM])
        if len(state.layers) > MAX_LAYERS:
            raise self._too_many_layers(state.stage.first)

    def _make(self, state: StageState, step: Step, task: TaskName) -> Generator[Job | int, Any, None]:
        """Put the step's layer on top of the stage's."""
        if len(state.layers) >= MAX_LAYERS:
            raise self._too_many_layers(step.first)
        try:
            layer, created = yield from self._layer_of(state, step, task)
        except DaemonlessError as error:
            raise self._failed(task, step, error) from error
        state.layers.append(layer)
        state.created = created
        state.history.append(self._entry(step, created))

    def _layer_of(
        self, state: StageState, step: Step, task: TaskName
    ) -> Generator[Job | int, Any, tuple[StepLayer, str]]:
        """Find the step's layer in the cache, or have it made; return when that was, too.

        Files of another stage are known by that stage's layers first, which costs nothing, and only
        then by what is in them.
        """
        origins = {name: self._resolve(state.origins[name]) for name in wanted_origins(step)}
        prepared = yield from self._steps.prepare(
            step, origins, lambda data: self._report.printed(task, data)
        )
        keys = [self._keys.of_step(step, state.layers, prepared.content)]
        found = yield from self._known(state, keys[0], task)
        reader = self._steps.reader(step, prepared) if self._may_use_cache(state) else None
        if found is None and reader is not None:
            keys.append(self._keys.of_step(step, state.layers, (yield self._job(task, reader))))
            found = yield from self._known(state, keys[1], task)
        if found is not None:
            layer, created = found
            self._report.done(task, "CACHED")
        else:
            self._report.started(task)
            yield from self._bring_mounts(state, step, task)
            config = {**self._config(state), "config": step.config}
            directory = self._steps.new_directory()
            start = self._steps.starter(step, prepared, tuple(self._lowers(state)), config, directory)
            try:
                made = Made.from_json((yield self._job(task, start)))
            except DaemonlessError as error:
                self._keep(state, step.work, config, directory, error)
                raise
            for line in made.warnings:
                self._report.say(f"{task.title}: {line}")
            layer, created = made.layer, self._now()
            self._report.done(task)
            if made.changed:
                # Found again under this key, it would be given for files that it does not hold.
                more = f" and {len(made.changed) - 1} more" if made.changed[1:] else ""
                self._report.say(
                    f"{task.title}: {printable(made.changed[0])}{more} changed during the build; "
                    "the step is not kept in the cache"
                )
                keys = []
        for key in keys:
            self._cache.add(
                state.stage.index, CachedStep(key=key, text=step.text, created=created, layer=layer)
            )
        return layer, created

    def _known(
        self, state: StageState, key: str, task: TaskName
    ) -> Generator[Job, Any, tuple[StepLayer, str] | None]:
        """Return the layer that a step gave before, and when, once it is in the store; None if it is not."""
        found = self._cache.find(key) if self._may_use_cache(state) else None
        if isinstance(found, Offer):
            answer = yield self._job(task, self._cache.bringer(found))
            if "failure" in answer:
                self._report.say(f"{task.title}: not from the cache, {answer['failure']}")
            found = self._cache.brought(found, answer)
        if found is None or found.layer is None:
            return None
        return found.layer, found.created if self._request.epoch is None else self._now()

    def _bring_mounts(self, state: StageState, step: Step, task: TaskName) -> Generator[Job, Any, None]:
        """Fill the step's cache mounts from the caches that the build was given."""
        if self._may_use_cache(state):
            for start in self._cache.mount_bringers(self._steps.cache_mounts(step)):
                answer = yield self._job(task, start)
                if "failure" in answer:
                    self._report.say(f"{task.title}: a cache mount begins empty, {answer['failure']}")

    def _keep(
        self, state: StageState, work: object, config: dict[str, Any], directory: str, error: DaemonlessError
    ) -> None:
        """Keep what a command that failed has left, if that is wanted, and have the error tell where."""
        if not self._request.keep_failed or not isinstance(work, RunWork):
            return
        document = {"created": self._now(), **config, "history": state.history}
        try:
            name = self._steps.keep(work, document, state.layers, directory, self._report.warn)
        except (DaemonlessError, OSError) as problem:
            self._report.warn(f"nothing was kept of what the step has left: {problem}")
            return
        if name:
            error.hint = f"look at what it left: daemonless start -ai {name}"

    def _job(self, task: TaskName, start: Callable[[int], Any]) -> Job:
        return Job(start=start, output=lambda data: self._report.printed(task, data))

    def _note(self, state: StageState, step: Step) -> None:
        """Take a step into account that changes only the config; the cache remembers when it was made."""
        key = state.chain = self._keys.of_step(step, state.layers, chain=state.chain)
        cached = self._cache.find(key) if self._may_use_cache(state) else None
        created = self._now()
        if isinstance(cached, CachedStep) and self._request.epoch is None:
            created = cached.created
        self._cache.add(state.stage.index, CachedStep(key=key, text=step.text, created=created, layer=None))
        state.created = created
        state.history.append({**self._entry(step, created), "empty_layer": True})

    def _may_use_cache(self, state: StageState) -> bool:
        names = (state.stage.name, str(state.stage.index))
        return self._request.use_cache and not any(name in self._request.uncached_stages for name in names)

    def _resolve(self, origin: Origin) -> Origin:
        """Return an origin with the layers it has by now, from the top."""
        if origin.stage is not None:
            layers = self._stages[origin.stage].layers
        elif origin.image is not None:
            layers = layers_of(origin.image, self._unpacked)
        else:
            return origin
        lowers = tuple(self._unpacked.path(layer.diff_id) for layer in reversed(layers))
        diff_ids = jsonio.dumps([layer.diff_id for layer in layers])
        return origin.replace(lowers=lowers, identity=sha256(diff_ids.encode()).hexdigest())

    def _lowers(self, state: StageState) -> list[str]:
        return [self._unpacked.path(layer.diff_id) for layer in reversed(state.layers)]

    def _now(self) -> str:
        epoch = self._request.epoch
        return clock.timestamp(None if epoch is None else epoch * 10**9)

    def _entry(self, step: Step, created: str) -> dict[str, Any]:
        entry: dict[str, Any] = {"created": created, "created_by": step.created_by}
        if step.author:
            entry["author"] = step.author
        return entry

    def _failed(self, task: TaskName, step: Step, error: DaemonlessError) -> DaemonlessError:
        self._report.failed(task, error.message)
        if isinstance(error, DockerfileError):
            return error
        failure = self._file.mistake(error.message, error.hint, first=step.first, last=step.last)
        failure.exit_status = error.exit_status
        return failure

    def _too_many_layers(self, line: int) -> DaemonlessError:
        return self._file.mistake(
            f"the image would have more than {MAX_LAYERS} layers",
            "join some instructions, or build on an image with fewer",
            first=line,
        )

    # --- the image ----------------------------------------------------------------------------

    def _config(self, state: StageState) -> dict[str, Any]:
        """Return the config document of a stage's image, without history and rootfs."""
        platform = self._request.platform
        document: dict[str, Any] = {"architecture": platform.architecture, "os": platform.os}
        if platform.variant:
            document["variant"] = platform.variant
        if state.image is not None:
            for name in ("architecture", "variant", "os", "os.version", "os.features"):
                if name in state.image.config:
                    document[name] = state.image.config[name]
        elif state.base is not None:
            document = {**self._config(self._stages[state.base])}
            document.pop("config")
        return {**document, "config": dict(state.evaluated.config)}

    def _squash(self, state: StageState) -> None:
        """Make one layer of the stage's, or of those that are not its base image's; the history stays."""
        image = self._base_image(state)
        below = state.layers[: len(image.layers)] if image and self._request.squash == "new" else []
        layers = state.layers[len(below) :]
        if len(layers) < 2:
            return
        task = self._plan.new_task(f"[squash] {len(layers)} layers")
        key = self._keys.of_squash(below, layers)
        known = self._cache.find(key) if self._request.use_cache else None
        if isinstance(known, CachedStep) and known.layer:
            self._report.done(task, "CACHED")
            layer, created = known.layer, known.created if self._request.epoch is None else self._now()
        else:
            made = Made.from_json(perform(self._report, task, self._steps.merger(below, layers)))
            for line in made.warnings:
                self._report.warn(line)
            layer, created = made.layer, self._now()
        text = f"squash {len(layers)} layers"
        self._cache.add(self._target, CachedStep(key=key, text=text, created=created, layer=layer))
        entries = len(image.config.get("history") or []) if image and below else 0
        emptied = [{**entry, "empty_layer": True} for entry in state.history[entries:]]
        entry = {"created": created, "comment": f"{len(layers)} layers as one"}
        state.layers, state.created = [*below, layer], created
        state.history = [*state.history[:entries], *emptied, entry]

    def _base_image(self, state: StageState) -> Image | None:
        while state.base is not None:
            state = self._stages[state.base]
        return state.image

    def _finish(self) -> Finished:
        state = self._stages[self._target]
        document = self._config(state)
        self._request.overrides.apply(document["config"])
        created = state.created if self._request.epoch is None and state.created else self._now()
        if self._request.inline_cache:
            made = self.used(everything=False)
            document[INLINE] = inline_steps(made, [layer.diff_id for layer in state.layers])
        history = {"history": state.history} if self._request.keep_history else {}
        author = {"author": state.evaluated.author} if state.evaluated.author else {}
        return finish(
            self._paths,
            self._id_map.key,
            self._lease,
            {"created": created, **author, **document, **history},
            state.layers,
            format=self._request.format,
            annotations=self._request.annotations,
            references=self._request.tags,
            listed=self._request.listed,
        )


def layers_of(image: Image, unpacked: LayerStore) -> list[StepLayer]:
    """Return an image's layers, bottom first; they must be unpacked."""
    return [
        StepLayer(descriptor=descriptor, diff_id=Digest(diff_id), size=unpacked.size(diff_id))
        for descriptor, diff_id in zip(image.layers, image.diff_ids, strict=True)
    ]
