"""system df: what images, containers, volumes and the build cache take of the disk, and could give back."""

from __future__ import annotations

import time

from daemonless.actions import builder_prune, columns
from daemonless.actions.format import Listing
from daemonless.actions.image_filters import Context
from daemonless.actions.image_names import split_name
from daemonless.actions.images import created_seconds
from daemonless.actions.psrow import ALIVE, Row, Shared
from daemonless.actions.values import Struct
from daemonless.build.usage import CacheUsage
from daemonless.containers.store import ContainerStore
from daemonless.containers.volumes import Users
from daemonless.errors import DaemonlessError, UsageError
from daemonless.images import garbage
from daemonless.images.store import ImageStore
from daemonless.layers.usage import sizes_of
from daemonless.volumes.store import VolumeStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from daemonless.actions.args import Args
    from daemonless.actions.image_filters import Listed
    from daemonless.build.usage import Entry
    from daemonless.config import Paths
    from daemonless.images.garbage import Piece

_TABLE = "table {{.Type}}\t{{.Total}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}"
_IMAGES = ("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE", "SHARED SIZE", "UNIQUE SIZE", "CONTAINERS")
_LAYERS = ("LAYER ID", "SIZE", "IMAGES", "CONTAINERS", "RECLAIMABLE")
_CONTAINERS = ("CONTAINER ID", "IMAGE", "COMMAND", "LOCAL VOLUMES", "SIZE", "CREATED", "STATUS", "NAMES")
_VOLUMES = ("VOLUME NAME", "LINKS", "SIZE")


def main(args: Args) -> int:
    """Print four lines, or with --verbose a table for each kind of object."""
    if args.verbose and args.format:
        raise UsageError("--verbose and --format cannot be used together")
    usage = _Usage(args.paths)
    for line in usage.warnings:
        args.warn(line)
    if args.verbose:
        for title, heading, lines in (
            ("Images", _IMAGES, usage.image_rows()),
            ("Layers", _LAYERS, usage.layer_rows()),
            ("Containers", _CONTAINERS, usage.container_rows()),
            ("Local Volumes", _VOLUMES, usage.volume_rows()),
            ("Build cache", builder_prune.HEADING, map(builder_prune.row, usage.cached)),
        ):
            print(f"{title} space usage:\n")
            print(columns.table([heading, *lines]))
        print(f"Files that no image needs: {columns.size(usage.garbage, '')}")
        return 0
    rows = [usage.images(), usage.containers(), usage.volumes(), usage.build_cache()]
    print(Listing(rows, {}).render(args.format or _TABLE), end="")
    return 0


class _Line(Struct):
    """One line under docker's and podman's names."""

    def __init__(self, kind: str, total: int, active: int, size: int, reclaimable: int) -> None:
        share = round(100 * reclaimable / size) if size else 0
        super().__init__(
            Type=kind,
            Total=total,
            Active=active,
            RawSize=size,
            RawReclaimable=reclaimable,
            TotalCount=total,
            Size=columns.size(size, ""),
            Reclaimable=f"{columns.size(reclaimable, '')} ({share}%)",
        )


class _Usage:
    """Everything there is, measured once."""

    def __init__(self, paths: Paths) -> None:
        store = ImageStore(paths.data)
        self._images = store.images()
        self._lists = store.lists()
        self.warnings = store.damaged
        self._containers = ContainerStore(paths).containers()
        self._shared = Shared(paths, self._containers)
        self._context = Context(paths, self._images)
        self._volumes = VolumeStore(paths).volumes()
        self._users = Users(paths)
        self._sizes: dict[str, int] | None = None
        self._pieces = garbage.pieces(paths.data)
        self._by_digest: dict[str, list[Piece]] = {}
        for piece in self._pieces:
            self._by_digest.setdefault(piece.digest, []).append(piece)
        self.cached: list[Entry] = []  # what the build cache holds
        self._own: set[str] = set()  # digests that nothing but the cache needs
        try:
            cache = CacheUsage(paths)
        except DaemonlessError as error:  # all may be needed
            self.warnings.append(error.message)
            kept = set(self._by_digest)
        else:
            kept, self.cached, self._own = cache.needed, cache.entries, cache.own
        self.garbage = self._bytes(digest for digest in self._by_digest if digest not in kept)
        by_use: dict[bool, set[str]] = {False: set(), True: set()}
        for image in self._images:
            by_use[self._is_used(image)] |= image.needs
        for each in self._lists:
            by_use[self._is_used(each)] |= store.needs_of(each)
        # what image prune --all would remove
        self._reclaimable = (set(self._by_digest) - kept) | (by_use[False] - by_use[True])

    def _is_used(self, image: Listed) -> bool:
        return self._context.containers_of(image) > 0

    def _bytes(self, digests: Iterable[str]) -> int:
        return sum(piece.size for digest in digests for piece in self._by_digest.get(digest, ()))

    def images(self) -> _Line:
        everything: list[Listed] = [*self._images, *self._lists]
        used = sum(map(self._is_used, everything))
        size = sum(piece.size for piece in self._pieces if piece.digest not in self._own)
        return _Line("Images", len(everything), used, size, self._bytes(self._reclaimable))

    def image_rows(self) -> Iterator[tuple[str, ...]]:
        counts: dict[str, int] = {}
        for image in self._images:
            for digest in image.needs:
                counts[digest] = counts.get(digest, 0) + 1
        for image in self._images:
            shared = self._bytes(digest for digest in image.needs if counts[digest] > 1)
            unique = self._bytes(digest for digest in image.needs if counts[digest] == 1)
            created = created_seconds(image)
            for name in image.names or ("",):
                yield (
                    *split_name(name),
                    image.id[7:19],
                    columns.duration(time.time() - created) if created else "N/A",
                    *(columns.size(size, "") for size in (shared + unique, shared, unique)),
                    str(self._context.containers_of(image)),
                )

    def layer_rows(self) -> Iterator[tuple[str, ...]]:
        for digest, found in self._by_digest.items():
            if not any(piece.is_layer for piece in found):
                continue
            users = [image for image in self._images if digest in image.diff_ids]
            size = sum(piece.size for piece in found if piece.is_layer)
            yield (
                digest.partition(":")[2][:12],
                columns.size(size, ""),
                str(len(users)),
                str(sum(map(self._context.containers_of, users))),
                columns.size(size if digest in self._reclaimable else 0, ""),
            )

    def containers(self) -> _Line:
        sizes = {each.id: self._shared.sizes(each)[0] for each in self._containers}
        alive = [each for each in self._containers if each.status in ALIVE]
        total = sum(sizes.values())
        free = total - sum(sizes[each.id] for each in alive)
        return _Line("Containers", len(sizes), len(alive), total, free)

    def container_rows(self) -> Iterator[tuple[Any, ...]]:
        now = time.time()
        for container in self._containers:
            row = Row(container, self._shared, now, no_trunc=False)
            size = columns.size(self._shared.sizes(container)[0], "")
            words = (row[key] for key in ("Image", "Command"))
            yield (
                *(row["ID"], *words, str(row["LocalVolumes"]), size),
                *(row["CreatedHuman"].removesuffix(" ago"), row["State"], row["Names"]),
            )

    def _volume_sizes(self) -> dict[str, int]:
        if self._sizes is None:
            self._sizes = sizes_of({volume.name: volume.mountpoint for volume in self._volumes})
        return self._sizes

    def volumes(self) -> _Line:
        sizes = self._volume_sizes()
        used = [volume.name for volume in self._volumes if self._users.of(volume.name)]
        total = sum(sizes.values())
        free = total - sum(sizes.get(name, 0) for name in used)
        return _Line("Local Volumes", len(self._volumes), len(used), total, free)

    def volume_rows(self) -> Iterator[tuple[str, ...]]:
        sizes = self._volume_sizes()
        for volume in self._volumes:
            links = len(self._users.of(volume.name))
            yield volume.name, str(links), columns.size(sizes.get(volume.name, 0), "")

    def build_cache(self) -> _Line:
        shared = sum(entry.shared for entry in self.cached)
        size = sum(entry.size for entry in self.cached)
        free = sum(entry.size for entry in self.cached if not entry.shared)
        return _Line("Build Cache", len(self.cached), shared, size, free)
