"""image prune: remove the images that nothing uses, and whatever else no image needs."""

from __future__ import annotations

import os

from daemonless import events
from daemonless.actions import columns
from daemonless.actions.confirm import confirm
from daemonless.actions.image_filters import Context, Filters
from daemonless.containers import needs
from daemonless.errors import Conflict, UsageError
from daemonless.images import garbage
from daemonless.images.lists import ImageList
from daemonless.images.store import ImageStore
from daemonless.layers import trash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemonless.actions.args import Args
    from daemonless.actions.image_filters import Listed
    from daemonless.config import Paths

_KEYS = {"label", "label!", "until"}


def main(args: Args) -> int:
    """Remove the images and print their ids; what was freed goes to stderr."""
    doomed = candidates(args.paths, args.filter or (), every=args.all)
    if not args.force:
        what = "images that no container uses" if args.all else "images without a name that no container uses"
        shown = [f"{image.id[7:19]}  {', '.join(image.names)}".rstrip() for image in doomed]
        if not confirm(f"This removes all {what}, and files that no image needs:", shown):
            return 0
    removed, freed = prune(args.paths, doomed)
    print("".join(f"{identity}\n" for identity in removed), end="")
    if freed:
        os.write(2, f"Freed {columns.size(freed)}\n".encode())
    trash.empty_in_background(args.paths.data)
    return 0


def candidates(paths: Paths, filters: Sequence[str], *, every: bool) -> list[Listed]:
    """Return the images to prune: those without a name, or `every` one, that no container uses.

    Raises UsageError for a bad filter, InvalidData if an image or a container is damaged, so that
    what is needed cannot be known.
    """
    store = ImageStore(paths.data)
    keys = {text.partition("=")[0] for text in filters}
    if keys - _KEYS:
        raise UsageError(
            f"{min(keys - _KEYS)} is not a filter of prune", f"the keys are {', '.join(sorted(_KEYS))}"
        )
    images = store.images()
    everything: list[Listed] = [*images, *store.lists()]
    context = Context(paths, images)
    chosen = Filters(filters, store, None, context)
    with store.lock():  # against a removal, which is half done in between
        garbage.needed(store, needs.users(paths))
    return [
        image
        for image in everything
        if (every or not (image.names or context.is_intermediate(image)))
        and not context.containers_of(image)
        and chosen.let_through(image)
    ]


def prune(paths: Paths, doomed: Sequence[Listed]) -> tuple[list[str], int]:
    """Remove images, unless somebody has come to use them, and all garbage; return ids and bytes freed."""
    store = ImageStore(paths.data)
    removed: dict[str, str] = {}  # ids with a name

    for image in doomed:

        def check_unused(image: Listed = image) -> None:
            # of all images, those whose containers are not the list's
            others = store.images() if isinstance(image, ImageList) else ()
            if Context(paths, others).containers_of(image):
                raise Conflict(f"image {image.id} is in use")

        try:
            store.unlist(image, check_unused)
        except Conflict:
            continue
        removed[image.id.partition(":")[2]] = image.names[0] if image.names else ""
    freed = sum(piece.size for piece in garbage.collect(store, needs.users(paths)))
    for identity, name in removed.items():
        events.record(paths, "image", "remove", identity, name=name)
    if removed:
        events.record(paths, "image", "prune", "", attributes={"count": str(len(removed))})
    return list(removed), freed
