"""system prune: remove everything that nothing uses."""

from __future__ import annotations

from daemonless.actions import builder_prune, columns, container_prune, image_prune
from daemonless.actions.confirm import confirm
from daemonless.actions.volume_filters import parse_filters
from daemonless.build.usage import CacheUsage, remove
from daemonless.containers import volumes
from daemonless.containers.filesystem import sizes
from daemonless.errors import UsageError
from daemonless.layers import trash
from daemonless.layers.usage import sizes_of
from daemonless.volumes.store import VolumeStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemonless.actions.args import Args

_KEYS = {"label", "label!", "until"}


def main(args: Args) -> int:
    """Remove containers first, so that their images and volumes are not used by them; print what went."""
    paths, filters = args.paths, args.filter or ()
    for text in filters:
        if text.partition("=")[0] not in _KEYS:
            raise UsageError(f"{text} is not a filter of prune", f"the keys are {', '.join(sorted(_KEYS))}")
    containers = container_prune.candidates(paths, filters)
    if not args.force:
        kinds = [
            "all containers that do not run",
            *(["all volumes that no container uses"] if args.volumes else []),
            "all images that no container uses" if args.all else "all images without a name",
            "the build cache" if args.all else "what only the build cache needs",
            "all files that no image needs",
        ]
        if not confirm("This removes:", [f"  - {kind}" for kind in kinds]):
            return 0
    written = sizes(containers)
    if containers:
        print("Deleted Containers", flush=True)
    status, removed = container_prune.prune(paths, containers)
    freed = sum(written[identity][0] for identity in removed if identity in written)
    if args.volumes:
        store, users = VolumeStore(paths), volumes.Users(paths)
        passes = parse_filters(filters, store, users)
        measured = sizes_of({volume.name: volume.mountpoint for volume in store.volumes()})
        gone = volumes.prune(paths, lambda volume: not passes(volume))
        freed += sum(measured.get(name, 0) for name in gone)
        _print("Volumes", gone)
    images, size = image_prune.prune(paths, image_prune.candidates(paths, filters, every=args.all))
    _print("Images", images)
    size += _prune_cache(args, filters)
    print(f"Total reclaimed space: {columns.size(freed + size, '')}")
    trash.empty_in_background(paths.data)
    return status


def _prune_cache(args: Args, filters: Sequence[str]) -> int:
    """Remove what the build cache has, unless filters ask for a label, which nothing of it has."""
    if any(text.startswith("label=") for text in filters):
        return 0
    wanted = builder_prune.parse_filters([text for text in filters if text.startswith("until=")])
    gone, freed = remove(args.paths, CacheUsage(args.paths).doomed(wanted.replace(every=args.all)))
    _print("build cache objects", [entry.id for entry in gone])
    return freed


def _print(kind: str, names: list[str]) -> None:
    if names:
        print(f"Deleted {kind}", *names, sep="\n", flush=True)
