"""inspect: everything about containers, images and volumes, in the words docker and podman share."""

from __future__ import annotations

from daemonless.actions.inspection import inspect_each, show_values
from daemonless.actions.platforms import resolve_for
from daemonless.actions.values import Struct
from daemonless.containers.store import ContainerStore
from daemonless.errors import NotFound, UsageError
from daemonless.images.store import ImageStore
from daemonless.oci.image import asked_platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from daemonless.actions.args import Args


def main(args: Args) -> int:
    """Print the objects that exist, report the others; 125 if there are any of these."""
    names: tuple[str, ...] = args.names
    if args.latest:
        if names:
            raise UsageError("--latest and names cannot be used together")
        if args.type not in ("all", "container"):
            raise UsageError(f"--latest is of containers: it does not go with --type {args.type}")
        names = (ContainerStore(args.paths).latest().id,)
    elif not names:
        raise UsageError("no name was given", "name a container, an image or a volume, or use --latest")
    return inspect_each(
        names, lambda name: _describe(args, name), lambda found: show_values(found, args.format)
    )


def _describe(args: Args, name: str) -> Struct:
    """Return what is known of the first kind of object that has the name.

    Raises NotFound, or InvalidData if it is damaged.
    """
    wanted = "image" if args.platform and args.type == "all" else args.type  # nothing else has a platform
    for kind, describe in _KINDS.items():
        if wanted in (kind, "all"):
            try:
                return describe(args, name)
            except NotFound:
                if wanted == kind:
                    raise
            except UsageError:  # ambiguous for a container; no name that an image can have
                if kind in (wanted, "container"):
                    raise
    raise NotFound(
        f'no such object: "{name}"', "daemonless ps --all and daemonless images list what there is"
    )


def _container(args: Args, name: str) -> Struct:
    container = ContainerStore(args.paths).find(name)
    from daemonless.actions.inspect_container import describe_container  # noqa: PLC0415 - one of three

    value = describe_container(container, ImageStore(args.paths.data))
    if args.size:
        from daemonless.containers.filesystem import sizes  # noqa: PLC0415 - user namespaces: 4 ms

        written, whole = sizes([container]).get(container.id, (0, 0))
        value.update(SizeRw=written, SizeRootFs=whole)
    return value


def _image(args: Args, name: str) -> Struct:
    image = resolve_for(ImageStore(args.paths.data), name, asked_platform(args.platform or ""))
    from daemonless.actions.inspect_image import describe_image  # noqa: PLC0415 - one of three

    return describe_image(image, args.paths.data)


def _volume(args: Args, name: str) -> Struct:
    from daemonless.actions.volume_row import VolumeRow  # noqa: PLC0415 - one of three
    from daemonless.containers.volumes import Users  # noqa: PLC0415 - as above
    from daemonless.volumes.store import VolumeStore  # noqa: PLC0415 - as above

    return VolumeRow(VolumeStore(args.paths).find(name), Users(args.paths))


_KINDS: dict[str, Callable[[Args, str], Struct]] = {
    "container": _container,
    "image": _image,
    "volume": _volume,
}
