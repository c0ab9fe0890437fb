"""rmi: remove images, or only names of images."""

from __future__ import annotations

from daemonless import events
from daemonless.actions.each import report
from daemonless.actions.platforms import is_for
from daemonless.containers import ending, needs
from daemonless.containers.store import Container, ContainerStore
from daemonless.errors import Conflict, DaemonlessError, InvalidData, NotFound, UsageError
from daemonless.images import garbage
from daemonless.images.family import Family
from daemonless.images.lists import ImageList
from daemonless.images.store import Image, ImageStore
from daemonless.layers import trash
from daemonless.oci.image import asked_platform, choose_manifest, platform_of_config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from daemonless.actions.args import Args
    from daemonless.oci.image import Platform

_MISSING, _IN_USE = 1, 2


def main(args: Args) -> int:
    """Remove each image, print what became of it, and return podman's exit status.

    2 if one is used by a container, 1 if one does not exist, 125 for anything else.
    """
    store = ImageStore(args.paths.data)
    names = args.images
    if args.all:
        ids = [*(found.id for found in store.lists()), *(image.id for image in store.images())]
        names = tuple(dict.fromkeys(ids))
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
        image = store.find(name)
    except InvalidData:
        for untagged in store.forget(name):
            _untagged(args, "", untagged)
        return
    wanted = asked_platform(args.platform or "")
    if isinstance(image, ImageList):
        if wanted:
            _remove_member(args, store, image, wanted)
            return
        full_name = store.name_of(image, name)
        remove_list(args, store, image, full_name, force=args.force or args.all, with_users=args.force)
        return
    if not is_for(image, wanted):
        raise NotFound(f"image {name} is for {platform_of_config(image.config)}, not for {wanted}")
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
        raise _several_names(image, names)
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


def remove_list(
    args: Args,
    store: ImageStore,
    found: ImageList,
    full_name: str,
    *,
    force: bool,
    with_users: bool = False,
) -> None:
    """Remove a list, or only the name it was called by if it has others; images with names of their own stay.

    `with_users` the containers of images that go with it are removed. Raises Conflict if it has several
    names and was called by none (not with `force`), or if a container uses an image that goes with it.
    """
    if full_name and len(found.names) > 1:
        store.untag(full_name)
        _untagged(args, found.id, full_name)
        return
    if len(found.names) > 1 and not force:
        raise _several_names(found, found.names)

    check_unused = _checker(
        args, _only_on(store, found, store.ids_on(found)), f"list {found.shown}", with_users=with_users
    )
    garbage.remove(store, found, needs.users(args.paths), check_unused)
    for name in found.names:
        _untagged(args, found.id, name)
    _deleted(args, found)


def _remove_member(args: Args, store: ImageStore, found: ImageList, wanted: Platform) -> None:
    """Take the image for a platform, and documents about it, off a list; the last one goes with the list.

    It is removed unless it has a name of its own, or is on another list. Raises as `remove_list`, and
    NotFound if there is none for the platform.
    """
    chosen = choose_manifest(found.index, wanted, what=f"the list {found.shown}")
    listed = found.index.manifests
    # and the same in other compressions
    twins = [each.digest for each in listed if each.platform and each.platform == chosen.platform]
    images: set[str] = {chosen.digest, *twins}
    about = images.union(_documents_about(found, images))
    if about.issuperset(each.digest for each in listed):
        remove_list(args, store, found, "", force=True, with_users=args.force)
        return
    gone = _only_on(store, found, store.ids_of(about))
    what = f"the image for {wanted} of the list {found.shown}"
    check_unused = _checker(args, gone, what, with_users=args.force)
    from daemonless.images.leases import Lease  # noqa: PLC0415 - seldom asked for
    from daemonless.images.listing import take_off  # noqa: PLC0415 - as above

    with Lease(store.data) as lease:  # so that a prune leaves what may have to be put back
        needed = store.needs_of(found)
        lease.keep(*needed)
        changed = take_off(store, found, about, check_unused)
    garbage.discard_unneeded(store, needed - store.needs_of(changed), needs.users(args.paths))
    print(f"Untagged: {found.shown}@{chosen.digest}")
    for identity in gone:
        print(f"Deleted: {identity.partition(':')[2]}")
        events.record(args.paths, "image", "remove", identity.partition(":")[2], name="")


def _only_on(store: ImageStore, found: ImageList, identities: set[str]) -> list[str]:
    """Return those of the images on a list that are nowhere else."""
    others = (store.ids_on(each) for each in store.lists() if each.id != found.id)
    return sorted(identities.difference((image.id for image in store.images()), *others))


def _checker(args: Args, identities: Sequence[str], what: str, *, with_users: bool) -> Callable[[], None]:
    """Return what raises Conflict if a container uses one of the images, and has done so once.

    `with_users` these containers are removed first.
    """
    containers = ContainerStore(args.paths)

    def in_need() -> Iterator[Container]:
        for identity in identities:
            yield from users(containers, identity)

    if with_users:
        for container in in_need():
            ending.remove_if_there(args.paths, container)

    def check_unused() -> None:
        for container in in_need():
            raise _in_use(what, container)

    check_unused()  # before anything is changed; the caller does it again when nobody can come to use them
    return check_unused


def _documents_about(found: ImageList, images: set[str]) -> Iterator[str]:
    """Yield those on a list that say where some of its images come from, as buildx puts them there."""
    for each in found.index.manifests:
        if each.annotation("vnd.docker.reference.digest") in images:
            yield each.digest


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


def _deleted(args: Args, image: Image | ImageList) -> None:
    identity = image.id.partition(":")[2]
    print(f"Deleted: {identity}")
    events.record(args.paths, "image", "remove", identity, name=image.names[0] if image.names else "")


def _untagged(args: Args, image_id: str, name: str) -> None:
    print(f"Untagged: {name}")
    events.record(args.paths, "image", "untag", image_id.partition(":")[2], name=name)


def _check_unused(store: ContainerStore, image: Image) -> None:
    for container in users(store, image.id):
        raise _in_use(f"image {image.names[0] if image.names else image.id[7:19]}", container)


def _in_use(what: str, container: Container) -> Conflict:
    return Conflict(
        f"{what} is in use by container {container.name}",
        f"remove that first: daemonless rm {container.name}; or with the image: rmi --force",
        exit_status=_IN_USE,
    )


def _several_names(image: Image | ImageList, names: Sequence[str]) -> Conflict:
    return Conflict(
        f"image {image.id[7:19]} has more than one name: {', '.join(names)}",
        "remove the names one by one, or the image with all its names with --force",
    )


def users(store: ContainerStore, image_id: str) -> list[Container]:
    """Return the containers made from an image."""
    return [each for each in store.containers() if each.record.get("imageId") == image_id]
