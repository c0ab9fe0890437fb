"""push: copy images to registries, archives and directories."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from daemonless import events
from daemonless.actions.access import registry_access
from daemonless.actions.each import for_each
from daemonless.actions.list_members import open_source
from daemonless.actions.output import Output, open_output
from daemonless.actions.platforms import resolve_for
from daemonless.errors import NotFound, UsageError
from daemonless.files import write_all
from daemonless.images.listpush import Setting, push_list
from daemonless.images.lists import ImageList
from daemonless.images.progress import make_progress
from daemonless.images.push import Origins, Wish, check, push
from daemonless.images.store import ImageStore
from daemonless.images.transports.location import DIRECTORY, DOCKER, OCI, Location, parse_location
from daemonless.images.transports.opening import open_output_archive, open_output_directory
from daemonless.images.transports.registry import RegistryDestination
from daemonless.layers.compress import LEVELS
from daemonless.oci.image import asked_platform
from daemonless.oci.reference import parse_reference
from daemonless.registry.registries import load_registries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args
    from daemonless.images.store import Image
    from daemonless.images.transports.destination import Destination
    from daemonless.images.transports.source import Source
    from daemonless.oci.digest import Digest
    from daemonless.oci.image import Platform


def main(args: Args) -> int:
    """Push an image, or all of a repository, and print the digest of each."""
    if not args.all_tags:
        wanted = asked_platform(args.platform or "")
        show(args, push_named(args, args.image, args.destination or "", wanted=wanted))
        return 0
    if args.destination or args.digestfile or args.platform:
        raise UsageError(
            "--all-tags pushes several images under their names: it takes no destination, no --digestfile and"
            " no --platform"
        )
    repository = parse_reference(args.image)
    names = [
        name
        for image in _listed(ImageStore(args.paths.data))
        for name in image.names
        if "@" not in name and name.rpartition(":")[0] == repository.name
    ]
    if not names:
        raise NotFound(f"no image here is called {repository.name}", "see what there is: daemonless images")
    return for_each(sorted(names), lambda name: show(args, push_named(args, name, "")))


def _listed(store: ImageStore) -> list[Image | ImageList]:
    return [*store.images(), *store.lists()]


def show(args: Args, digest: Digest) -> None:
    """Print the digest of what was pushed, unless quiet."""
    if not args.quiet:
        print(digest, flush=True)


def push_named(
    args: Args,
    name: str,
    place: str,
    *,
    members: bool = True,
    wanted: Platform | None = None,
    added: tuple[str, ...] = (),
) -> Digest:
    """Push an image or a list to a place, or to its own name; return the digest of the manifest there.

    The images on a list go with it unless without `members`, in the compressions `added` as well; of
    one `wanted`, that goes alone. Everything else is as the options of `push` say.
    """
    wish = _wish(args).replace(added=added)
    check(wish)
    store = ImageStore(args.paths.data)
    image = resolve_for(store, name, wanted) if wanted else store.find(name)
    full_name = store.name_of(image, name)
    if not place and not full_name:
        raise UsageError(f"{name} is no name to push to", "give a destination: daemonless push IMAGE NAME")
    location = parse_location(place or full_name)
    with open_output(args.digestfile, "") if args.digestfile else Output(-1) as digestfile:
        with _open(args, location, store, full_name) as destination:
            if isinstance(image, ImageList):
                setting = _setting(args, location)
                digest = push_list(image, args.paths, destination, wish, setting, members=members)
            else:
                progress = make_progress(destination.name, quiet=args.quiet, verb="Pushing")
                digest = push(image, args.paths, destination, wish, progress)
        if args.digestfile:
            write_all(digestfile.fd, digest.encode())
            digestfile.keep()
    events.record(args.paths, "image", "push", image.id.partition(":")[2], name=destination.name)
    return digest


def _setting(args: Args, location: Location) -> Setting:
    here = location.reference.domain if location.reference else ""

    def open_origin(name: str) -> Source:
        # --creds is for the registry that is pushed to, and for no other
        return open_source(args, name, with_credentials=parse_reference(name).domain == here)

    return Setting(
        open_source=open_origin,
        show=lambda verb, what: make_progress(what, quiet=args.quiet, verb=verb),
    )


@contextmanager
def _open(args: Args, location: Location, store: ImageStore, full_name: str) -> Iterator[Destination]:
    """Give the place to push to; an archive there is complete, or none."""
    if location.reference and location.transport == DOCKER:
        client = registry_access(args).connect(load_registries().destination(location.reference))
        try:
            origins = Origins(store, args.paths, location.reference)
            yield RegistryDestination(client, location.reference, origins)
        finally:
            client.close()
    elif location.transport in (OCI, DIRECTORY):
        with open_output_directory(location) as destination:
            yield destination
    else:
        with open_output(location.path, "an archive") as output:
            tags = (full_name,) if full_name and "@" not in full_name else ()
            with open_output_archive(location, output.fd, tags) as destination:
                yield destination
            output.keep()


def _wish(args: Args) -> Wish:
    compression, level = args.compression_format or "", args.compression_level
    if args.disable_compression and (compression or level is not None or args.force_compression):
        raise UsageError("--disable-compression goes with no other option about compression")
    levels = LEVELS[compression or "gzip"]
    if level is not None and level not in levels:
        raise UsageError(
            f"{compression or 'gzip'} has no level {level}", f"its levels are {levels[0]} to {levels[-1]}"
        )
    return Wish(
        format={"v2s2": "docker"}.get(args.format, args.format or ""),
        compression=compression,
        level=level,
        force=args.force_compression,
        plain=args.disable_compression,
    )
