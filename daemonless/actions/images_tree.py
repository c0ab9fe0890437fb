"""images --tree: each image once, its further names below the first."""

from __future__ import annotations

from daemonless.actions import columns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemonless.actions.image_filters import Context
    from daemonless.images.store import Image

_HEADINGS = ("IMAGE", "ID", "PLATFORM", "DISK USAGE", "CONTENT SIZE", "CONTAINERS")


def render(images: Sequence[Image], context: Context) -> str:
    """Return the table. The content is what is transferred; the usage is that and its files, unpacked."""
    rows: list[tuple[str, ...]] = [_HEADINGS]
    for image in images:
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
        for number, name in enumerate(others, 1):
            rows.append((f"{'└─' if number == len(others) else '├─'} {name}",))
    widest = max(len(row[0]) for row in rows)
    return columns.table([(row[0].ljust(widest), *row[1:]) if len(row) > 1 else row for row in rows])
