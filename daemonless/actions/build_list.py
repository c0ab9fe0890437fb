"""build for several platforms, or onto a list of images: an image each, and what names them together."""

from __future__ import annotations

import os

from daemonless import events, jsonio
from daemonless.actions.args import Args
from daemonless.actions.names import new_reference
from daemonless.actions.push import push_named
from daemonless.errors import NotFound, Unsupported
from daemonless.files import write_atomic
from daemonless.images.listing import add_members, create_list
from daemonless.images.lists import new_document
from daemonless.images.members import Choice, of_stored
from daemonless.images.store import ImageStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from daemonless.build.finishing import Finished
    from daemonless.images.leases import Lease
    from daemonless.images.lists import ImageList, Member


def build_list(args: Args, platforms: list[str], lease: Lease, build: Callable[..., Finished | None]) -> str:
    """Build for each platform, put the images on the lists that --tag and --manifest name; return an id.

    That is the last list's. Raises Unsupported for what only one image can have, and what `build` raises.
    """
    if args.context == "-" or args.file == "-":
        raise Unsupported(
            "standard input can be read once, and each platform reads it", "put it into a directory or a file"
        )
    if args.output:
        raise Unsupported(
            "--output takes one image, and a build for several platforms, or for --manifest, gives a list",
            "push the list, with --push or daemonless manifest push, or build one platform",
        )
    store = ImageStore(args.paths.data)
    own = {"tag": (), "manifest": None, "iidfile": None, "metadata_file": None, "push": False}
    members: list[Member] = []
    for platform in platforms or [args.platform]:
        built = build(Args({**vars(args), **own, "platform": platform}, {}), lease, listed=False)
        if built is not None:  # with --check there is none
            members += of_stored(store, lease, store.unlisted(built.descriptor), Choice())
    if not members:
        return ""
    found = _listed(args, store, members)
    if args.push:
        for name in args.tag or [args.manifest]:
            push_named(args, name, "")
    _write_results(args, found)
    return found.id


def _listed(args: Args, store: ImageStore, members: list[Member]) -> ImageList:
    """Put the images on the list of --manifest, and on one with all names of --tag, which replaces others."""
    if args.manifest:
        try:
            found, _ = add_members(store, store.find_list(args.manifest), members)
        except NotFound:
            found = create_list(store, new_reference(args.manifest), new_document({}), members)
        if not args.tag:
            return found
    references = [new_reference(name) for name in args.tag]
    first = references[0] if references else None
    found = create_list(store, first, new_document({}), members, replace=first is not None)
    for reference in references[1:]:
        store.tag(found, reference)
    for name in map(str, references) if references else ("",):
        events.record(args.paths, "image", "build", found.id.partition(":")[2], name=name)
    return found


def _write_results(args: Args, found: ImageList) -> None:
    if args.iidfile:
        write_atomic(os.path.abspath(args.iidfile), found.id.encode(), durable=False, mode=0o644)
    if args.metadata_file:
        names = ",".join(found.names)
        metadata = {"containerimage.digest": found.digest, **({"image.name": names} if names else {})}
        text = jsonio.dumps(metadata) + "\n"
        write_atomic(os.path.abspath(args.metadata_file), text.encode(), durable=False, mode=0o644)
