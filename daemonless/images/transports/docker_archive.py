"""docker-archive: - images as `docker save` writes them (moby image-spec v1.2, "Combined Image JSON").

    manifest.json     [{"Config": NAME, "RepoTags": [...], "Layers": [NAME, ...]}, ...]
    NAME              the config, and the layers as tar archives, plain as a rule

There are no descriptors in it: those of a config and of a compressed layer are made of their
bytes, that of a plain layer of the diff_id that the config states. What is read as a blob later
is verified against them.
"""

from __future__ import annotations

from typing import Any

from daemonless import jsonio
from daemonless.errors import InvalidData, NotFound, UsageError, printable
from daemonless.images.transports import names
from daemonless.images.transports.files import FileBlob, Files, read
from daemonless.images.transports.location import Location
from daemonless.layers.compression import LONGEST, detect
from daemonless.oci.digest import Digest, digest_of, new_hash
from daemonless.oci.image import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    MAX_DOCUMENT,
    MAX_LAYERS,
    Descriptor,
    Fetched,
    diff_ids,
    parse_config,
)
from daemonless.oci.reference import Reference, parse_reference
from daemonless.record import Record

_MAX_LIST = 1 << 20  # bytes of manifest.json
_SHOWN = 5  # names in a message


class _Item(Record):
    """One image of manifest.json."""

    number: int
    config: str
    layers: tuple[str, ...]
    tags: tuple[str, ...]

    @property
    def references(self) -> tuple[Reference, ...]:
        return tuple(reference for tag in self.tags for reference in names.from_tag(tag))


class DockerArchiveSource:
    """One image of an archive, with a manifest as docker would push it."""

    def __init__(self, files: Files, item: _Item, name: str) -> None:
        self.name = name
        self.references = item.references
        self._files = files
        self._item = item
        self._members: dict[Digest, str] = {}
        self._manifest = b""

    def fetch_manifest(self, digest: Digest | None = None, *, size: int | None = None) -> Fetched:
        """Return a manifest made of what the archive has."""
        if not self._manifest:
            self._manifest = self._make_manifest()
        return Fetched(data=self._manifest, content_type=DOCKER_MANIFEST, digest=digest_of(self._manifest))

    def open_blob(self, descriptor: Descriptor) -> FileBlob:
        """Open the config or a layer."""
        return FileBlob(self._files.open(self._members[descriptor.digest]), descriptor, self._files.name)

    def close(self) -> None:
        """Close nothing: other sources read the same files."""

    def _make_manifest(self) -> bytes:
        data = read(self._files, self._item.config, MAX_DOCUMENT)
        expected = diff_ids(parse_config(data, what=f"the config of {self.name}"))
        layers = self._item.layers
        if len(layers) != len(expected):
            raise InvalidData(f"{self.name} has {len(layers)} layers but {len(expected)} in its config")
        config = Descriptor(media_type=DOCKER_CONFIG, digest=digest_of(data), size=len(data))
        self._members[config.digest] = self._item.config
        manifest = {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": config.to_json(),
            "layers": [
                self._describe(member, diff_id).to_json()
                for member, diff_id in zip(layers, expected, strict=True)
            ],
        }
        return jsonio.dumps(manifest).encode()

    def _describe(self, member: str, diff_id: Digest) -> Descriptor:
        """Return the descriptor of a layer, hashing what is compressed."""
        with self._files.open(member) as part:
            start = part.read(LONGEST)
            compression = detect(start)
            if compression not in ("", "gzip", "zstd"):
                raise InvalidData(f"a layer of {self.name} is compressed with {compression}")
            digest = diff_id
            if compression:
                state = new_hash("sha256")
                state.update(start)
                while data := part.read():
                    state.update(data)
                digest = Digest(f"sha256:{state.hexdigest()}")
            self._members[digest] = member
            media_type = DOCKER_LAYER + (f".{compression}" if compression else "")
            return Descriptor(media_type=media_type, digest=digest, size=part.size)


def docker_archive_sources(files: Files, location: Location) -> list[DockerArchiveSource]:
    """Return the image that a location of an archive names, or all images of the archive.

    Raises NotFound, InvalidData or UsageError.
    """
    items = _read_list(files)
    if location.index is not None:
        if location.index >= len(items):
            raise UsageError(f"{files.name} has {len(items)} images, counted from 0", "choose another @INDEX")
        items = [items[location.index]]
    elif location.reference:
        items = [item for item in items if str(location.reference) in map(str, _as_written(item))]
        if not items:
            raise NotFound(f"{files.name} has no image called {location.reference}", _listed(files))
        items = items[:1]
    if not items:
        raise NotFound(f"{files.name} has no images")
    found = []
    for item in items:
        shown = item.tags[0] if item.tags else f"@{item.number}"
        name = printable(f"{location.transport}:{location.path}:{shown}")
        found.append(DockerArchiveSource(files, item, name))
    return found


def _as_written(item: _Item) -> list[Reference]:
    """Return the names of an item as they are meant for docker.io."""
    found = []
    for tag in item.tags:
        try:
            found.append(parse_reference(tag))
        except UsageError:
            continue
    return found


def _listed(files: Files) -> str:
    tags = [tag for item in _read_list(files) for tag in item.tags]
    shown = printable(", ".join(tags[:_SHOWN])) + (" ..." if len(tags) > _SHOWN else "")
    return f"it has {shown}" if tags else ""


def _read_list(files: Files) -> list[_Item]:
    what = f"manifest.json of {files.name}"
    document = jsonio.loads(read(files, "manifest.json", _MAX_LIST), what=what)
    if not isinstance(document, list):
        raise InvalidData(f"{what} is not a list")
    return [_parse_item(value, number, f"{what}[{number}]") for number, value in enumerate(document)]


def _parse_item(value: Any, number: int, what: str) -> _Item:
    if not isinstance(value, dict):
        raise InvalidData(f"{what} is not an object")
    config = value.get("Config")
    layers, tags = value.get("Layers") or [], value.get("RepoTags") or []
    if not isinstance(config, str):
        raise InvalidData(f"{what}.Config is not a string")
    for name, strings in (("Layers", layers), ("RepoTags", tags)):
        if not isinstance(strings, list) or not all(isinstance(each, str) for each in strings):
            raise InvalidData(f"{what}.{name} is not a list of strings")
    if len(layers) > MAX_LAYERS:
        raise InvalidData(f"{what} has {len(layers)} layers; at most {MAX_LAYERS} can be stacked")
    return _Item(number=number, config=config, layers=tuple(layers), tags=tuple(tags))
