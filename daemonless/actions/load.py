"""load: images from an archive, as `save` and others write it."""

from __future__ import annotations

import os

from daemonless import events
from daemonless.actions.input import open_input, shown_input
from daemonless.errors import DaemonlessError
from daemonless.images.loading import load
from daemonless.images.progress import make_progress
from daemonless.images.store import ImageStore
from daemonless.images.transports.opening import open_archive, open_directory
from daemonless.oci.digest import Digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args
    from daemonless.images.transports.opening import LocalImages
    from daemonless.images.transports.source import Source


def main(args: Args) -> int:
    """Store every image of the archive and print its names, or its id if it has none."""
    with _open(args.input) as local:
        for source in local.sources:
            progress = make_progress(source.name, quiet=args.quiet, verb="Loading")
            earlier = _holders(args, source)
            image = load(args.paths, source, progress)
            names = [str(reference) for reference in source.references]
            for name, holder in earlier.items():
                if holder != image.id:
                    args.warn(f"{name} was the name of image {holder.short} until now")
            events.record(args.paths, "image", "load", image.id.partition(":")[2], name=args.input or "-")
            print("".join(f"Loaded image: {name}\n" for name in names or [image.id]), end="", flush=True)
    return os.EX_OK


def _open(path: str | None) -> LocalImages:
    if path and path != "-" and os.path.isdir(path):
        return open_directory(path)
    fd = open_input(path or "-", "an archive")
    return open_archive(shown_input(path or "-"), fd if fd else os.dup(0))


def _holders(args: Args, source: Source) -> dict[str, Digest]:
    """Return the ids of the images that have the source's names now."""
    store, found = ImageStore(args.paths.data), {}
    for reference in source.references:
        try:
            found[str(reference)] = Digest(store.resolve(str(reference)).id)
        except DaemonlessError:  # nothing has it, or what has it is damaged
            continue
    return found
