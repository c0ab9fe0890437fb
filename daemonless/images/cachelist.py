"""What a build cache that lies elsewhere has: the document that is the config of its manifest.

    index.json or a tag -> manifest -> config: this document
                                    -> layers: the blobs of layers, and archives of cache mounts

The same records are a member of an image's config, where an image brings the cache of its own build
(`type=inline`). Whoever can write such a document decides what the steps it names give, so it counts
only where the caller named it; what it says is checked for its form, blobs for their digests.
"""

from __future__ import annotations

from daemonless import jsonio
from daemonless.errors import DaemonlessError, InvalidData
from daemonless.images.buildcache import CachedStep, StepLayer, layer_from_json, layer_to_json
from daemonless.oci.digest import is_hex
from daemonless.oci.image import MAX_LAYERS, OCI_MANIFEST, Descriptor, layer_compression, parse_descriptor
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

CACHE_CONFIG = "application/vnd.daemonless.buildcache.config.v1+json"
CACHE_MOUNT = "application/vnd.daemonless.buildcache.mount.v1.tar+gzip"
INLINE = "daemonless.buildcache"  # the member of an image's config
MAX_CACHE_LIST = 16 << 20  # bytes of the document
_SCHEMA = 1
_MAX_RECORDS = 20_000
_LONGEST = 4096  # characters of an instruction
_LATEST = 1e11  # seconds since the epoch, the year 5138


class MountArchive(Record):
    """The content of a cache mount."""

    name: str  # that of its directory, a hash of what tells it from others
    id: str
    about: dict[str, Any]  # what the name is a hash of
    used: float  # when a step last used it, in seconds since the epoch
    descriptor: Descriptor


class CacheList(Record):
    """All that one cache has."""

    steps: tuple[CachedStep, ...] = ()
    mounts: tuple[MountArchive, ...] = ()

    def blobs(self) -> list[Descriptor]:
        """Return each blob once, those that were used last first."""
        found = [(step.used, step.layer.descriptor) for step in self.steps if step.layer]
        found += [(mount.used, mount.descriptor) for mount in self.mounts]
        found.sort(key=lambda each: -each[0])
        return list({descriptor.digest: descriptor for _, descriptor in found}.values())

    def merged(self, older: CacheList) -> CacheList:
        """Return this one with what only the older one has."""
        steps = {step.key: step for step in (*older.steps, *self.steps)}
        mounts = {mount.name: mount for mount in (*older.mounts, *self.mounts)}
        return CacheList(steps=tuple(steps.values()), mounts=tuple(mounts.values()))

    def without(self, missing: Callable[[Descriptor], bool]) -> CacheList:
        """Return it without what needs a blob that is missing."""
        return CacheList(
            steps=tuple(step for step in self.steps if not (step.layer and missing(step.layer.descriptor))),
            mounts=tuple(mount for mount in self.mounts if not missing(mount.descriptor)),
        )

    def capped(self, size: int | None) -> CacheList:
        """Return what fits in `size` bytes of blobs and in one manifest, beginning with the last used."""
        kept: set[str] = set()
        room = size
        for descriptor in self.blobs()[:MAX_LAYERS]:
            if room is not None:
                if descriptor.size > room:
                    continue
                room -= descriptor.size
            kept.add(descriptor.digest)
        steps = sorted(self.steps, key=lambda step: -step.used)[:_MAX_RECORDS]
        return self.replace(steps=tuple(steps)).without(lambda each: each.digest not in kept)

    def to_json(self) -> dict[str, Any]:
        """Return the document; equal content gives an equal one."""
        return {
            "schema": _SCHEMA,
            "steps": [_step_to_json(step) for step in sorted(self.steps, key=lambda step: step.key)],
            "mounts": [
                {
                    "name": mount.name,
                    "id": mount.id,
                    "about": mount.about,
                    "used": mount.used,
                    "descriptor": mount.descriptor.to_json(),
                }
                for mount in sorted(self.mounts, key=lambda mount: mount.name)
            ],
        }


def parse_cache_list(data: bytes, what: str) -> CacheList:
    """Read the document. Raises InvalidData."""
    document = jsonio.loads(data, what=what, limit=MAX_CACHE_LIST)
    try:
        if document["schema"] != _SCHEMA:
            raise InvalidData(f"{what} is of another version")
        return CacheList(
            steps=tuple(_step_from_json(entry, None) for entry in document["steps"][:_MAX_RECORDS]),
            mounts=tuple(_mount_from_json(entry) for entry in document["mounts"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidData(f"{what} is damaged: {error}") from None


def manifest_of(found: CacheList, config: Descriptor) -> bytes:
    """Return the manifest of a cache, an artifact in the form of an image, as registries take it."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.to_json(),
        "layers": [descriptor.replace(annotations=()).to_json() for descriptor in found.blobs()],
    }
    return jsonio.dumps(document).encode()


# --- in the config of an image ----------------------------------------------------------------


def inline_steps(steps: Iterable[CachedStep], diff_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return what an image's config says of the steps that gave its layers."""
    return [
        {
            "key": step.key,
            "text": step.text[:_LONGEST],
            "created": step.created,
            "layer": diff_ids.index(step.layer.diff_id) if step.layer else None,
        }
        for step in steps
        if not step.layer or step.layer.diff_id in diff_ids
    ]


def parse_inline(config: dict[str, Any], layers: Sequence[StepLayer], what: str) -> CacheList:
    """Read the steps in an image's config, `layers` being the image's. Raises InvalidData."""
    try:
        return CacheList(steps=tuple(_step_from_json(entry, layers) for entry in config.get(INLINE, [])))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise InvalidData(f"the build cache in {what} is damaged: {error}") from None


# --- one record -------------------------------------------------------------------------------


def _step_to_json(step: CachedStep) -> dict[str, Any]:
    return {
        "key": step.key,
        "text": step.text[:_LONGEST],
        "created": step.created,
        "used": step.used,
        "layer": step.layer and layer_to_json(step.layer),
    }


def _step_from_json(entry: dict[str, Any], layers: Sequence[StepLayer] | None) -> CachedStep:
    key, text, created, layer = entry["key"], entry["text"], entry["created"], entry["layer"]
    if not (isinstance(key, str) and len(key) == 64 and is_hex(key)):
        raise ValueError("a key is none")
    if not (isinstance(text, str) and len(text) <= _LONGEST and _is_time(created)):
        raise ValueError("a step has no text or time")
    found = None
    if layer is not None and layers is None:
        found = _layer_from_json(layer)
    elif layer is not None and layers is not None:
        if not 0 <= layer < len(layers):
            raise ValueError("a step gave a layer that there is not")
        found = layers[layer]
    return CachedStep(key=key, text=text, created=created, layer=found, used=_seconds(entry.get("used", 0)))


def _layer_from_json(data: dict[str, Any]) -> StepLayer:
    try:
        layer = layer_from_json(data)
        layer_compression(layer.descriptor.media_type)
    except DaemonlessError as error:
        raise ValueError(error.message) from None
    return layer


def _mount_from_json(entry: dict[str, Any]) -> MountArchive:
    name, about = entry["name"], entry["about"]
    if not (isinstance(name, str) and len(name) == 32 and is_hex(name) and isinstance(about, dict)):
        raise ValueError("a cache mount has no name")
    if entry["id"] != about.get("id"):  # it would fill one that no step of the build asks for
        raise ValueError("a cache mount has two ids")
    try:
        descriptor = parse_descriptor(entry["descriptor"], "a cache mount")
    except InvalidData as error:
        raise ValueError(error.message) from None
    return MountArchive(
        name=name, id=str(entry["id"]), about=about, used=_seconds(entry["used"]), descriptor=descriptor
    )


def _is_time(text: object) -> bool:
    """Return whether it is a time as `daemonless.clock` writes it: it becomes part of an image."""
    if not isinstance(text, str) or len(text) != 30:
        return False
    plain = "".join("0" if char in "0123456789" else char for char in text)
    return plain == "0000-00-00T00:00:00.000000000Z"


def _seconds(value: object) -> float:
    """Return a time in seconds since the epoch; raises ValueError for what cannot be one."""
    if not isinstance(value, int | float) or not 0 <= value < _LATEST:
        raise ValueError("a time is none")
    return float(value)
