"""image tree: the layers of an image, or what was built on it."""

from __future__ import annotations

from daemonless.actions import columns
from daemonless.actions.history import layer_size
from daemonless.images.family import Family
from daemonless.images.store import ImageStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from daemonless.actions.args import Args
    from daemonless.images.store import Image


def main(args: Args) -> int:
    """Print podman's heading and a line for each layer, the lowest first; or for each image built on it."""
    store = ImageStore(args.paths.data)
    image = store.resolve(args.image)
    images = store.images()
    print(f"Image ID: {image.id[7:19]}")
    print(f"Tags:     [{' '.join(image.names)}]")
    print(f"Size:     {columns.size(image.size, '')}")
    if args.whatrequires:
        print("Images built on it")
        lines = _descendants(Family(images), image, "")
    else:
        print("Image Layers")
        lines = _layers(store, image, images)
    for line in lines:
        print(line)
    return 0


def _layers(store: ImageStore, image: Image, images: Sequence[Image]) -> Iterator[str]:
    names: dict[tuple[str, ...], list[str]] = {}
    for other in images:
        names.setdefault(other.diff_ids, []).extend(other.names or (other.id[7:19],))
    for number, diff_id in enumerate(image.diff_ids, 1):
        branch = "└──" if number == len(image.diff_ids) else "├──"
        shown = columns.size(layer_size(store.data, image, number - 1), "")
        ends = names.get(image.diff_ids[:number], ())
        top = f" Top Layer of: [{' '.join(ends)}]" if ends else ""
        yield f"{branch} ID: {diff_id[7:19]} Size: {shown}{top}"


def _descendants(family: Family, image: Image, indent: str) -> Iterator[str]:
    children = family.children(image)
    for number, child in enumerate(children, 1):
        is_last = number == len(children)
        layers = len(child.diff_ids) - len(image.diff_ids)
        more = f"{layers} more layer{'' if layers == 1 else 's'}"
        yield f"{indent}{'└──' if is_last else '├──'} ID: {child.id[7:19]} {more}: [{' '.join(child.names)}]"
        yield from _descendants(family, child, f"{indent}{'    ' if is_last else '│   '}")
