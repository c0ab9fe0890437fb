"""commit: an image of what a container has become.

Its layer is the container's writable one (or, squashed, all its files), its config the image's as
the container's request has changed it. What only a start adds - proxies, secrets, host names, the
generated files - is in neither.
"""

from __future__ import annotations

import signal

from daemonless import clock
from daemonless.config import Paths
from daemonless.containers import grammar, grammar_health, instructions
from daemonless.containers.filesystem import in_layers, start_own_tree
from daemonless.containers.request import RunRequest
from daemonless.containers.store import Container
from daemonless.dockerfile.settings import set_variables
from daemonless.errors import Conflict, UsageError
from daemonless.images.build import Draft, add_layer
from daemonless.images.formats import FORMATS, MAX_LAYERS
from daemonless.images.store import ImageStore
from daemonless.isolation.userns import IdMap
from daemonless.layers.archive import ArchiveWriter, descriptor_sink
from daemonless.layers.layer_archive import LayerWriter
from daemonless.oci.reference import Reference
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from daemonless.images.store import Image
    from daemonless.isolation.task import Task

# What of the image's config document the new one keeps; the rest belongs to how the image was made.
_KEPT = ("architecture", "variant", "os", "os.version", "os.features")


class CommitRequest(Record):
    """What `commit` asked for."""

    reference: Reference | None = None
    author: str = ""
    message: str = ""
    changes: tuple[str, ...] = ()  # Dockerfile instructions
    format: str = "oci"  # or docker
    squash: bool = False


def commit(
    paths: Paths, container: Container, request: CommitRequest, id_map: IdMap, say: Callable[[str], None]
) -> tuple[str, list[str]]:
    """Make the image; return its id (64 hex digits), and what its layer lacks, one line each.

    `id_map` is the container's. The container may run, and may change its files meanwhile.
    Raises NotFound if its image is gone, Conflict if it has none, UsageError for an unusable change,
    Unsupported if the image would have more than 127 layers, and what `images.build.add_layer` raises.
    """
    if not container.record["imageId"]:
        raise Conflict(
            f"container {container.name} has a directory as its root, and no image to add a layer to",
            f"make one of all its files: daemonless export {container.name} | daemonless import -",
        )
    image = ImageStore(paths.data).resolve(container.record["imageId"])
    if not request.squash and len(image.layers) >= MAX_LAYERS:
        raise UsageError(
            f"the image would have {len(image.layers) + 1} layers, and at most {MAX_LAYERS} are allowed",
            "make it of a single layer: --squash",
        )
    draft = Draft(
        reference=request.reference,
        base=() if request.squash else tuple(zip(image.layers, image.diff_ids, strict=True)),
        config=_config(image, container, request),
        format=FORMATS[request.format],
        id_map=id_map,
    )
    start_writing = _write_all if request.squash else _write_changes
    try:
        return add_layer(paths, draft, lambda fd: start_writing(container, fd), say)
    except ProcessLookupError:
        raise Conflict(f"container {container.name} ended meanwhile", "try again") from None


def _write_changes(container: Container, fd: int) -> Task:
    def work(top_fd: int, below_fd: int, debris: frozenset[bytes]) -> tuple[str, ...]:
        layer = LayerWriter(descriptor_sink(fd), top_fd, below_fd, debris)
        layer.write()
        return layer.omitted.lines()

    return in_layers(container, work)


def _write_all(container: Container, fd: int) -> Task:
    def work(root_fd: int) -> tuple[str, ...]:
        archive = ArchiveWriter(descriptor_sink(fd))
        archive.add_content(root_fd)
        archive.finish()
        return archive.omitted.lines()

    return start_own_tree(container, work)


def _config(image: Image, container: Container, request: CommitRequest) -> dict[str, Any]:
    """Return the new image's config document, without rootfs (image-spec, config.md)."""
    created = clock.creation_time()
    entry = {"created": created, "created_by": " ".join(container.record["args"])}
    if request.author:
        entry["author"] = request.author
    if request.message:
        entry["comment"] = request.message
    settings = container_config(image.config["config"], RunRequest.from_dict(container.record["request"]))
    for change in request.changes:
        instructions.apply(settings, change)
    history = [] if request.squash else list(image.config.get("history") or [])
    document = {
        "created": created,
        **({"author": request.author} if request.author else {}),
        **{key: image.config[key] for key in _KEPT if key in image.config},
        "config": settings,
        "history": [*history, entry],
    }
    if request.format == "docker" and request.message:
        document["comment"] = request.message
    return document


def container_config(image: dict[str, Any], request: RunRequest) -> dict[str, Any]:
    """Return the `config` section of an image as a container's request has changed it."""
    config = dict(image)
    variables = [] if request.unset_all_env else list(config.get("Env") or [])
    config["Env"] = [entry for entry in variables if entry.partition("=")[0] not in request.unset_env]
    set_variables(config, [entry.partition("=")[::2] for entry in request.env])
    if request.entrypoint is not None:
        config["Entrypoint"], config["Cmd"] = [*request.entrypoint], []
    if request.command:
        config["Cmd"] = [*request.command]
    if request.user:
        config["User"] = request.user
    if request.workdir:
        config["WorkingDir"] = request.workdir
    if request.label:
        config["Labels"] = dict(request.label)
    if request.publish or request.expose:
        ports: dict[str, Any] = {f"{port.container_port}/{port.protocol}": {} for port in request.publish}
        ports |= {port: {} for port in request.expose}
        config["ExposedPorts"] = {**(config.get("ExposedPorts") or {}), **ports}
    if request.health.test:
        config["Healthcheck"] = grammar_health.as_config(request.health.as_dict())
    if request.stop_signal and request.stop_signal != _signal_of(config):
        config["StopSignal"] = _name_of_signal(request.stop_signal)
    return {key: value for key, value in config.items() if value or key in image}


def _signal_of(config: dict[str, Any]) -> int:
    try:
        return grammar.signal(str(config["StopSignal"])) if config.get("StopSignal") else 0
    except UsageError:
        return 0


def _name_of_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time one between the two that have names
        return str(number)
