"""build for several platforms, or onto a list of images: an image each, and what names them together."""

from __future__ import annotations

from daemonless import events
from daemonless.actions.args import Args
from daemonless.actions.build_output import Outputs
from daemonless.actions.build_results import tell
from daemonless.actions.names import new_reference
from daemonless.build.annotations import annotations_of
from daemonless.build.progress import make_report
from daemonless.errors import NotFound, Unsupported, printable
from daemonless.images.listing import add_members, create_list
from daemonless.images.lists import new_document
from daemonless.images.members import Choice, of_stored
from daemonless.images.store import ImageStore
from daemonless.oci.image import host_platform, parse_platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from daemonless.build.finishing import Finished
    from daemonless.images.leases import Lease
    from daemonless.images.lists import ImageList, Member
    from daemonless.oci.reference import Reference


def build_list(args: Args, platforms: list[str], lease: Lease, build: Callable[..., Finished | None]) -> str:
    """Build for each platform, put the images on the lists that --tag and --manifest name; return an id.

    That is the last list's, empty if there is none. The files of each image go into a directory of
    its platform. Raises Unsupported for what only one image can have, and what `build` raises.
    """
    if args.context == "-" or args.file == "-":
        raise Unsupported(
            "standard input can be read once, and each platform reads it", "put it into a directory or a file"
        )
    named = args.tag or filter(None, [args.manifest])
    outputs = Outputs(args, tuple(new_reference(name) for name in named))
    if any(output.kind != "local" for output in outputs.files):
        raise Unsupported(
            "an archive takes one image, and a build for several platforms, or for --manifest, gives a list",
            "push the list, with --push or daemonless manifest push, or build one platform",
        )
    store = ImageStore(args.paths.data)
    own = {"tag": (), "manifest": None, "iidfile": None, "metadata_file": None, "push": False}
    members: list[Member] = []
    for platform in platforms or [args.platform]:
        given = {**vars(args), **own, "platform": platform, "output": _of_platform(outputs, platform)}
        built = build(Args(given, {}), lease, listed=False)
        if built is not None:  # with --check there is none
            members += of_stored(store, lease, store.unlisted(built.descriptor), Choice())
    if not members or not outputs.is_listed:
        return ""
    tags = () if args.manifest and not args.tag else outputs.tags
    found = _listed(args, store, members, tags)
    with make_report("quiet" if args.quiet else args.progress) as report:
        for reference in outputs.tags if report.is_for_people else ():
            report.say(f"Tagged {reference}")
    outputs.push(quiet=args.quiet or args.progress in ("quiet", "rawjson"))
    names = ",".join(found.names)
    tell(args, found.id, {"containerimage.digest": found.digest, **({"image.name": names} if names else {})})
    return found.id


def _of_platform(outputs: Outputs, platform: str | None) -> tuple[str, ...]:
    """Return the --output of one of the builds: directories below, called as BuildKit calls them."""
    name = str(parse_platform(platform) if platform else host_platform()).replace("/", "_")
    places = [f"{output.dest}/{name}".replace('"', '""') for output in outputs.files]
    return tuple(f'type=local,"dest={place}"' for place in places)


def _listed(
    args: Args, store: ImageStore, members: list[Member], references: tuple[Reference, ...]
) -> ImageList:
    """Put the images on the list of --manifest, and on one with all these names, which replaces others."""
    annotations = dict(annotations_of(args.annotation, host_platform()).index)
    if args.manifest:
        try:
            found, _ = add_members(store, store.find_list(args.manifest), members)
            if annotations:
                args.warn(f"{printable(args.manifest)} was there before, and keeps its annotations")
        except NotFound:
            found = create_list(store, new_reference(args.manifest), new_document(annotations), members)
        if not references:
            return found
    first = references[0] if references else None
    found = create_list(store, first, new_document(annotations), members, replace=first is not None)
    for reference in references[1:]:
        store.tag(found, reference)
    for name in map(str, references) if references else ("",):
        events.record(args.paths, "image", "build", found.id.partition(":")[2], name=name)
    return found
