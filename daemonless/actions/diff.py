"""diff: what a container has changed in its image's files, or an image's last layer in those below."""

from __future__ import annotations

import os

from daemonless.actions.format import pretty
from daemonless.containers.filesystem import in_layers
from daemonless.containers.store import ContainerStore
from daemonless.errors import InvalidData, NotFound, UsageError, printable
from daemonless.images.store import ImageStore
from daemonless.isolation.rootview import of_layers
from daemonless.isolation.userns import load_id_map
from daemonless.layers.changes import find_changes
from daemonless.layers.store import LayerStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args
    from daemonless.isolation.task import Task

_KEYS = {"C": "changed", "A": "added", "D": "deleted"}
_MAX_PATH = 4096


def main(args: Args) -> int:
    """Print the changes, one a line, or as the JSON that podman prints."""
    if bool(args.name) == args.latest:
        raise UsageError("name a container or an image, or use --latest")
    with _start(args) as task:
        changes = task.wait()
    if args.format:
        print(pretty({key: paths for kind, key in _KEYS.items() if (paths := _of_kind(changes, kind))}))
        return 0
    shown = printable_path if os.isatty(1) else str
    for kind, path in changes:
        print(kind, shown(path))
    return 0


def printable_path(path: str) -> str:
    """Return a path as a terminal may show it; for other programs it stays what it is."""
    return printable(path, _MAX_PATH)


def _of_kind(changes: list[tuple[str, str]], wanted: str) -> list[str]:
    return [path for kind, path in changes if kind == wanted]


def _start(args: Args) -> Task:
    store = ContainerStore(args.paths)
    if args.latest:
        return in_layers(store.latest(), find_changes)
    if args.type != "image":
        try:
            container = store.find(args.name)
        except NotFound:
            if args.type == "container":
                raise
        else:
            return in_layers(container, find_changes)
    return _start_for_image(args)


def _start_for_image(args: Args) -> Task:
    try:
        image = ImageStore(args.paths.data).resolve(args.name)
    except (NotFound, UsageError):
        if args.type == "image":
            raise
        raise NotFound(
            f'no such object: "{args.name}"', "daemonless ps --all and daemonless images list what there is"
        ) from None
    id_map = load_id_map(os.getuid(), os.getgid())
    layers = LayerStore(args.paths.data, id_map.key)
    if not all(layers.has(diff_id) for diff_id in image.diff_ids):
        from daemonless.images.pull import unpack_for  # noqa: PLC0415 - HTTP and its threads, 100 ms

        unpack_for(image, args.paths, id_map)
    if not image.diff_ids:
        raise InvalidData(f"image {image.id} has no layers")
    *lowers, top = (layers.path(diff_id) for diff_id in image.diff_ids)
    below = list(dict.fromkeys(lowers[::-1]))
    return of_layers(top, below, f"{args.paths.data}/tmp", id_map, find_changes)
