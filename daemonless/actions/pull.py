"""pull: fetch images from their registries."""

from __future__ import annotations

import os

from daemonless import events
from daemonless.actions.cold import in_child
from daemonless.actions.each import for_each
from daemonless.errors import UsageError
from daemonless.images.progress import make_progress
from daemonless.images.pull import pull
from daemonless.images.starter import NAME, ensure_starter
from daemonless.images.store import Image, ImageStore
from daemonless.oci.image import parse_platform
from daemonless.oci.reference import parse_reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args
    from daemonless.oci.reference import Reference


def main(args: Args) -> int:
    """Pull each image and print its id."""
    if not args.images:
        raise UsageError("no image was named", "for example: daemonless pull debian:12")
    if len(args.images) == 1:
        print(fetch(args, args.images[0]).id.partition(":")[2])
        return 0
    return for_each(args.images, lambda name: _fetch_one_of_several(args, name))


def _fetch_one_of_several(args: Args, name: str) -> str:
    # A failed pull may leave threads behind that wait for their peer; the next must start with one.
    in_child(lambda: fetch(args, name))
    return ImageStore(args.paths.data).resolve(name).id.partition(":")[2]


def fetch(args: Args, name: str) -> Image:
    """Pull one image as the options of `pull`, `run` and `create` say; see images.pull for errors.

    The starter image comes from this machine itself.
    """
    reference = parse_reference(name)
    image = ensure_starter(args.paths) if str(reference) == NAME else _pull(args, reference)
    events.record(args.paths, "image", "pull", image.id.partition(":")[2], name=str(reference))
    return image


def _pull(args: Args, reference: Reference) -> Image:
    platform = args.platform or os.environ.get("DOCKER_DEFAULT_PLATFORM")
    return pull(
        reference,
        args.paths,
        platform=parse_platform(platform) if platform else None,
        progress=make_progress(str(reference), quiet=args.quiet),
        credentials=args.creds,
        authfile=args.authfile,
        tls_verify=args.tls_verify,
        debug=args.debug,
    )
