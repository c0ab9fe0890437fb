"""rmi: remove images, or only names of images."""

from __future__ import annotations

from daemonless import events
from daemonless.actions.each import report
from daemonless.containers import ending, needs
from daemonless.containers.store import Container, ContainerStore
from daemonless.errors import Conflict, DaemonlessError, InvalidData, NotFound, UsageError
from daemonless.images import garbage
from daemonless.images.family import Family
from daemonless.images.store import Image, ImageStore
from daemonless.layers import trash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args

_MISSING, _IN_USE = 1, 2


def main(args: Args) -> int:
    """Remove each image, print what became of it, and return podman's exit status.

    2 if one is used by a container, 1 if one does not exist, 125 for anything else.
    """
    store = ImageStore(args.paths.data)
    names = args.images
    if args.all:
        names = tuple(dict.fromkeys(image.id for image in store.images()))
    elif not names:
        raise UsageError(
            "no image was named",
            "name one, or use --all; `rmi $(daemonless images -q ...)` had nothing to remove",
        )
    statuses = {_remove_reported(args, store, name) for name in names}
    trash.empty_in_background(args.paths.data)
    return next((status for status in (_IN_USE, 125, _MISSING) if status in statuses), 0)


def _remove_reported(args: Args, store: ImageStore, name: str) -> int:
    try:
        _remove(args, store, name)
    except NotFound as error:
        if args.force or args.ignore or args.all:  # with --all, it went with what was built on it
            return 0
        report(error)
        return _MISSING
    except DaemonlessError as error:
        report(error)
        return error.exit_status
    return 0


def _remove(args: Args, store: ImageStore, name: str) -> None:
    try:
        image = store.resolve(name)
    except InvalidData:
        for untagged in store.forget(name):
            _untagged(args, "", untagged)
        return
    # the same image may be here more than once, compressed in different ways
    images = store.images()
    twins = [other for other in images if other.id == image.id]
    names = [each for twin in twins for each in twin.names]
    full_name = store.name_of(image, name)
    if full_name and len(names) > 1:
        if len(image.names) > 1:
            store.untag(full_name)
        else:
            garbage.remove(store, image, needs.users(args.paths))
        _untagged(args, image.id, full_name)
        return
    if len(names) > 1 and not (args.force or args.all):
        raise Conflict(
            f"image {image.id[7:19]} has more than one name: {', '.join(names)}",
            "remove the names one by one, or the image with all its names with --force",
        )
    containers = ContainerStore(args.paths)
    if args.force:
        for container in users(containers, image.id):
            ending.remove_if_there(args.paths, container)
    _check_unused(containers, image)  # before anything is changed; and again when nobody can come to use it
    for twin in twins:
        _discard(args, store, containers, twin)
    for each in names:
        _untagged(args, image.id, each)
    _deleted(args, image)
    if not args.no_prune:
        _prune_ancestors(args, store, Family(images), image)


def _prune_ancestors(args: Args, store: ImageStore, family: Family, image: Image) -> None:
    """Remove what the image was built on, as far as it has no name and nothing else needs it."""
    containers = ContainerStore(args.paths)
    below = image
    for ancestor in family.ancestors(image):
        if ancestor.names or any(child.id != below.id for child in family.children(ancestor)):
            return
        try:
            _discard(args, store, containers, ancestor)
        except Conflict:
            return
        _deleted(args, ancestor)
        below = ancestor


def _discard(args: Args, store: ImageStore, containers: ContainerStore, image: Image) -> None:
    """Remove an image that no container uses; raises Conflict."""
    garbage.remove(store, image, needs.users(args.paths), lambda: _check_unused(containers, image))


def _deleted(args: Args, image: Image) -> None:
    identity = image.id.partition(":")[2]
    print(f"Deleted: {identity}")
    events.record(args.paths, "image", "remove", identity, name=image.names[0] if image.names else "")


def _untagged(args: Args, image_id: str, name: str) -> None:
    print(f"Untagged: {name}")
    events.record(args.paths, "image", "untag", image_id.partition(":")[2], name=name)


def _check_unused(store: ContainerStore, image: Image) -> None:
    for container in users(store, image.id):
        raise Conflict(
            f"image {image.names[0] if image.names else image.id[7:19]} is in use by container"
            f" {container.name}",
            f"remove that first: daemonless rm {container.name}; or with the image: rmi --force",
            exit_status=_IN_USE,
        )


def users(store: ContainerStore, image_id: str) -> list[Container]:
    """Return the containers made from an image."""
    return [each for each in store.containers() if each.record.get("imageId") == image_id]
