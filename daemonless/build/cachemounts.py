"""Cache mounts on disk: what `RUN --mount=type=cache` keeps from one build to the next.

    DATA/build/mounts/NAME/about.json   what it was made for
    DATA/build/mounts/NAME/_data        its content: what steps see; there once it is complete
    DATA/build/mounts/NAME/_new         its first content, until then (`build.mountsources`)
    DATA/build/mounts/NAME/lock         held by the steps that use it; its time is that of the last use

NAME is a hash of all that tells caches apart, as in BuildKit: the id, what it began with, its first
owner and mode. A further one for a step with `sharing=private`, where the first is in use, is NAME.1, and
so on. Steps write to _data itself, so a build that is killed loses nothing; the kernel frees its locks.

A cache is removed by one rename, by who has all of its lock; who has waited for the lock looks
whether it is still in place.
"""

from __future__ import annotations

import os
from _blake2 import blake2b

from daemonless import failpoints, jsonio
from daemonless.clock import timestamp
from daemonless.config import Paths
from daemonless.errors import DaemonlessError, InvalidData
from daemonless.files import Lock, list_if_there, make_private_directory, read_file, write_atomic
from daemonless.layers import trash
from daemonless.layers.usage import sizes_of
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from daemonless.dockerfile.steps import RunMount


class Identity(Record):
    """What tells one cache from another."""

    id: str
    origin: str = ""  # of its first content; empty: it begins empty
    uid: int = 0
    gid: int = 0
    mode: int | None = None

    @property
    def name(self) -> str:
        """The name of its directory."""
        return blake2b(jsonio.dumps(self.as_dict()).encode(), digest_size=16).hexdigest()


def cache_id(mount: RunMount, namespace: str) -> str:
    """Return the id of a cache mount: its own or its target, in BUILDKIT_CACHE_MOUNT_NS if that is set."""
    name = mount.id or mount.target
    return f"{namespace}/{name}" if namespace else name


class Cache(Record):
    """A cache as it lies on the disk."""

    directory: str
    id: str
    about: dict[str, Any]  # its Identity, and when it was made
    used: float  # when a step last began to use it, in seconds of the epoch


class Held(Record):
    """A cache that a step may use until it lets go of it."""

    directory: str
    lock: Lock
    shared: bool
    is_new: bool  # there is no content yet: `_new` is to be filled and become `_data`

    def settle(self) -> None:
        """Let others share the cache, now that it has its first content."""
        if self.is_new and self.shared:
            self.lock.share()

    def release(self) -> None:
        """Let go of it."""
        self.lock.release()


class CacheStore:
    """All cache mounts below one data root."""

    def __init__(self, paths: Paths) -> None:
        self._data = paths.data
        self.directory = f"{paths.data}/build/mounts"

    def acquire(self, identity: Identity, sharing: str, wait: Callable[[Identity], None]) -> Held:
        """Return a cache, made if there is none, once it may be used as `sharing` says.

        `wait` is called before waiting for other steps. Of several caches, the one of the lower name is to
        be taken first, so that two steps never wait for each other.
        """
        directory = f"{self.directory}/{identity.name}"
        number = 0
        while True:
            path = f"{directory}.{number}" if number else directory
            make_private_directory(path)
            lock = Lock(f"{path}/lock")
            try:
                held = self._take(path, lock, sharing, identity, wait)
            except FileNotFoundError:  # it is being removed
                lock.release()
                continue
            except BaseException:
                lock.release()
                raise
            if held:
                return held
            lock.release()
            number += 1

    def _take(
        self, path: str, lock: Lock, sharing: str, identity: Identity, wait: Callable[[Identity], None]
    ) -> Held | None:
        """Take the lock of one directory; None if it is in use. Raises FileNotFoundError if it is removed."""
        shared = sharing == "shared"
        if shared:
            _share(path, lock, lambda: wait(identity))
        elif not lock.try_acquire():
            if sharing == "private":
                return None
            wait(identity)
            lock.acquire()
        is_new = not os.path.isdir(f"{path}/_data")
        if not lock.is_in_place():
            raise FileNotFoundError(path)
        if is_new:
            self._begin(path, identity)
        os.utime(lock.path)
        return Held(directory=path, lock=lock, shared=shared, is_new=is_new)

    def _begin(self, path: str, identity: Identity) -> None:
        failpoints.reach("cache.begin")
        if os.path.lexists(f"{path}/_new"):
            trash.discard(self._data, f"{path}/_new")
        os.mkdir(f"{path}/_new", 0o700)
        about = {"schema": 1, "created": timestamp(), **identity.as_dict()}
        write_atomic(f"{path}/about.json", jsonio.dumps(about).encode(), durable=False)

    def caches(self) -> list[Cache]:
        """Return all that have content, the one that was not used for longest first."""
        found = []
        for name in list_if_there(self.directory):
            directory = f"{self.directory}/{name}"
            try:
                about = jsonio.loads(read_file(f"{directory}/about.json"), what="about.json")
                used = os.stat(f"{directory}/lock").st_mtime
                cache = Cache(directory=directory, id=about["id"], about=about, used=used)
            except (DaemonlessError, OSError, KeyError, TypeError):  # it is being made or removed
                continue
            if os.path.isdir(f"{directory}/_data"):
                found.append(cache)
        return sorted(found, key=lambda cache: cache.used)

    def fill(self, about: dict[str, Any], name: str, used: float, content: Callable[[str], None]) -> bool:
        """Make a cache with what `content` puts into the directory it is given; False if there is one.

        `about` is what one of that name says of itself on another machine. Raises InvalidData, or what
        `content` raises.
        """
        identity = _identity_of(about)
        if identity.name != name:
            raise InvalidData("what a cache mount says of itself is damaged")
        path = f"{self.directory}/{name}"
        make_private_directory(path)
        lock = Lock(f"{path}/lock")
        try:
            if not lock.try_acquire() or not lock.is_in_place() or os.path.isdir(f"{path}/_data"):
                return False
            self._begin(path, identity)
            content(f"{path}/_new")
            failpoints.reach("build.mount")
            os.rename(f"{path}/_new", f"{path}/_data")
            os.utime(lock.path, (used, used))
        except FileNotFoundError:  # it is being removed
            return False
        finally:
            lock.release()
        return True

    def sweep(self) -> None:
        """Throw away what steps that were killed have begun, and nobody has content of."""
        for name in list_if_there(self.directory):
            path = f"{self.directory}/{name}"
            lock = Lock(f"{path}/lock")
            try:
                if lock.try_acquire() and lock.is_in_place() and not os.path.isdir(f"{path}/_data"):
                    trash.discard(self._data, path)
            except (FileNotFoundError, NotADirectoryError):  # another sweep was faster, or none of ours
                pass
            finally:
                lock.release()

    def sizes(self, caches: Iterable[Cache]) -> dict[str, int]:
        """Return the bytes of each by its directory; one that is gone is left out."""
        return sizes_of({cache.directory: f"{cache.directory}/_data" for cache in caches})

    def remove(self, cache: Cache) -> bool:
        """Remove a cache; False if a step uses it, or it is gone. What it held is deleted later."""
        lock = Lock(f"{cache.directory}/lock")
        try:
            if not lock.try_acquire() or not lock.is_in_place():
                return False
            trash.discard(self._data, cache.directory)
        except FileNotFoundError:
            return False
        finally:
            lock.release()
        return True


def _identity_of(about: dict[str, Any]) -> Identity:
    """Return what about.json says. Raises InvalidData."""
    values = [about.get(name) for name in ("id", "origin", "uid", "gid", "mode")]
    kinds = (str, str, int, int, int | None)
    if not all(isinstance(value, kind) for value, kind in zip(values, kinds, strict=True)):
        raise InvalidData("what a cache mount says of itself is damaged")
    return Identity(**{name: about[name] for name in Identity.__fields__})


def _share(path: str, lock: Lock, wait: Callable[[], None]) -> None:
    """Take a share of a cache's lock; all of it if there is no content yet, as who fills it must be alone.

    Nobody waits for more than the first content: who wants all of a lock would wait for those that share
    it. `wait` is called before waiting.
    """
    told = False
    while True:
        is_filled = os.path.isdir(f"{path}/_data")
        if lock.try_acquire(shared=is_filled):
            if not is_filled and os.path.isdir(f"{path}/_data"):  # by somebody who has let go of it
                lock.share()
            return
        if not told:
            wait()
            told = True
        lock.share()
        if os.path.isdir(f"{path}/_data"):
            return
        lock.release()  # whoever was to fill it has failed
