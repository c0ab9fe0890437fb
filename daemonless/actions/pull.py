"""pull: fetch images from registries, archives and directories."""

from __future__ import annotations

import os

from daemonless import events
from daemonless.actions.access import registry_access
from daemonless.actions.cold import in_child
from daemonless.actions.each import for_each
from daemonless.errors import DaemonlessError, NotFound, UsageError
from daemonless.images.progress import make_progress
from daemonless.images.pull import pull, pull_from
from daemonless.images.store import STARTER, ImageStore
from daemonless.images.transports.location import DOCKER, DOCKER_ARCHIVE, parse_location
from daemonless.oci.image import asked_platform
from daemonless.oci.reference import has_transport, is_short, repository_of
from daemonless.registry.errors import Unauthorized
from daemonless.registry.registries import load_registries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args
    from daemonless.images.store import Image
    from daemonless.images.transports.location import Location
    from daemonless.oci.image import Platform
    from daemonless.oci.reference import Reference


def main(args: Args) -> int:
    """Pull each image and print its id."""
    names = args.images
    if not names:
        raise UsageError("no image was named", "for example: daemonless pull debian:12")
    if args.all_tags:
        names = [name for repository in names for name in _all_tags(args, repository)]
    if len(names) == 1:
        print(_obtain(args, names[0]))
        return 0
    # A failed pull may leave threads behind that wait for their peer; the next must start with one.
    return for_each(names, lambda name: in_child(lambda: _obtain(args, name)))


def _all_tags(args: Args, name: str) -> list[str]:
    """Return the full names of all tags that a repository has."""
    location = parse_location(name)
    if location.reference is None or location.transport != DOCKER or repository_of(name) != name:
        raise UsageError(f"--all-tags takes a repository, and {name} is more", "leave out the tag")
    reference = load_registries().spelled_out(name)[0]
    endpoint = load_registries().endpoints(reference)[-1]
    client = registry_access(args).connect(endpoint)
    try:
        return [f"{reference.name}:{tag}" for tag in client.tags(endpoint.reference.path)]
    finally:
        client.close()


def _obtain(args: Args, name: str) -> str:
    """Pull an image, or find it here, as --policy says; return the ids of what there is then."""
    here = None
    if args.policy != "always" and not has_transport(name):
        try:
            here = ImageStore(args.paths.data).resolve(name)
        except NotFound:
            if args.policy == "never":
                raise
    if here and args.policy in ("missing", "never"):
        return _ids([here])
    try:
        return _ids(fetch(args, name))
    except DaemonlessError as error:
        if here is None:
            raise
        args.warn(f"{name} may not be the newest: {error.message}")
        return _ids([here])


def _ids(images: list[Image]) -> str:
    return "\n".join(image.id.partition(":")[2] for image in images)


def fetch(args: Args, name: str) -> list[Image]:
    """Pull what `name` stands for, as the options of `pull`, `run` and `create` say.

    That is one image, but for an archive of several. The starter image comes from this machine
    itself. Raises as `images.pull` does.
    """
    location = parse_location(name)
    if location.reference and location.transport == DOCKER:
        meant = load_registries().spelled_out(name) if is_short(name) else (location.reference,)
        reference, image = _pull_first(args, name, meant)
        shown, images = str(reference), [image]
    else:
        shown, images = name, _pull_local(args, location)
    for image in images:
        events.record(args.paths, "image", "pull", image.id.partition(":")[2], name=shown)
    return images


def _pull_first(args: Args, name: str, meant: tuple[Reference, ...]) -> tuple[Reference, Image]:
    """Pull the first there is of what a name may stand for."""
    for reference in meant[:-1]:
        try:
            return reference, _pull(args, reference)
        except (NotFound, Unauthorized) as error:  # many registries tell nobody what they do not have
            args.warn(f"{name} is not {reference}: {error.message}")
    return meant[-1], _pull(args, meant[-1])


def _pull_local(args: Args, location: Location) -> list[Image]:
    from daemonless.images.transports.opening import open_local  # noqa: PLC0415 - archives: 5 ms

    with open_local(location) as local:
        several = location.transport == DOCKER_ARCHIVE
        return [
            pull_from(
                source,
                args.paths,
                platform=_platform(args),
                progress=make_progress(source.name, quiet=args.quiet),
            )
            for source in (local.sources if several else [local.only])
        ]


def _pull(args: Args, reference: Reference) -> Image:
    if str(reference) == STARTER:
        from daemonless.images.starter import ensure_starter  # noqa: PLC0415 - for this one name

        return ensure_starter(args.paths)
    return pull(
        reference,
        args.paths,
        platform=_platform(args),
        progress=make_progress(str(reference), quiet=args.quiet),
        access=registry_access(args),
    )


def _platform(args: Args) -> Platform | None:
    return asked_platform(
        args.platform or os.environ.get("DOCKER_DEFAULT_PLATFORM", ""),
        os=args.os or "",
        architecture=args.arch or "",
        variant=args.variant or "",
    )
