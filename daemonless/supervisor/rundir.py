"""Keep the runtime directory of a running container there.

Where a login session ends, or somebody tidies up, what lies in $XDG_RUNTIME_DIR is deleted,
running containers or not. Without its lock and its state a container would count as ended, and
could be started a second time on the same files. So its supervisor watches the directory
(inotify(7)), and makes anew what goes.
"""

from __future__ import annotations

import os
import time

from daemonless import syscalls
from daemonless.files import Lock, make_private_directory

_SETTLED = 0.05  # seconds; who deletes a directory deletes its files one after the other


class Watch:
    """Watches a container's runtime directory; `fd` becomes readable as files go, -1: never."""

    def __init__(self, lock: Lock, names: tuple[str, ...]) -> None:
        """`names` are the files that have to be there, beside the lock."""
        self.fd = -1
        self._lock = lock
        self._names = names
        self._directory = lock.path.rpartition("/")[0]
        try:
            self.fd = syscalls.inotify_init()
            self._add()
        except OSError:  # the user has no more watches, or the directory is gone already
            self.close()

    def _add(self) -> None:
        syscalls.inotify_add_watch(self.fd, os.fsencode(self._directory), syscalls.IN_DELETE)

    def close(self) -> None:
        """Watch no more."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def is_lost(self) -> bool:
        """Return whether a file has gone that has to be there, once `fd` is readable."""
        self._forget_events()
        if self._is_complete():
            return False
        time.sleep(_SETTLED)
        self._forget_events()
        return True

    def _forget_events(self) -> None:
        try:
            os.read(self.fd, 65536)
        except BlockingIOError:
            pass

    def _is_complete(self) -> bool:
        return self._lock.is_in_place() and all(
            os.path.lexists(f"{self._directory}/{name}") for name in self._names
        )

    def regain(self, bundle: str) -> bool:
        """Make directory and lock anew, and make the directory the current one.

        False if the container, whose bundle is given, has been removed meanwhile, or is locked by
        somebody else. Raises OSError if it cannot be made; it is then not tried again.
        """
        try:
            make_private_directory(self._directory)
            os.chdir(self._directory)
            self._add()
            if not self._lock.is_in_place() and not self._lock_anew():
                return False
            return os.path.lexists(bundle)
        except OSError:
            self.close()
            raise

    def _lock_anew(self) -> bool:
        lock = Lock(self._lock.path)
        try:
            if not lock.try_acquire():
                return False
            os.close(self._lock.fd)
            self._lock.fd, lock.fd = lock.fd, -1
        finally:
            lock.release()
        return True
