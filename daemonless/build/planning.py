"""Planning: which stages a target needs, what each of them does, and where that takes files from.

The whole Dockerfile is evaluated before anything runs, so that mistakes are found first.
"""

from __future__ import annotations

from daemonless.build.origins import Origin
from daemonless.build.report import TaskName
from daemonless.build.request import BuildRequest
from daemonless.build.sources import Sources
from daemonless.dockerfile.checks import Checked, check
from daemonless.dockerfile.document import Stage, near
from daemonless.dockerfile.evaluate import Scope, evaluate
from daemonless.dockerfile.steps import CopyWork, Evaluated, RunWork, Step
from daemonless.errors import DaemonlessError, UsageError, printable
from daemonless.images.buildcache import StepLayer
from daemonless.images.store import Image

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

FROM = -1  # among the indexes of steps
_SCRATCH = "scratch"


class StageState:
    """One stage: what is known of it before anything runs, and what has become of it."""

    def __init__(self, stage: Stage, evaluated: Evaluated, base: int | None, image: Image | None) -> None:
        self.stage = stage
        self.evaluated = evaluated
        self.base = base  # the stage it is built on
        self.image = image  # or the image; neither: nothing
        self.origins: dict[str, Origin] = {}  # by what --from or from= says
        self.tasks: dict[int, TaskName] = {}  # by the step's index
        self.layers: list[StepLayer] = []
        self.history: list[dict[str, Any]] = []
        self.created = ""
        self.chain = ""  # what the stage has gone through, for the keys of steps that make no layer


class Plan:
    """All stages that the target needs, by their index: each after those it needs."""

    def __init__(self, request: BuildRequest, sources: Sources, obtain: Callable[[str, str], Image]) -> None:
        """Evaluate them. Raises DockerfileError, UsageError for a target that is none.

        `obtain` returns the image of a name for a platform (empty: the build's), its layers unpacked; it
        sees to it that nobody removes that.
        """
        self.stages: dict[int, StageState] = {}
        self.tasks = 0  # how many have a number
        self._request = request
        self._file = request.dockerfile
        self._sources = sources
        self._obtain = obtain
        self._images: dict[tuple[str, str], Image] = {}
        self._scope = Scope(
            self._file,
            dict(request.arguments),
            str(request.platform),
            str(request.build_platform),
            request.target,
            contexts=sources.names,
        )
        self._bases = self._scope.bases()
        self.target = self._find_target()
        self._plan(self.target, ())

    def unused_arguments(self) -> list[str]:
        """Return the names of --build-arg that the stages do not know."""
        return self._scope.unused_build_args()

    def check(self) -> Checked:
        """Return what in the Dockerfile is likely not meant."""
        evaluated = {number: state.evaluated for number, state in self.stages.items()}
        return check(self._file, self._scope, evaluated, self._sources.ignore)

    def new_task(self, title: str) -> TaskName:
        """Return a task with the next number."""
        self.tasks += 1
        return TaskName(number=self.tasks, title=title)

    def _find_target(self) -> int:
        wanted = self._request.target
        if not wanted:
            return self._file.stages[-1].index
        found = self._file.find(wanted)
        if found is None:
            names = [stage.name for stage in self._file.stages if stage.name]
            raise UsageError(
                f"{printable(self._file.name)} has no stage {printable(wanted)!r}",
                f"its stages are {', '.join(names)}" if names else "none of its stages has a name",
            )
        return found.index

    def _plan(self, number: int, path: tuple[int, ...]) -> None:
        if number in self.stages:
            return
        stage = self._file.stages[number]
        if number in path:
            raise self._file.mistake("the stages need each other", first=stage.first)
        name, platform = self._bases[number]
        base = self._stage_called(name, before=number)
        image = None
        inherited = None
        config: dict[str, Any] = {}
        if base is not None:
            self._plan(base, (*path, number))
            inherited = self.stages[base].evaluated
            config = inherited.config
        elif name != _SCRATCH:
            image = self._image(name, platform, stage.first, stage.index)
            config = self._request.overrides.inherited(image.config["config"])
        state = StageState(stage, evaluate(stage, config, self._scope, inherited=inherited), base, image)
        for step in state.evaluated.steps:
            for wanted in wanted_origins(step):
                if wanted not in state.origins:
                    state.origins[wanted] = self._origin(wanted, step, (*path, number))
        self.stages[number] = state
        self._name_tasks(state)

    def _stage_called(self, name: str, *, before: int) -> int | None:
        if self._sources.is_context(name):
            return None
        for stage in reversed(self._file.stages[:before]):
            if stage.name and stage.name == name.lower():
                return stage.index
        return None

    def _image(self, name: str, platform: str, line: int, before: int) -> Image:
        """Return an image; `line` names it, where it could name a stage with an index less than `before`."""
        known = self._images.get((name, platform))
        if known is None:
            try:
                known = self._obtain(self._sources.image_name(name), platform)
            except DaemonlessError as error:
                raise self._file.mistake(
                    error.message, self._other_meaning(name, before) or error.hint, first=line
                ) from error
            self._images[name, platform] = known
        return known

    def _other_meaning(self, name: str, before: int) -> str:
        """Return the hint that a name of no image may have been meant for a stage; empty if not."""
        if any(stage.name == name.lower() for stage in self._file.stages[before + 1 :]):
            return f"the stage {printable(name)} comes later; stages use those above them only"
        return near(name, [stage.name for stage in self._file.stages[:before] if stage.name])

    def _origin(self, wanted: str, step: Step, path: tuple[int, ...]) -> Origin:
        """Return where a step takes files from: a stage, a named context, or an image."""
        if not wanted:
            return Origin(context="")
        if self._sources.is_context(wanted):
            return Origin(context=wanted)
        stage = self._file.find(wanted, before=path[-1])
        if stage is not None:
            self._plan(stage.index, path)
            return Origin(stage=stage.index)
        if wanted.isdecimal():
            raise self._file.mistake(f"there is no stage {wanted}", first=step.first)
        return Origin(image=self._image(wanted, "", step.first, path[-1]))

    def _name_tasks(self, state: StageState) -> None:
        """Give numbers and titles to what the stage does."""
        shown = [index for index, step in enumerate(state.evaluated.steps) if step.work is not None]
        several = len(self._file.stages) > 1
        label = f"{state.stage.name or f'stage-{state.stage.index}'} " if several else ""
        titles = {index: state.evaluated.steps[index].text for index in shown}
        if state.base is None:
            titles = {FROM: f"FROM {self._bases[state.stage.index][0]}", **titles}
        if self._request.is_one_of_many:
            label = f"{self._request.platform} {label}"
        for position, (index, text) in enumerate(titles.items(), 1):
            state.tasks[index] = self.new_task(f"[{label}{position}/{len(titles)}] {text}")


def wanted_origins(step: Step) -> list[str]:
    """Return what a step names as where it takes files from; an empty name is the context."""
    work = step.work
    if isinstance(work, CopyWork):
        return [work.from_] if work.sources else []
    if isinstance(work, RunWork):
        return [mount.from_ for mount in work.mounts if mount.has_origin]
    return []
