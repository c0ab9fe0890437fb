"""create: from a request and an image to a bundle on disk.

Order matters more than speed here: intent before effect, the name claimed before the container
is visible, visible only when complete (shared invariant S-5).
"""

from __future__ import annotations

import os

from daemonless import events, failpoints, jsonio
from daemonless.clock import timestamp
from daemonless.config import Paths
from daemonless.containers import grammar_network
from daemonless.containers.host_facts import gather_facts
from daemonless.containers.names import new_id, new_name
from daemonless.containers.process import bounding_set
from daemonless.containers.request import Health, RunRequest, config_section, needs_storage
from daemonless.containers.spec import build_spec
from daemonless.containers.store import Container, ContainerStore, Staging, event_details, sync_bundle
from daemonless.errors import DaemonlessError, NameInUse, NotFound, SetupFailed, UsageError, printable
from daemonless.files import write_atomic
from daemonless.images.store import Image, ImageStore
from daemonless.isolation import seccomp
from daemonless.isolation.userns import IdMap
from daemonless.layers.overlay import rootfs_mount
from daemonless.layers.store import LayerStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from daemonless.containers.sharing import Shared


def create(
    paths: Paths,
    request: RunRequest,
    image: Image,
    id_map: IdMap,
    *,
    durable: bool,
    warn: Callable[[str], None],
    shared: Shared | None = None,
) -> Container:
    """Make a container of `image`, whose layers must be unpacked for `id_map`, or as --rootfs asks.

    `shared` is what the request shares with other containers.

    `durable` waits until it would survive a power loss; without, its supervisor sees to that
    while it runs, which takes three fsyncs, 5 to 10 ms, out of the way of `run`. The container is
    then returned with its lock held, for that start.

    Raises NameInUse, or what the request or the image has wrong; then nothing is left behind.
    """
    store = ContainerStore(paths)
    container_id = new_id()
    staging = store.stage(container_id)
    prepared = None
    try:
        request = _with_health(request.with_image(image.config, warn), image, warn)
        request = _with_ports(request, image, warn)
        name = _claim_name(staging, request.name)
        final = f"{store.directory}/{container_id}"
        image_volumes = config_section(image.config).get("Volumes")
        if image_volumes or needs_storage(request, paths.data):
            from daemonless.containers.storage import prepare  # noqa: PLC0415 - for who has volumes only

            prepared = prepare(
                paths,
                request,
                image_volumes or {},
                directory=final,
                staging=staging.directory,
                warn=warn,
            )
            request = prepared.request
        layers = LayerStore(paths.data, id_map.key)
        lowers = [layers.path(diff_id) for diff_id in reversed(image.diff_ids)]
        if request.rootfs:
            lowers = [request.image]
        failpoints.reach("create.directories")
        has_caller = id_map.has(os.getuid(), os.getgid())
        try:
            _make_directories(staging.directory, lowers)
        except FileNotFoundError:
            raise NotFound(f"a layer of image {request.image} was removed meanwhile") from None
        if not has_caller:
            from daemonless.containers.unmapped import give_away  # noqa: PLC0415 - few containers are such

            give_away(staging.directory, id_map)
        rootfs: dict[str, Any]
        if request.rootfs == "bind":
            rootfs = {"destination": "/", "type": "bind", "source": request.image, "options": ["rbind"]}
        else:
            rootfs = rootfs_mount(lowers, f"{final}/upper", f"{final}/work")
        if request.rm and rootfs["type"] == "overlay" and has_caller:
            # Unmounting an overlay syncs the whole file system below it, other programs' dirty pages
            # included, before the process can be waited for. What is removed then need not be synced. To
            # mount it again, init would have to go where only the caller may.
            rootfs["options"].append("volatile")
        host = gather_facts(request)
        if shared and shared.host_name:
            host = host.replace(hostname=shared.host_name)
        caps = bounding_set(request, host.last_capability, privileged=request.privileged)
        spec = build_spec(
            request,
            image.config,
            container_id=container_id,
            rootfs_mount=rootfs,
            rootfs_path=f"{final}/rootfs",
            id_map=id_map,
            run_dir=f"{paths.run}/containers/{container_id}",
            seccomp_section=seccomp.section_for(
                request.security.seccomp, frozenset(caps), image.config.get("architecture", "")
            ),
            host=host,
            warn=warn,
            mounts=prepared.mounts if prepared else {},
        )
        if request.cdi:
            from daemonless.containers.cdi import resolve  # noqa: PLC0415 - few containers have such

            edits = resolve(request.cdi)
            if edits.hooks:
                _check_hooks(request, has_caller=has_caller)
            edits.apply(spec)
        record: dict[str, Any] = {
            "schema": 1,
            "id": container_id,
            "name": name,
            "created": timestamp(),
            "image": request.image if request.rootfs else _name_of(paths, image, request.image),
            "imageId": image.id,
            "args": spec["process"]["args"],  # here too, so that `ps` need not read every spec
            "labels": dict(request.label),
            "request": request.as_dict(),
        }
        if id_map.key != "default":
            record["idMap"] = id_map.key
        if shared:
            shared.note(container_id)
        failpoints.reach("create.config")
        write_atomic(f"{staging.directory}/config.json", jsonio.dumps(spec).encode(), durable=False)
        failpoints.reach("create.record")
        write_atomic(f"{staging.directory}/container.json", jsonio.dumps(record).encode(), durable=False)
        if durable:
            sync_bundle(staging.directory)
        container = staging.publish(hold=not durable)
        if durable:
            failpoints.reach("create.sync_place")
            store.sync()
    except BaseException:
        staging.abandon()
        if shared:
            shared.forget(container_id)
        if prepared:
            prepared.abandon(paths)
        raise
    if prepared:
        prepared.release()
    if shared and (missing := shared.missing()):  # as with the image, below
        store.forget(container)
        raise NotFound(f"container {missing}, which this one needs, was removed meanwhile")
    if not request.rootfs and not ImageStore(paths.data).has(image):
        # Whoever removes an image takes it from the list before looking for its users: either it
        # has seen this container, or this is seen here.
        store.forget(container)
        raise NotFound(f"image {record['image']} was removed meanwhile")
    events.record(paths, "container", "create", container_id, **event_details(record))
    return container


def _check_hooks(request: RunRequest, *, has_caller: bool) -> None:
    """Raise UsageError where a hook, which has the host's files, could be seen, or could not see its own."""
    if request.shares or request.pid != "private":
        raise UsageError(
            "a device with hooks needs processes and a user namespace that nobody shares",
            "leave out --pid, --ipc, --uts and --userns of others",
        )
    if not has_caller:
        raise UsageError(
            "a device with hooks needs your own id in the container: they read what is yours",
            "leave out --userns=nomap and auto, or name the device's node by its path",
        )


def _with_health(request: RunRequest, image: Image, warn: Callable[[str], None]) -> RunRequest:
    section = config_section(image.config)
    if request.health == Health() and not section.get("Healthcheck"):
        return request
    from daemonless.containers.grammar_health import with_image  # noqa: PLC0415 - most have no check

    return request.replace(health=with_image(request.health, section, warn))


def _claim_name(staging: Staging, wanted: str) -> str:
    if wanted:
        staging.claim_name(wanted)
        return wanted
    for _ in range(100):
        name = new_name()
        try:
            staging.claim_name(name)
        except NameInUse:
            continue
        return name
    raise SetupFailed("no free container name was found", "give one with --name")


def _make_directories(directory: str, lowers: list[str]) -> None:
    """Make the overlay's own directories; the upper one carries the mode of the image's `/`."""
    for name in ("upper", "work", "rootfs"):
        os.mkdir(f"{directory}/{name}", 0o700)
    mode = os.stat(lowers[0]).st_mode & 0o7777 if lowers else 0o755
    os.chmod(f"{directory}/upper", mode)


def _with_ports(request: RunRequest, image: Image, warn: Callable[[str], None]) -> RunRequest:
    """Return a request that publishes, if --publish-all was given, what is exposed and not published yet."""
    if not request.publish_all:
        return request
    exposed = dict.fromkeys(request.expose)
    for text in config_section(image.config).get("ExposedPorts") or {}:
        try:
            exposed.update(dict.fromkeys(grammar_network.expose(text, "EXPOSE")))
        except DaemonlessError as error:
            warn(f"ignoring the image's port {printable(text)}: {error.message}")
    taken = {f"{port.container_port}/{port.protocol}" for port in request.publish}
    more = [grammar_network.publish(text)[0] for text in exposed if text not in taken]
    return request.replace(publish=(*request.publish, *more))


def _name_of(paths: Paths, image: Image, asked: str) -> str:
    """Return the name by which an image was asked for, or another of its names, or its id."""
    is_id = image.id.partition(":")[2].startswith(asked.removeprefix("sha256:"))
    name = "" if is_id else ImageStore(paths.data).name_of(image, asked)
    return name or (image.names[0] if image.names else image.id)
