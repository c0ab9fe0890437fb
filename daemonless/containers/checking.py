"""Whether everything that is stored is whole, and what can be done about what is not.

`check` reads and changes nothing. What disappears while it looks is no problem: whatever seems
damaged is looked at again as far as another command can have removed it.
"""

from __future__ import annotations

import os

from daemonless.config import Paths
from daemonless.containers import ending, needs
from daemonless.containers.store import Container, ContainerStore
from daemonless.errors import Conflict, DaemonlessError, InvalidData, NameInUse, NotFound
from daemonless.files import unlink_if_there
from daemonless.images import garbage
from daemonless.images.buildcache import BuildCache
from daemonless.images.store import ImageStore
from daemonless.layers.store import DIFF, recorded_size
from daemonless.oci.digest import Digest
from daemonless.record import Record
from daemonless.secretstore import SecretStore
from daemonless.volumes.store import VolumeStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

IMAGE, LAYER, LIST, VOLUME, SECRET = "image", "layer", "list", "volume", "secret"
CONTAINER, RUN, NAME, CLAIM = "container", "run", "name", "claim"
STEP = "step"


class Problem(Record):
    """One object that is damaged."""

    kind: str
    subject: str  # digest of a manifest, diff_id, id of a container, name, key of a step
    shown: str  # what a person calls it
    text: str


class Checker:
    """One look at a store; `counts` tells afterwards what was looked at."""

    def __init__(self, paths: Paths, *, quick: bool) -> None:
        self._paths = paths
        self._quick = quick
        self._images = ImageStore(paths.data)
        self._containers = ContainerStore(paths)
        self._blobs: dict[str, str] = {}  # what is wrong with each blob, by digest
        kinds = ("images", "layers", "build steps", "containers", "volumes", "secrets")
        self.counts = dict.fromkeys(kinds, 0)

    def problems(self) -> Iterator[Problem]:
        """Yield what is damaged, the images first."""
        yield from self._check_images()
        yield from self._check_layers()
        yield from self._check_steps()
        yield from self._check_containers()
        yield from self._check_names()
        volumes, secrets = VolumeStore(self._paths), SecretStore(self._paths)
        self.counts["volumes"], self.counts["secrets"] = len(volumes.names()), len(secrets.names())
        for volume in volumes.broken():
            text = f"volume.json is missing or damaged; its data is in {volume.mountpoint}"
            yield Problem(kind=VOLUME, subject=volume.name, shown=f"volume {volume.name}", text=text)
        for name in secrets.broken():
            yield Problem(kind=SECRET, subject=name, shown=f"secret {name}", text="it cannot be read")

    def _check_images(self) -> Iterator[Problem]:
        try:
            listed = self._images.listed()
        except InvalidData as error:
            yield Problem(kind=LIST, subject="", shown="the list of images", text=error.message)
            return
        for digest, names in listed.items():
            self.counts["images"] += 1
            text = self._wrong_with_image(digest)
            if text and digest in self._images.listed():
                shown = names[0] if names else digest
                yield Problem(kind=IMAGE, subject=digest, shown=f"image {shown}", text=text)

    def _wrong_with_image(self, digest: str) -> str:
        try:
            blobs = self._images.blobs_of(digest)
        except DaemonlessError as error:
            return error.message
        for blob, size in blobs.items():
            if blob not in self._blobs:
                self._blobs[blob] = self._wrong_with_blob(blob, size)
            if self._blobs[blob]:
                return self._blobs[blob]
        return ""

    def _wrong_with_blob(self, digest: str, size: int) -> str:
        blobs = self._images.blobs
        try:
            if not blobs.has(digest):
                return f"blob {digest} is missing"
            if not blobs.has(digest, size):
                return f"blob {digest} does not have the {size} bytes it should"
            if not self._quick and not blobs.is_intact(digest, size):
                return f"blob {digest} is not what its digest says"
        except OSError as error:
            return f"blob {digest} cannot be read: {error.strerror}"
        return ""

    def _check_layers(self) -> Iterator[Problem]:
        for piece in garbage.pieces(self._paths.data):
            if not piece.is_layer:
                continue
            self.counts["layers"] += 1
            text = ""
            try:
                recorded_size(piece.path)
            except (DaemonlessError, OSError) as error:
                text = f"its record cannot be read: {error}"
            if not text and not os.path.isdir(f"{piece.path}/{DIFF}"):
                text = "its files are missing"
            if text and os.path.lexists(piece.path):
                shown = f"layer {Digest(piece.digest).short}"
                yield Problem(kind=LAYER, subject=piece.path, shown=shown, text=text)

    def _check_steps(self) -> Iterator[Problem]:
        """Look at the build cache. A record without its layer is none that a build would use."""
        cache = BuildCache(self._paths.data)
        for name in cache.broken():
            self.counts["build steps"] += 1
            yield _broken_step(name, "its record cannot be read")
        for step in cache.steps():
            self.counts["build steps"] += 1
            layer = step.layer
            if layer is None:
                continue
            blob = layer.descriptor.digest
            if blob not in self._blobs:
                self._blobs[blob] = self._wrong_with_blob(blob, layer.descriptor.size)
            if self._blobs[blob] and cache.has(step.key):
                yield _broken_step(step.key, self._blobs[blob])

    def _check_containers(self) -> Iterator[Problem]:
        readable, broken = self._containers.survey()
        self.counts["containers"] = len(readable) + len(broken)
        for container in broken:
            shown = f"container {container.id[:12]}"
            text = container.damage[0]
            yield Problem(kind=CONTAINER, subject=container.id, shown=shown, text=text)
        for container in readable:
            text = self._wrong_with(container)
            shown = f"container {container.name}"
            if text and container.is_there:
                yield Problem(kind=CONTAINER, subject=container.id, shown=shown, text=text)
                continue
            _ = container.status  # reads what it is told from
            for text in container.damage:
                yield Problem(kind=RUN, subject=container.id, shown=shown, text=text)
            if self._containers.owner(container.name) != container.id and container.is_there:
                container.refresh()
                text = f"the name {container.name} does not lead to it"
                yield Problem(kind=CLAIM, subject=container.id, shown=shown, text=text)

    def _wrong_with(self, container: Container) -> str:
        try:
            for path in needs.lower_directories(container):
                if not os.path.isdir(path):
                    return f"the layer {path} is missing"
        except DaemonlessError as error:
            return error.message
        return ""

    def _check_names(self) -> Iterator[Problem]:
        for name in self._containers.stale_names():
            text = "it stands for no container"
            yield Problem(kind=NAME, subject=name, shown=f"the container name {name}", text=text)


def _broken_step(key: str, text: str) -> Problem:
    return Problem(kind=STEP, subject=key, shown=f"build step {key[:12]}", text=text)


def repair(paths: Paths, problem: Problem, *, force: bool) -> str:
    """Remove or mend what is damaged, and return what was done.

    What containers use goes only with `force`, and they with it; otherwise Conflict is raised. So
    is it for volumes, secrets and the list of images, which nothing else holds.
    """
    return _REPAIRS[problem.kind](paths, problem, force)


def _repair_image(paths: Paths, problem: Problem, force: bool) -> str:
    store = ImageStore(paths.data)
    try:
        identity: str | None = store.resolve(problem.subject).id
    except NotFound:
        return f"{problem.shown} was removed meanwhile"
    except InvalidData:
        identity = None  # its containers, if it has any, keep the layers they stand on
    using = [each for each in ContainerStore(paths).containers() if each.record["imageId"] == identity]
    _remove_containers(paths, using, problem, force=force)
    store.forget(problem.subject)
    return f"removed {problem.shown}"


def _repair_layer(paths: Paths, problem: Problem, force: bool) -> str:
    readable, broken = ContainerStore(paths).survey()
    using = list(broken)  # who knows what they stand on
    for container in readable:
        try:
            if f"{problem.subject}/{DIFF}" in needs.lower_directories(container):
                using.append(container)
        except DaemonlessError:
            using.append(container)
    _remove_containers(paths, using, problem, force=force)
    with ImageStore(paths.data).lock():
        garbage.discard(paths.data, problem.subject)
    return f"removed {problem.shown}; it is unpacked again when it is needed"


def _repair_step(paths: Paths, problem: Problem, force: bool) -> str:
    BuildCache(paths.data).remove(problem.subject)
    return f"removed {problem.shown}; it is made again when it is needed"


def _repair_run(paths: Paths, problem: Problem, force: bool) -> str:
    """Remove the record of how a run ended; one of a run in progress is its supervisor's."""
    container = Container(paths, problem.subject)
    lock = container.try_lock()
    if lock is None:
        raise Conflict(f"{problem.shown} runs", "stop it first")
    try:
        directories = (container.directory, container.run_directory)
        for path in (f"{each}/{name}" for each in directories for name in ("exit.json", "state.json")):
            if problem.text.startswith(path):
                unlink_if_there(path)
    finally:
        lock.release()
    return f"{problem.shown} is listed as if it had been killed"


def _repair_container(paths: Paths, problem: Problem, force: bool) -> str:
    _remove_containers(paths, [Container(paths, problem.subject)], problem, force=force)
    return f"removed {problem.shown}"


def _remove_containers(paths: Paths, using: list[Container], problem: Problem, *, force: bool) -> None:
    if using and not force:
        what = ", ".join(container.id[:12] for container in using)
        raise Conflict(
            f"{problem.shown} stays: its removal would take container {what}",
            "--force removes that too, and what it wrote",
        )
    for container in using:
        ending.remove_if_there(paths, container)


def _repair_name(paths: Paths, problem: Problem, force: bool) -> str:
    ContainerStore(paths).name_is_free(problem.subject)
    return f"freed {problem.shown}"


def _repair_claim(paths: Paths, problem: Problem, force: bool) -> str:
    store, container = ContainerStore(paths), Container(paths, problem.subject)
    try:
        store.claim_name(container.name, container.id)
    except NameInUse:
        raise Conflict(
            f"{problem.shown} stays without a name: {container.name} is another's",
            f"give it one: daemonless rename {container.id[:12]} NAME",
        ) from None
    return f"gave {problem.shown} its name back"


def _refuse(remedy: str) -> Callable[[Paths, Problem, bool], str]:
    def refuse(paths: Paths, problem: Problem, force: bool) -> str:
        raise Conflict(
            f"{problem.shown} stays: nothing else has what is in it", remedy.format(problem.subject)
        )

    return refuse


_REPAIRS: dict[str, Callable[[Paths, Problem, bool], str]] = {
    IMAGE: _repair_image,
    LAYER: _repair_layer,
    STEP: _repair_step,
    CONTAINER: _repair_container,
    RUN: _repair_run,
    NAME: _repair_name,
    CLAIM: _repair_claim,
    VOLUME: _refuse("to remove it with its data: daemonless volume rm --force {}"),
    SECRET: _refuse("to remove it: daemonless secret rm {}"),
    LIST: _refuse("move index.json away and pull the images again: what is here is not fetched"),
}
