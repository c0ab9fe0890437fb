"""The unpacked layers on disk: layers/MAPKEY/HEX/{diff/,layer.json}.

A layer's directory appears by a rename when all of it is verified and written, so whatever is
there is complete. Layers are kept per id map because the owners of their files depend on it.
"""

from __future__ import annotations

import os

from daemonless import jsonio
from daemonless.errors import InvalidData, NotFound
from daemonless.files import read_file
from daemonless.oci.digest import Digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEMA = 1
RECORD = "layer.json"
DIFF = "diff"


class LayerStore:
    """The layers unpacked with one id map, `key` being `IdMap.key`."""

    def __init__(self, data: str, key: str = "default") -> None:
        self.directory = f"{data}/layers/{key}"

    def path(self, diff_id: str) -> str:
        """Return the directory that holds the layer's files; raises InvalidData for no digest."""
        return f"{self.directory}/{Digest(diff_id).hex}/{DIFF}"

    def has(self, diff_id: str) -> bool:
        """Return whether the layer is unpacked."""
        return os.path.lexists(f"{self.directory}/{Digest(diff_id).hex}/{RECORD}")

    def has_all(self, diff_ids: Iterable[str]) -> bool:
        """Return whether all of these layers are unpacked."""
        return all(map(self.has, diff_ids))

    def size(self, diff_id: str) -> int:
        """Return the bytes of the layer's files; raises NotFound, or InvalidData."""
        try:
            return recorded_size(f"{self.directory}/{Digest(diff_id).hex}")
        except FileNotFoundError:
            raise NotFound(f"layer {diff_id} is not unpacked", "pull the image again") from None


def diff_id_of(name: str) -> str:
    """Return the diff_id of the layer whose directory is called `name`: its digits tell the algorithm."""
    return f"{'sha512' if len(name) == 128 else 'sha256'}:{name}"


def unpacked_size(data: str, diff_id: str) -> int | None:
    """Return the bytes of a layer's files, whatever map it was unpacked with; None if there are none."""
    try:
        keys = os.listdir(f"{data}/layers")
    except FileNotFoundError:
        return None
    for key in keys:
        try:
            return recorded_size(f"{data}/layers/{key}/{Digest(diff_id).hex}")
        except (FileNotFoundError, InvalidData):
            continue
    return None


def recorded_size(directory: str) -> int:
    """Return the bytes of the files of the layer unpacked in `directory`, as found when it was.

    Raises FileNotFoundError if it is not there, InvalidData if its record is broken.
    """
    path = f"{directory}/{RECORD}"
    record = jsonio.loads(read_file(path), what=path)
    size = record.get("size") if isinstance(record, dict) else None
    if not isinstance(size, int) or record.get("schema") != SCHEMA:
        raise InvalidData(f"{path} is not a layer record of this version")
    return size
