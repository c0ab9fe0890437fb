"""history: how an image came about, a line for each step, the newest first."""

from __future__ import annotations

import time

from daemonless.actions import columns
from daemonless.actions.format import Listing
from daemonless.actions.platforms import resolve_for
from daemonless.actions.values import Struct
from daemonless.containers.instant import rfc3339
from daemonless.images.family import Family, history_of
from daemonless.images.store import ImageStore
from daemonless.layers.store import unpacked_size
from daemonless.oci.image import asked_platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from daemonless.actions.args import Args
    from daemonless.images.store import Image

MISSING = "<missing>"
_DEFAULT = "table {{.ID}}\t{{.Created}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
_HEADINGS = {"CreatedBy": "CREATED BY", "CreatedAt": "CREATED AT", "CreatedSince": "CREATED"}
_WIDEST = 45  # characters of a command


class Step(Struct):
    """One step under podman's and docker's names; an ID and tags only where an image ends with it."""

    def __init__(self, image: Image | None, entry: dict[str, Any], size: int, args: Args) -> None:
        identity = image.id.partition(":")[2] if image else MISSING
        stated = entry.get("created")
        nanoseconds = rfc3339(stated) if isinstance(stated, str) else None
        seconds = (nanoseconds or 0) // 10**9
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if seconds else "N/A"
        since = columns.ago(time.time() - seconds) if seconds else "N/A"
        command = _text(entry, "created_by")
        shown = command if args.no_trunc or len(command) <= _WIDEST else f"{command[: _WIDEST - 3]}..."
        tags = [*image.names] if image else []
        super().__init__(
            ID=identity if args.no_trunc else identity[:12],
            Created=since if args.human else stamp,
            CreatedAt=stamp,
            CreatedSince=since,
            CreatedBy=shown.replace("\t", " ").replace("\n", " "),
            Size=columns.size(size) if args.human else size,
            Comment=_text(entry, "comment"),
            Tags=tags,
        )
        self._json = {
            "id": identity,
            "created": stamp if seconds else "",
            "CreatedBy": command,
            "tags": tags or None,
            "size": size,
            "comment": _text(entry, "comment"),
        }

    def as_json(self) -> dict[str, Any]:
        """Return what `--format json` shows, in podman's shape."""
        return self._json


def main(args: Args) -> int:
    """Print the steps."""
    store = ImageStore(args.paths.data)
    image = resolve_for(store, args.image, asked_platform(args.platform or ""))
    rows = [Step(*step, args) for step in _steps(store, image)]
    template = args.format or ("{{.ID}}" if args.quiet else _DEFAULT)
    as_json = [row.as_json() for row in rows] if template.strip() == "json" else None
    print(Listing(rows, _HEADINGS).render(template, as_json=as_json), end="")
    return 0


def _steps(store: ImageStore, image: Image) -> Iterator[tuple[Image | None, dict[str, Any], int]]:
    """Yield for each step the image that ended with it, its history entry and its bytes, unpacked.

    A history need not fit the layers: a layer without an entry is a step without words.
    """
    steps: list[tuple[dict[str, Any], int]] = []
    sizes = [layer_size(store.data, image, number) for number in range(len(image.diff_ids))]
    used = 0
    for entry in history_of(image):
        has_layer = not entry.get("empty_layer") and used < len(sizes)
        steps.append((entry, sizes[used] if has_layer else 0))
        used += has_layer
    steps += [({}, size) for size in sizes[used:]]
    ends = {len(history_of(each)): each for each in reversed(Family(store.images()).ancestors(image))}
    ends[len(steps)] = image
    for count in range(len(steps), 0, -1):
        yield ends.get(count), *steps[count - 1]


def layer_size(data: str, image: Image, number: int) -> int:
    """Return the bytes of a layer's files, or of its archive as long as it is not unpacked."""
    size = unpacked_size(data, image.diff_ids[number])
    return image.layers[number].size if size is None else size


def _text(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""
