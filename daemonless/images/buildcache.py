"""The build cache: which layer a step of a build gave, by the key of the step.

    DATA/build/steps/KEY    one record: when the step was made, and the layer it gave if it gave one

A key says all that the result depends on, so a record is never wrong, only of no use any more. It is
written when its layer is durable, and that layer counts as needed (`daemonless.images.garbage`) until
the record is removed. The time of a record's last use is its mtime. Writers hold images.lock, so a
temporary file that is found under it is of one that was killed.
"""

from __future__ import annotations

import os

from daemonless import failpoints, jsonio
from daemonless.errors import DaemonlessError
from daemonless.files import list_if_there, make_private_directory, read_file, unlink_if_there, write_atomic
from daemonless.images.leases import store_lock
from daemonless.oci.digest import Digest, is_hex
from daemonless.oci.image import Descriptor, parse_descriptor
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_SCHEMA = 1
_DIRECTORY = "build/steps"


class StepLayer(Record):
    """A layer as a step of a build leaves it in the store."""

    descriptor: Descriptor  # of its blob
    diff_id: Digest
    size: int  # bytes of its files


class CachedStep(Record):
    """What is known of a step that was made before."""

    key: str
    text: str  # the instruction, for who lists the cache
    created: str  # RFC 3339
    layer: StepLayer | None  # none: the step only changed the config
    used: float = 0.0  # when a build last needed it, in seconds since the epoch
    record_size: int = 0  # bytes of the record itself


class BuildCache:
    """The records below `data`, the root of all durable state."""

    def __init__(self, data: str) -> None:
        self._data = data
        self.directory = f"{data}/{_DIRECTORY}"

    def find(self, key: str) -> CachedStep | None:
        """Return what a step with this key gave, and note that it was needed; None if it is not known."""
        path = f"{self.directory}/{key}"
        found = self._read(key)
        if found is not None:
            try:
                os.utime(path)
            except OSError:  # removed meanwhile, or a full disk: it is still what the step gave
                pass
        return found

    def add(self, key: str, text: str, created: str, layer: StepLayer | None) -> None:
        """Note what a step gave; raises OSError. A power loss may take the record, and nothing else."""
        record = {
            "schema": _SCHEMA,
            "text": text,
            "created": created,
            "layer": layer and layer_to_json(layer),
        }
        make_private_directory(self.directory)
        failpoints.reach("build.record")
        with store_lock(self._data):
            write_atomic(f"{self.directory}/{key}", jsonio.dumps(record).encode(), durable=False)

    def remove(self, key: str) -> None:
        """Forget a step; its layer is garbage then, unless something else needs it."""
        unlink_if_there(f"{self.directory}/{key}")

    def steps(self) -> Iterator[CachedStep]:
        """Yield all records that can be used; those that cannot are as good as none."""
        for key in list_if_there(self.directory):
            found = self._read(key)
            if found is not None:
                yield found

    def has(self, key: str) -> bool:
        """Return whether there is a record, of whatever worth."""
        return os.path.lexists(f"{self.directory}/{key}")

    def broken(self) -> list[str]:
        """Return the names of what is no record that can be used; they count for nothing."""
        return [name for name in list_if_there(self.directory) if name[:1] != "." and not self._read(name)]

    def sweep(self) -> None:
        """Remove what writers that were killed have left; the caller holds images.lock."""
        for name in list_if_there(self.directory):
            if name[:1] == ".":
                unlink_if_there(f"{self.directory}/{name}")

    def needs(self) -> set[str]:
        """Return the digests of the blobs and layers that the records name."""
        found: set[str] = set()
        for step in self.steps():
            if step.layer:
                found.update((step.layer.descriptor.digest, step.layer.diff_id))
        return found

    def _read(self, key: str) -> CachedStep | None:
        path = f"{self.directory}/{key}"
        try:
            if not is_hex(key):
                return None  # the temporary file of a writer
            record = jsonio.loads(read_file(path), what=path)
            status = os.stat(path)
            if record["schema"] != _SCHEMA:
                return None
            return CachedStep(
                key=key,
                text=record["text"],
                created=record["created"],
                layer=layer_from_json(record["layer"]) if record["layer"] else None,
                used=status.st_mtime,
                record_size=status.st_size,
            )
        except (OSError, DaemonlessError, KeyError, TypeError, AttributeError):
            return None  # it does not count; a prune removes it


def layer_to_json(layer: StepLayer) -> dict[str, Any]:
    """Return the layer as records have it."""
    return {
        "descriptor": layer.descriptor.to_json(),
        "diffId": layer.diff_id,
        "size": layer.size,
    }


def layer_from_json(data: dict[str, Any]) -> StepLayer:
    """Read what `layer_to_json` gave. Raises InvalidData, KeyError or TypeError."""
    return StepLayer(
        descriptor=parse_descriptor(data["descriptor"], what="layer of a build"),
        diff_id=Digest(data["diffId"]),
        size=int(data["size"]),
    )
