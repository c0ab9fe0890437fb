"""images --tree: each image once, its further names below the first."""

from __future__ import annotations

from daemonless.actions import columns
from daemonless.images.lists import ImageList

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemonless.actions.image_filters import Context, Listed

_HEADINGS = ("IMAGE", "ID", "PLATFORM", "DISK USAGE", "CONTENT SIZE", "CONTAINERS")


def render(images: Sequence[Listed], context: Context) -> str:
    """Return the table. The content is what is transferred; the usage is that and its files, unpacked."""
    rows: list[tuple[str, ...]] = [_HEADINGS]
    for image in images:
        if isinstance(image, ImageList):
            rows += _list_rows(image, context)
            continue
        content = sum({layer.digest: layer.size for layer in image.layers}.values())
        platform = "/".join(
            str(image.config[key]) for key in ("os", "architecture", "variant") if image.config.get(key)
        )
        first, *others = image.names or ("<none>",)
        rows.append(
            (
                first,
                image.id[7:19],
                platform,
                columns.size(content + image.size),
                columns.size(content),
                str(context.containers_of(image)),
            )
        )
        rows += _branches([(name,) for name in others])
    widest = max(len(row[0]) for row in rows)
    return columns.table([(row[0].ljust(widest), *row[1:]) if len(row) > 1 else row for row in rows])


def _list_rows(image: ImageList, context: Context) -> list[tuple[str, ...]]:
    """Return the rows of a list: its names, and a line for each image on it."""
    first, *others = image.names or ("<none>",)
    size = columns.size(image.size)
    members = [
        (str(member.platform or "unknown"), member.digest.hex[:12]) for member in image.index.manifests
    ]
    return [
        (first, image.id[7:19], "", size, size, str(context.containers_of(image))),
        *_branches(
            [*((name,) for name in others), *((digest, "", platform) for platform, digest in members)]
        ),
    ]


def _branches(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the rows with branches of a tree before their first cells."""
    return [
        (f"{'└─' if number == len(rows) else '├─'} {row[0]}", *row[1:]) for number, row in enumerate(rows, 1)
    ]
