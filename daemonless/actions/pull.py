"""pull: fetch images from registries, archives and directories."""

from __future__ import annotations

import os

from daemonless import events
from daemonless.actions.access import registry_access
from daemonless.actions.cold import in_child
from daemonless.actions.each import for_each
from daemonless.errors import NotFound, UsageError
from daemonless.images.progress import make_progress
from daemonless.images.pull import pull, pull_from
from daemonless.images.starter import NAME, ensure_starter
from daemonless.images.transports.location import DOCKER, DOCKER_ARCHIVE, parse_location
from daemonless.images.transports.opening import open_local
from daemonless.oci.image import asked_platform
from daemonless.oci.reference import is_short
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
    if not args.images:
        raise UsageError("no image was named", "for example: daemonless pull debian:12")
    if len(args.images) == 1:
        print(_ids(fetch(args, args.images[0])))
        return 0
    # A failed pull may leave threads behind that wait for their peer; the next must start with one.
    return for_each(args.images, lambda name: in_child(lambda: _ids(fetch(args, name))))


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
    if str(reference) == NAME:
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
