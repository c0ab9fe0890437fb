"""What `pull` does while its unpacker gets ready: find out what a name stands for, and fetch that."""

from __future__ import annotations

import os

from daemonless import events
from daemonless.actions.access import registry_access
from daemonless.errors import NotFound, UsageError
from daemonless.images.progress import make_progress
from daemonless.images.pull import pull, pull_from
from daemonless.images.transports.location import DOCKER, DOCKER_ARCHIVE, parse_location
from daemonless.oci.image import asked_platform
from daemonless.oci.reference import is_short, repository_of
from daemonless.registry.errors import Unauthorized
from daemonless.registry.registries import load_registries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args
    from daemonless.images.store import Image
    from daemonless.images.transports.location import Location
    from daemonless.layers.worker import UnpackPool
    from daemonless.oci.image import Platform
    from daemonless.oci.reference import Reference


def all_tags(args: Args, name: str) -> list[str]:
    """Return the full names of all tags that a repository has."""
    location = parse_location(name)
    if location.reference is None or location.transport != DOCKER or repository_of(name) != name:
        raise UsageError(f"--all-tags takes a repository, and {name} is more", "leave out the tag")
    registries = load_registries()
    reference = registries.spelled_out(name)[0]
    endpoint = registries.endpoints(reference)[-1]
    client = registry_access(args).connect(endpoint)
    try:
        return [f"{reference.name}:{tag}" for tag in client.tags(endpoint.reference.path)]
    finally:
        client.close()


def fetch_from(location: Location, args: Args, name: str, pool: UnpackPool) -> list[Image]:
    """Fetch what is at a location, which is called `name`."""
    if location.reference and location.transport == DOCKER:
        meant = load_registries().spelled_out(name) if is_short(name) else (location.reference,)
        reference, image = _pull_first(args, name, meant, pool)
        shown, images = str(reference), [image]
    else:
        shown, images = name, _pull_local(args, location, pool)
    for image in images:
        events.record(args.paths, "image", "pull", image.id.partition(":")[2], name=shown)
    return images


def _pull_first(
    args: Args, name: str, meant: tuple[Reference, ...], pool: UnpackPool
) -> tuple[Reference, Image]:
    """Pull the first there is of what a name may stand for."""
    for reference in meant[:-1]:
        try:
            return reference, _pull(args, reference, pool)
        except (NotFound, Unauthorized) as error:  # many registries tell nobody what they do not have
            args.warn(f"{name} is not {reference}: {error.message}")
    return meant[-1], _pull(args, meant[-1], pool)


def _pull_local(args: Args, location: Location, pool: UnpackPool) -> list[Image]:
    from daemonless.images.transports.opening import open_local  # noqa: PLC0415 - archives: 5 ms

    with open_local(location) as local:
        several = location.transport == DOCKER_ARCHIVE
        return [
            pull_from(
                source,
                args.paths,
                pool,
                platform=_platform(args),
                progress=make_progress(source.name, quiet=args.quiet),
            )
            for source in (local.sources if several else [local.only])
        ]


def _pull(args: Args, reference: Reference, pool: UnpackPool) -> Image:
    return pull(
        reference,
        args.paths,
        pool,
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
