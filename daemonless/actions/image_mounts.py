"""Images mounted in a session of `unshare`: each on a directory that nobody else sees."""

from __future__ import annotations

import os

from daemonless.errors import DaemonlessError, InvalidData, NotFound, UsageError
from daemonless.files import lock_is_held, make_private_directory
from daemonless.images.leases import extend
from daemonless.isolation import session
from daemonless.layers.overlay import visible
from daemonless.layers.store import LayerStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.config import Paths
    from daemonless.images.store import Image

SESSION = "DAEMONLESS_SESSION"  # in the environment of a session: the file of its lease


class Mounts:
    """The mounts of the caller's session; raises UsageError outside of one.

    They lie on a tmpfs of the session, so that their mount points are its own as well.
    """

    def __init__(self, paths: Paths) -> None:
        self._data = paths.data
        self._directory = f"{paths.run}/mounts"
        self._lease = os.environ.get(SESSION, "")
        if not self._lease or not lock_is_held(self._lease):
            raise UsageError(
                "without privileges images are mounted in a session of daemonless unshare only",
                "daemonless unshare, or: daemonless unshare sh -c 'ls $(daemonless image mount IMAGE)'",
            )

    def mount(self, image: Image) -> str:
        """Mount an image, unless it is mounted, and return where. Raises DaemonlessError."""
        target = self._target(image.id)
        if os.path.ismount(target):
            return target
        layers = LayerStore(self._data, "default" if session.has_many_ids() else "single")
        extend(self._data, self._lease, image.needs)
        if not all(layers.has(diff_id) for diff_id in image.diff_ids):
            raise NotFound(
                f"image {image.id[7:19]} is not unpacked",
                f"outside of this session: daemonless diff {image.id[7:19]}",
            )
        if not image.diff_ids:
            raise InvalidData(f"image {image.id[7:19]} has no layers")
        try:
            make_private_directory(self._directory)
            if not os.path.ismount(self._directory):
                session.mount_tmpfs(self._directory)
            make_private_directory(target)
            session.mount_layers(visible([layers.path(each) for each in reversed(image.diff_ids)]), target)
        except OSError as error:
            raise DaemonlessError(f"cannot mount image {image.id[7:19]}: {error.strerror}") from error
        return target

    def unmount(self, image_id: str, *, force: bool) -> None:
        """Unmount an image; raises NotFound if it is not mounted, DaemonlessError if it is in use."""
        target = self._target(image_id)
        if not os.path.isdir(target):
            raise NotFound(f"image {image_id[7:19]} is not mounted in this session")
        try:
            session.unmount(target, busy=force)
            os.rmdir(target)
        except OSError as error:
            raise DaemonlessError(
                f"cannot unmount image {image_id[7:19]}: {error.strerror}", "--force unmounts what is in use"
            ) from error

    def mounted(self) -> dict[str, str]:
        """Return the ids of the images that are mounted, and where."""
        if not os.path.ismount(self._directory):
            return {}
        return {f"sha256:{name}": f"{self._directory}/{name}" for name in sorted(os.listdir(self._directory))}

    def _target(self, image_id: str) -> str:
        return f"{self._directory}/{image_id.partition(':')[2]}"
