"""Volumes on disk.

    DATA/volumes/NAME/volume.json    what the volume is; replaced as a whole
    DATA/volumes/NAME/_data          its content: what containers see
    DATA/volumes/NAME/shared         there if an anonymous volume has had several users
    DATA/volumes/NAME/lock           held by whoever decides about the volume, for milliseconds
    DATA/volumes/NAME/_new, _full    the image's content on its way into _data (`isolation.volumes`)

A volume appears by one rename and goes by one rename, so that a crash leaves a whole volume or
none; what is left in tmp/ is swept. The lock lies in the directory and goes with it: who has waited
for it looks whether it is still in place. Of several locks the one of the lower name is taken
first, after those of containers. Reading takes no lock.

Which containers use a volume is written in their records alone (`containers.volumes`): a container
becomes visible while its maker holds the locks of its volumes, and a volume is removed by who
holds its lock and finds no container that names it.
"""

from __future__ import annotations

import os

from daemonless import failpoints, jsonio
from daemonless.clock import timestamp
from daemonless.config import Paths
from daemonless.errors import DaemonlessError, InvalidData, NameInUse, NotFound, UsageError, printable
from daemonless.files import Lock, make_private_directory, read_file, sync, write_atomic
from daemonless.layers import trash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

SCHEMA = 1
_TYPES: dict[str, type] = {
    "created": str,
    "driver": str,
    "labels": dict,
    "options": dict,
    "anonymous": bool,
    "needsCopyUp": bool,
}
_STAGING = "volume."
_EXISTS = (17, 39)  # EEXIST, ENOTEMPTY
_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_REST = _FIRST | frozenset("_.-")


def check_name(name: str) -> str:
    """Return the name of a volume; raises UsageError if it is none."""
    if not name or name[0] not in _FIRST or not _REST.issuperset(name) or len(name) > 255:
        raise UsageError(
            f"{printable(name)!r} is not the name of a volume",
            "names begin with a letter or a digit; letters, digits and _ . - follow",
        )
    return name


def new_name() -> str:
    """Return the name of an anonymous volume: 64 hex digits, as docker and podman make them."""
    return os.urandom(32).hex()


class Volume:
    """One volume, read from its file when first asked; a context manager that holds its lock."""

    def __init__(self, directory: str, name: str) -> None:
        self.name = name
        self.directory = directory
        self._lock = Lock(f"{directory}/lock")
        self._record: dict[str, Any] | None = None

    @property
    def mountpoint(self) -> str:
        """The directory that holds the content; only ids of the user's map may enter it."""
        return f"{self.directory}/_data"

    @property
    def record(self) -> dict[str, Any]:
        """volume.json; raises NotFound if the volume is gone, InvalidData if it is broken."""
        if self._record is None:
            path = f"{self.directory}/volume.json"
            try:
                record = jsonio.loads(read_file(path), what=path)
            except (FileNotFoundError, NotADirectoryError):
                if os.path.isdir(self.directory):
                    raise InvalidData(f"volume {self.name} has no volume.json", self._remedy) from None
                raise NotFound(f"no such volume: {self.name}") from None
            except OSError as error:
                raise InvalidData(f"{path} cannot be read: {error.strerror}", self._remedy) from None
            except InvalidData as error:
                raise InvalidData(error.message, self._remedy) from None
            if not isinstance(record, dict) or record.get("schema") != SCHEMA:
                raise InvalidData(f"{path} is not of a version this daemonless knows", self._remedy)
            if not all(isinstance(record.get(key), kind) for key, kind in _TYPES.items()):
                raise InvalidData(f"{path} does not hold what it should", self._remedy)
            self._record = record
        return self._record

    @property
    def _remedy(self) -> str:
        return f"its data is in {self.mountpoint}; to remove it: daemonless volume rm -f {self.name}"

    @property
    def is_anonymous(self) -> bool:
        """Whether the volume got its name from us and goes with the container it was made for."""
        return bool(self.record["anonymous"])

    @property
    def options(self) -> dict[str, str]:
        """The driver's options; empty for a plain directory."""
        options: dict[str, str] = self.record["options"]
        return options

    @property
    def needs_copy_up(self) -> bool:
        """Whether no container has used the volume yet; the first one fills it from its image."""
        return bool(self.record["needsCopyUp"])

    def set_used(self, *, durable: bool = True) -> None:
        """Note that a container has used the volume. The lock must be held."""
        self._record = None
        record = {**self.record, "needsCopyUp": False}
        path = f"{self.directory}/volume.json"
        write_atomic(path, jsonio.dumps(record).encode(), durable=durable)
        if durable:
            sync(self.directory.rpartition("/")[0])
        self._record = record

    @property
    def is_shared(self) -> bool:
        """Whether other containers than the one it was made for have ever used an anonymous volume."""
        return os.path.lexists(f"{self.directory}/shared")

    def set_shared(self) -> None:
        """Note that another container begins to use an anonymous volume. The lock must be held."""
        if self.is_anonymous and not self.is_shared:
            write_atomic(f"{self.directory}/shared", b"")

    def acquire(self) -> None:
        """Take the volume's lock; raises NotFound if the volume is gone by then."""
        try:
            self._lock.acquire()
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"no such volume: {self.name}") from None
        if not self._lock.is_in_place():
            self._lock.release()
            raise NotFound(f"no such volume: {self.name}")
        self._record = None

    def release(self) -> None:
        """Give the lock up; a process that inherited it keeps it."""
        self._lock.release()

    def adopt(self, other: Volume) -> None:
        """Take over the lock of the same directory under an earlier path."""
        self._lock.fd, other._lock.fd = other._lock.fd, -1

    @property
    def lock_fd(self) -> int:
        """The descriptor that holds the lock, for a process that shall inherit it."""
        return self._lock.fd

    def __enter__(self) -> Volume:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class VolumeStore:
    """All volumes below one data root."""

    def __init__(self, paths: Paths) -> None:
        self._data = paths.data
        self.directory = f"{paths.data}/volumes"

    def volumes(self) -> list[Volume]:
        """Return all readable volumes by name; a broken one never hides the others."""
        found = []
        for volume in self._all():
            try:
                volume.record["created"]
            except (DaemonlessError, OSError, KeyError):
                continue
            found.append(volume)
        return found

    def broken(self) -> list[Volume]:
        """Return the volumes whose volume.json cannot be read."""
        result = []
        for volume in self._all():
            try:
                volume.record["created"]
            except (InvalidData, OSError, KeyError):
                result.append(volume)
            except NotFound:
                continue
        return result

    def _all(self) -> Iterator[Volume]:
        for name in self.names():
            yield Volume(f"{self.directory}/{name}", name)

    def names(self) -> list[str]:
        """Return the names of all volumes, sorted."""
        try:
            return sorted(os.listdir(self.directory))
        except FileNotFoundError:
            return []

    def has(self, name: str) -> bool:
        """Return whether there is a volume of exactly that name."""
        return os.path.isdir(f"{self.directory}/{name}")

    def volume(self, name: str) -> Volume:
        """Return the volume of exactly that name, which must be well formed; it need not exist."""
        return Volume(f"{self.directory}/{name}", name)

    def find(self, text: str) -> Volume:
        """Return the volume of that name or of a unique beginning of it.

        Raises NotFound, or UsageError for the beginning of several.
        """
        if text and _REST.issuperset(text) and text[0] in _FIRST:
            if self.has(text):
                return self.volume(text)
            matches = [name for name in self.names() if name.startswith(text)]
            if len(matches) == 1:
                return self.volume(matches[0])
            if matches:
                raise UsageError(f"volume name {text} is ambiguous", "give more of the name")
        raise NotFound(f"no such volume: {printable(text)}", "daemonless volume ls lists them")

    # --- creation and removal ---------------------------------------------------------------

    def create(
        self,
        name: str,
        *,
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
        owner: tuple[int, int] | None = None,
        anonymous: bool = False,
        durable: bool = True,
    ) -> Volume:
        """Make a volume and return it with its lock held, so that nobody can remove it yet.

        `owner` is the uid and gid, as containers see them, that its directory gets at first use.
        `durable` waits until the volume would survive a power loss. Raises NameInUse.
        """
        make_private_directory(self.directory)
        self.sweep()
        failpoints.reach("volume.stage")
        staged = self.stage(name)
        record = {
            "schema": SCHEMA,
            "name": name,
            "created": timestamp(),
            "driver": "local",
            "labels": dict(labels or {}),
            "options": dict(options or {}),
            "owner": list(owner) if owner else None,
            "anonymous": anonymous,
            "needsCopyUp": True,
        }
        try:
            os.mkdir(staged.mountpoint, 0o755)
            os.chmod(staged.mountpoint, 0o755)  # whatever the caller's umask is
            path = f"{staged.directory}/volume.json"
            write_atomic(path, jsonio.dumps(record).encode(), durable=durable)
            volume = self.volume(name)
            failpoints.reach("volume.publish")
            os.rename(staged.directory, volume.directory)
        except OSError as error:
            trash.discard(self._data, staged.directory)
            staged.release()
            if error.errno in _EXISTS:
                raise NameInUse(
                    f"volume {name} exists already", "--ignore accepts that; daemonless volume ls lists them"
                ) from None
            raise
        volume.adopt(staged)
        if durable:
            failpoints.reach("volume.sync")
            sync(self.directory)
        return volume

    def stage(self, name: str) -> Volume:
        """Return a locked volume in a directory of its own in tmp/; it is swept once the lock is free."""
        make_private_directory(f"{self._data}/tmp")
        while True:
            directory = f"{self._data}/tmp/{_STAGING}{os.urandom(8).hex()}"
            os.mkdir(directory, 0o700)
            staged = Volume(directory, name)
            try:
                staged.acquire()
            except NotFound:  # swept between its creation and its locking
                continue
            return staged

    def hold(self, name: str) -> tuple[Volume, bool]:
        """Return the volume of that name with its lock held, made if there is none, and whether it was."""
        volume = self.volume(name)
        while True:
            try:
                volume.acquire()
                return volume, False
            except NotFound:
                pass
            try:
                return self.create(name, durable=False), True
            except NameInUse:
                continue

    def discard(self, volume: Volume) -> None:
        """Take a volume out of sight; its lock must be held. It is deleted in the background."""
        failpoints.reach("volume.discard")
        trash.discard(self._data, volume.directory)

    def sweep(self) -> None:
        """Throw away what makers of volumes left behind when they were killed."""
        try:
            names = os.listdir(f"{self._data}/tmp")
        except FileNotFoundError:
            return
        for name in names:
            if not name.startswith(_STAGING):
                continue
            lock = Lock(f"{self._data}/tmp/{name}/lock")
            try:
                if lock.try_acquire() and lock.is_in_place():
                    trash.discard(self._data, f"{self._data}/tmp/{name}")
            except FileNotFoundError:
                pass
            finally:
                lock.release()
