"""The directory of one build: tmp/build.RANDOM below the data directory, locked as long as it is used.

Who finds one unlocked throws it away (`daemonless.layers.staging.sweep`): its build was killed.
"""

from __future__ import annotations

import os

from daemonless.files import make_private_directory
from daemonless.images.blobs import BlobStore
from daemonless.layers import staging, trash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


class Workspace:
    """As a context manager it is gone on exit, whatever happened."""

    def __init__(self, data: str) -> None:
        self._data = data
        self.path = ""
        self._count = 0

    def __enter__(self) -> Workspace:
        """Make it, and throw away those of builds that were killed; raises OSError."""
        for directory in ("tmp", "trash"):
            make_private_directory(f"{self._data}/{directory}")
        data_fd = os.open(self._data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            staging.sweep(data_fd)
            path, self._fd = staging.make_locked_directory(data_fd, staging.BUILD_PREFIX)
        finally:
            os.close(data_fd)
        self.path = f"{self._data}/{path}"
        return self

    def new_directory(self) -> str:
        """Make an empty directory in it, and return its path."""
        self._count += 1
        path = f"{self.path}/own-{self._count}"
        os.mkdir(path, 0o700)
        return path

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        trash.discard(self._data, self.path)
        os.close(self._fd)
        BlobStore(self._data).sweep()  # of steps that were killed, in this build or an earlier one
        trash.empty_in_background(self._data)
