"""images: list the images of this machine, and the lists of images."""

from __future__ import annotations

import time

from daemonless.actions import columns
from daemonless.actions.format import Listing
from daemonless.actions.image_filters import Context, Filters
from daemonless.actions.image_names import repo_digests, split_name
from daemonless.actions.values import Struct
from daemonless.containers.instant import rfc3339
from daemonless.images.lists import ImageList
from daemonless.images.store import ImageStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from daemonless.actions.args import Args
    from daemonless.actions.image_filters import Listed

_HEADINGS = {"ID": "IMAGE ID", "_history": "HISTORY", "CreatedAt": "CREATED AT", "CreatedSince": "CREATED"}
_SORT = {
    "created": lambda row: (-row["_created"], row["Repository"], row["Tag"]),
    "id": lambda row: row["Id"],
    "repository": lambda row: (row["Repository"], row["Tag"]),
    "size": lambda row: row["_size"],
    "tag": lambda row: (row["Tag"], row["Repository"]),
}


class Row(Struct):
    """One line: an image or a list under one of its names, with the fields of podman's templates."""

    def __init__(self, image: Listed, name: str, context: Context, *, truncate: bool) -> None:
        repository, tag = split_name(name)
        created = created_seconds(image)
        stamp = time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime(created)) if created else "N/A"
        since = columns.ago(time.time() - created) if created else "N/A"
        identity = image.id.partition(":")[2]
        super().__init__(
            ID=identity[:12] if truncate else image.id,
            Id=identity,
            Repository=repository,
            Tag=tag,
            Digest=image.source_digest,
            Created=since,
            CreatedSince=since,
            CreatedAt=stamp,
            CreatedTime=stamp,
            Size=columns.size(image.size),
            VirtualSize=columns.size(image.size),
            SharedSize=columns.size(0),
            Labels=image.labels,
            Names=list(image.names),
            History=list(image.names),
            RepoTags=[each for each in image.names if "@" not in each],
            RepoDigests=repo_digests(image),
            Dangling=not image.names,
            ReadOnly=False,
            IsManifestList=isinstance(image, ImageList),
            _history=", ".join(image.names),
            _created=created,
            _size=image.size,
        )
        self._context = context
        self._image = image

    def __missing__(self, field: str) -> Any:
        if field == "Containers":
            self[field] = self._context.containers_of(self._image)
        elif field == "ParentId":
            image = self._image
            parent = None if isinstance(image, ImageList) else self._context.family.parent(image)
            self[field] = parent.id.partition(":")[2] if parent else ""
        elif field == "Label":
            return self.label
        else:
            raise KeyError(field)
        return self[field]

    def label(self, key: str) -> str:
        """Return the value of a label, empty if it is not set: docker's `{{.Label "key"}}`."""
        return self._image.labels.get(key, "")

    def complete(self) -> dict[str, Any]:
        """Return all public fields."""
        late = {name: self[name] for name in ("Containers", "ParentId")}
        return {**{name: value for name, value in self.items() if name[0] != "_"}, **late}

    def as_json(self) -> dict[str, Any]:
        """Return what `--format json` shows of the image, in podman's shape."""
        created = self["_created"]
        return {
            "Id": self["Id"],
            "ParentId": self["ParentId"],
            "RepoTags": self["RepoTags"],
            "RepoDigests": self["RepoDigests"],
            "Size": self["_size"],
            "SharedSize": 0,
            "VirtualSize": self["_size"],
            "Labels": self["Labels"] or None,
            "Containers": self["Containers"],
            **({"Dangling": True} if self["Dangling"] else {}),
            "Names": self["Names"],
            "Digest": self["Digest"],
            "History": self["History"],
            "IsManifestList": self["IsManifestList"],
            "Created": created,
            "CreatedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(created)),
        }


def main(args: Args) -> int:
    """Print the images that the filters let through."""
    store = ImageStore(args.paths.data)
    images = store.images()
    context = Context(args.paths, images)
    filters = Filters(args.filter or (), store, args.image, context)
    hidden = set() if args.all or filters.names("intermediate") else context.intermediate()
    everything: list[Listed] = [*images, *store.lists()]
    chosen = [image for image in everything if image.key not in hidden and filters.let_through(image)]
    for line in store.damaged:
        args.warn(line)
    if args.tree:
        from daemonless.actions.images_tree import render  # noqa: PLC0415 - seldom asked for

        shown = [image for image in chosen if any(map(filters.shows_name, image.names or ("",)))]
        print(render(shown, context), end="")
        return 0
    rows = [
        Row(image, name, context, truncate=not args.no_trunc)
        for image in chosen
        for name in image.names or ("",)
        if filters.shows_name(name)
    ]
    rows.sort(key=_SORT[args.sort])
    if args.quiet:
        ids = dict.fromkeys(f"sha256:{row['Id']}" if args.no_trunc else row["Id"][:12] for row in rows)
        print("".join(f"{identity}\n" for identity in ids), end="")
        return 0
    template = args.format or _table(args)
    as_json = [row.as_json() for row in _one_of_each(rows)] if template.strip() == "json" else None
    print(Listing(rows, _HEADINGS).render(template, noheading=args.noheading, as_json=as_json), end="")
    return 0


def _table(args: Args) -> str:
    digest = ["Digest"] if args.digests else []
    history = ["_history"] if args.history else []
    fields = ["Repository", "Tag", *digest, "ID", "Created", "Size", *history]
    return "table " + "\t".join(f"{{{{.{field}}}}}" for field in fields)


def _one_of_each(rows: list[Row]) -> list[Row]:
    return list({(row["Id"], row["Digest"]): row for row in reversed(rows)}.values())[::-1]


def created_seconds(image: Listed) -> int:
    """Return the creation time in seconds since the epoch, 0 if the image tells none."""
    nanoseconds = rfc3339(image.created)
    return (nanoseconds or 0) // 10**9
