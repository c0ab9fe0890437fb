"""save: images as an archive or a directory, for `load` and others."""

from __future__ import annotations

import os
from contextlib import contextmanager

from daemonless import events
from daemonless.actions.output import open_output
from daemonless.actions.platforms import resolve_for
from daemonless.errors import UsageError
from daemonless.images.progress import Silent, make_progress
from daemonless.images.push import Wish, push
from daemonless.images.store import ImageStore
from daemonless.images.transports.directory_destination import DirectoryDestination
from daemonless.images.transports.layout_destination import LayoutDirectory
from daemonless.images.transports.opening import open_images_archive
from daemonless.images.transports.output_directory import OutputDirectory
from daemonless.oci.image import asked_platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from daemonless.actions.args import Args
    from daemonless.images.store import Image
    from daemonless.images.transports.destination import Destination

    # Opens the place that one image gets under one name, "" for none.
    Place = Callable[[str], Destination]


def main(args: Args) -> int:
    """Write all images to one place; the file gets its name when it is complete."""
    chosen = _choose(args)
    wish = _wish(args, len(chosen))
    with _open(args) as place:
        for image, names in chosen:
            progress = make_progress(names[0] or image.id, quiet=args.quiet, verb="Saving")
            for name in names:
                push(image, args.paths, place(name), wish, progress)
                progress = Silent()  # the layers are there already
    for image, _ in chosen:
        identity = image.id.partition(":")[2]
        events.record(args.paths, "image", "save", identity, name=args.output or "/dev/stdout")
    return os.EX_OK


def _choose(args: Args) -> list[tuple[Image, list[str]]]:
    """Return each image once, with the names by which it was asked for, or one that is empty."""
    store = ImageStore(args.paths.data)
    wanted = asked_platform(args.platform or "")
    chosen: dict[str, tuple[Image, list[str]]] = {}
    for text in args.images:
        image = resolve_for(store, text, wanted)
        name = store.name_of(image, text)
        _, names = chosen.setdefault(image.digest, (image, []))
        if name and "@" not in name and name not in names:
            names.append(name)
    return [(image, names or [""]) for image, names in chosen.values()]


def _wish(args: Args, count: int) -> Wish:
    """Return how the images are to be written. Raises UsageError for options that exclude each other."""
    kind = args.format
    if kind.endswith("-dir") and not args.output:
        raise UsageError(f"--format {kind} writes a directory", "name it: --output DIRECTORY")
    if args.compress and kind != "docker-dir":
        raise UsageError("--compress goes with --format docker-dir only")
    if args.uncompressed and not kind.startswith("oci-"):
        raise UsageError("--uncompressed goes with --format oci-archive and oci-dir only")
    if kind == "docker-dir" and count > 1:
        raise UsageError("a docker-dir holds one image", "save the others to directories of their own")
    return Wish(
        format="oci" if kind.startswith("oci-") else "docker",
        compression="gzip" if args.compress else "",
        force=False if args.compress else None,
        plain=args.uncompressed,
    )


@contextmanager
def _open(args: Args) -> Iterator[Place]:
    """Give what opens the places of the images; the archive or directory they are in is completed."""
    if args.format.endswith("-dir"):
        directory = OutputDirectory(args.output)
        try:
            if args.format == "oci-dir":
                yield lambda name: LayoutDirectory(directory, name)
            else:
                yield lambda name: DirectoryDestination(directory)
        finally:
            directory.close()
        return
    with open_output(args.output, "an archive") as output:
        form = "oci" if args.format == "oci-archive" else "docker"
        with open_images_archive(form, output.fd, args.output or "standard output") as place:
            yield place
        output.keep()
