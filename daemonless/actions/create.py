"""create: make a container without starting it; also the first half of run."""

from __future__ import annotations

import os

from daemonless.actions.cold import in_child
from daemonless.actions.platforms import check_platform, is_for
from daemonless.containers import creation, ending
from daemonless.containers.arguments import from_args
from daemonless.containers.request import RunRequest
from daemonless.containers.store import ContainerStore
from daemonless.errors import DaemonlessError, NotFound, UsageError
from daemonless.images.store import ImageStore, image_of_directory
from daemonless.isolation.userns import IdMap, keep_id_map, load_id_map, mapped_ids
from daemonless.layers.store import LayerStore
from daemonless.oci.image import Platform
from daemonless.oci.reference import has_transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args
    from daemonless.containers.sharing import Shared
    from daemonless.containers.store import Container
    from daemonless.images.store import Image


_ATTEMPTS = 5  # at a pull whose image somebody else removes at once


def main(args: Args) -> int:
    """Create a container and print its id."""
    container, _ = create(args, durable=True)
    print(container.id)
    return 0


def create(args: Args, *, durable: bool) -> tuple[Container, RunRequest]:
    """Create the container the command line describes, pulling its image if that is missing."""
    paths = args.paths
    request = from_args(args, warn=args.warn)
    if args.cidfile and os.path.lexists(args.cidfile):
        raise UsageError(f"container id file {args.cidfile} exists", "remove it, or give another --cidfile")
    image = image_of_directory() if request.rootfs else find_image(args, request)
    if not request.rootfs and has_transport(request.image):  # the container remembers what it meant
        request = request.replace(image=image.names[0] if image.names else image.id.partition(":")[2])
    shared = None
    if request.shares or request.requires:
        from daemonless.containers.sharing import resolve  # noqa: PLC0415 - few containers do

        shared = resolve(paths, request, load_id_map(os.getuid(), os.getgid()))
        request = shared.request
    if request.userns.mode == "auto":
        from daemonless.containers.unmapped import AutoIds  # noqa: PLC0415 - few containers have it

        with AutoIds(paths) as ids:
            id_map = ids.choose(load_id_map(os.getuid(), os.getgid()), request.userns.size)
            return _make(args, request, image, id_map, shared, durable=durable), request
    id_map = shared.id_map if shared and shared.id_map else id_map_for(request)
    return _make(args, request, image, id_map, shared, durable=durable), request


def _make(
    args: Args, request: RunRequest, image: Image, id_map: IdMap, shared: Shared | None, *, durable: bool
) -> Container:
    if id_map.reason:
        args.warn(id_map.reason)
    have_layers(args, image, id_map)
    if args.replace and request.name:
        _remove_named(args, request.name)
    paths = args.paths
    container = creation.create(paths, request, image, id_map, durable=durable, warn=args.warn, shared=shared)
    if args.cidfile:
        try:
            write_new_file(args.cidfile, container.id)
        except DaemonlessError:
            ending.remove(paths, container)
            raise
    return container


def write_new_file(path: str, text: str) -> None:
    """Write a file the command line asks for, which must not exist yet."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    os.write(fd, text.encode())
    os.close(fd)


def id_map_for(request: RunRequest) -> IdMap:
    """Return the id map of `--userns`, `--uidmap` and `--gidmap`, if it depends on these alone."""
    default = load_id_map(os.getuid(), os.getgid())
    if request.userns.mode == "map":
        from daemonless.isolation.idmaps import chosen_id_map  # noqa: PLC0415 - few containers have one

        return chosen_id_map(default, request.userns.uids, request.userns.gids)
    if request.userns.mode == "keep-id":
        return keep_id_map(default, request.userns.uid, request.userns.gid)
    if request.userns.mode == "nomap":
        from daemonless.isolation.idmaps import unmapped_id_map  # noqa: PLC0415 - as above

        return unmapped_id_map(default)
    return default


def id_map_of(container: Container) -> IdMap:
    """Return the id map that a container was made with; its options alone need not tell."""
    key = container.record.get("idMap", "")  # not in older records, nor for the default map
    if key:
        return mapped_ids(container.spec()).replace(key=key)
    return id_map_for(RunRequest.from_dict(container.record["request"]))


def find_image(args: Args, request: RunRequest) -> Image:
    """Return the image, pulled first as `--pull` says, or because it is a file's, or for another platform."""
    store = ImageStore(args.paths.data)
    wanted = _wanted(request)
    image = None
    if request.pull != "always" and not has_transport(request.image):
        try:
            image = store.resolve(request.image, wanted)
        except NotFound:
            if request.pull == "never":
                raise
    if image is None or (request.pull != "never" and not is_for(image, wanted)):
        image = _fetch(args, store, request)
    elif request.pull == "newer":
        try:
            image = _fetch(args, store, request)
        except DaemonlessError as error:
            args.warn(f"{request.image} may not be the newest: {error.message}")
    check_platform(image, request.image, wanted)
    return image


def _fetch(args: Args, store: ImageStore, request: RunRequest) -> Image:
    """Pull the image and return it; again if somebody removed it the moment it was there."""
    for _ in range(_ATTEMPTS):
        digest = in_child(lambda: _pull(args, request))
        try:
            return store.resolve(digest)
        except NotFound:
            continue
    raise NotFound(f"image {request.image} was removed as soon as it was pulled", "try again")


def _wanted(request: RunRequest) -> Platform | None:
    if not any(request.platform):
        return None
    os_name, architecture, variant = request.platform
    return Platform(os=os_name, architecture=architecture, variant=variant)


def _pull(args: Args, request: RunRequest) -> str:
    """Pull the image and return its digest."""
    # The one late import outside the command table: the child alone pays for HTTP, 100 ms.
    from daemonless.actions.pull import fetch  # noqa: PLC0415 - see above

    images = fetch(args, request.image)
    if len(images) > 1:
        raise UsageError(f"{request.image} has {len(images)} images", "choose one: add :NAME or :@INDEX")
    return images[0].digest  # a short name may have another meaning here


def have_layers(args: Args, image: Image, id_map: IdMap) -> None:
    """Make sure the image's layers are unpacked with the owners of this id map."""
    layers = LayerStore(args.paths.data, id_map.key)
    if not all(layers.has(diff_id) for diff_id in image.diff_ids):
        in_child(lambda: _unpack(args, image, id_map))


def _unpack(args: Args, image: Image, id_map: IdMap) -> str:
    from daemonless.images.pull import unpack_for  # noqa: PLC0415 - as in _pull

    unpack_for(image, args.paths, id_map)
    return ""


def _remove_named(args: Args, name: str) -> None:
    try:
        container = ContainerStore(args.paths).find(name)
    except NotFound:
        return
    ending.remove_if_there(args.paths, container)
