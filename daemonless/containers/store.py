"""Containers on disk: bundles, names, and what they tell of a container's state.

    DATA/containers/ID/container.json   what was asked for; written by create, replaced by rename
    DATA/containers/ID/config.json      the runtime spec; written once, by create
    DATA/containers/ID/exit.json        how the last run ended; written by the supervisor
    RUN/containers/ID/exit.json         the same, if the disk was full
    DATA/names/NAME                     symlink to ID; its exclusive creation is what makes a name unique
    RUN/containers/ID/state.json        the running process; written by the supervisor
    RUN/containers/ID/lock              held while the supervisor lives

Status is derived from these, never stored: a held lock means running, otherwise exit.json tells,
and a start that left neither (its supervisor was killed) counts as exited. Reading takes no lock.
"""

from __future__ import annotations

import os

from daemonless import jsonio
from daemonless.config import Paths
from daemonless.errors import DaemonlessError, InvalidData, NameInUse, NotFound, UsageError
from daemonless.files import (
    Lock,
    lock_is_held,
    make_private_directory,
    process_start_time,
    read_file,
    sync,
    write_atomic,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

ID_DIGITS = "0123456789abcdef"
_KILLED = 137  # a container whose supervisor was killed was killed with it


class Container:
    """One container, read from its files when first asked."""

    def __init__(self, paths: Paths, container_id: str) -> None:
        self.id = container_id
        self.directory = f"{paths.data}/containers/{container_id}"
        self.run_directory = f"{paths.run}/containers/{container_id}"
        self._read: dict[str, dict[str, Any] | None] = {}

    def _load(self, path: str) -> dict[str, Any] | None:
        if path not in self._read:
            try:
                value = jsonio.loads(read_file(path), what=path)
            except FileNotFoundError:
                value = {}
            if not isinstance(value, dict):
                raise InvalidData(f"{path} does not hold a JSON object")
            self._read[path] = value or None
        return self._read[path]

    @property
    def record(self) -> dict[str, Any]:
        """container.json; raises NotFound if the container is gone, InvalidData if it is broken."""
        record = self._load(f"{self.directory}/container.json")
        if record is None:
            raise NotFound(f"no such container: {self.id[:12]}")
        if record.get("schema") != 1 or "request" not in record:
            raise InvalidData(f"{self.directory}/container.json is not of a version this daemonless knows")
        return record

    @property
    def name(self) -> str:
        """The container's name."""
        name: str = self.record["name"]
        return name

    def goes_by(self, name: str) -> bool:
        """Return whether the record agrees with a claim of the name; an unreadable one agrees with all."""
        try:
            return bool(self.record["name"] == name)
        except (DaemonlessError, OSError, KeyError):
            return True

    @property
    def state(self) -> dict[str, Any] | None:
        """state.json of the current or last run, or None."""
        return self._load(f"{self.run_directory}/state.json")

    @property
    def exit(self) -> dict[str, Any] | None:
        """The exit record of the last run, or None; from the run directory if the disk was full."""
        return self._load(f"{self.run_directory}/exit.json") or self._load(f"{self.directory}/exit.json")

    def spec(self) -> dict[str, Any]:
        """config.json, the OCI runtime spec."""
        spec = self._load(f"{self.directory}/config.json")
        if spec is None:
            raise InvalidData(f"container {self.id[:12]} has no config.json", "remove it: daemonless rm -f")
        return spec

    @property
    def is_running(self) -> bool:
        """Whether a supervisor holds the container's lock and has recorded a process."""
        return self.is_supervised and self.state is not None

    @property
    def is_supervised(self) -> bool:
        """Whether a supervisor lives; asked of the kernel, without taking the lock."""
        return lock_is_held(f"{self.run_directory}/lock")

    @property
    def status(self) -> str:
        """`created`, `running` or `exited`."""
        if self.is_running:
            return "running"
        if self.exit is not None:
            return "exited" if self.exit["started"] else "created"
        return "exited" if self.state is not None else "created"

    @property
    def exit_code(self) -> int:
        """Exit status of the last run; 0 before the first, 137 if its supervisor was killed."""
        if self.exit is not None:
            code: int = self.exit["exitCode"]
            return code
        return _KILLED if self.state is not None and not self.is_running else 0

    def refresh(self) -> None:
        """Forget what was read."""
        self._read.clear()

    def pidfd(self) -> int:
        """Open the running process; raises NotFound if it is gone or its pid is another's.

        Identity is pid and start time: a recycled pid is never signalled (shared invariant S-9).
        """
        state = self.state
        if state is None or not self.is_supervised:
            raise NotFound(f"container {self.name} is not running")
        try:
            pidfd = os.pidfd_open(state["pid"])
            started = process_start_time(state["pid"])
        except (ProcessLookupError, FileNotFoundError):
            raise NotFound(f"container {self.name} is not running") from None
        if started != state["startTime"]:
            os.close(pidfd)
            raise NotFound(f"container {self.name} is not running")
        return pidfd


class ContainerStore:
    """All containers below one pair of roots."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.directory = f"{paths.data}/containers"
        self._names = f"{paths.data}/names"

    def containers(self) -> list[Container]:
        """Return all readable containers, newest first; a broken one never hides the others."""
        found = []
        for container in self._all():
            try:
                found.append((container.record["created"], container))
            except (DaemonlessError, OSError, KeyError):
                continue
        found.sort(key=lambda pair: pair[0], reverse=True)
        return [container for _, container in found]

    def broken(self) -> list[Container]:
        """Return the containers whose container.json cannot be read."""
        result = []
        for container in self._all():
            try:
                container.record["created"]
            except (InvalidData, OSError, KeyError):
                result.append(container)
            except NotFound:
                continue
        return result

    def _all(self) -> Iterator[Container]:
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            return
        for name in names:
            yield Container(self.paths, name)

    def find(self, text: str) -> Container:
        """Return the container of that name, id or unique id prefix.

        Raises NotFound, or UsageError for a prefix of several ids. A name costs one readlink;
        the directory is searched for prefixes only.
        """
        if text and "/" not in text and text not in (".", ".."):
            try:
                target = os.readlink(f"{self._names}/{text}")
            except OSError:
                target = text
            if len(target) == 64 and os.path.isdir(f"{self.directory}/{target}"):
                container = Container(self.paths, target)
                if target == text or container.goes_by(text):
                    return container
            if all(char in ID_DIGITS for char in text):
                matches = [c for c in self._all() if c.id.startswith(text)]
                if len(matches) == 1:
                    return matches[0]
                if matches:
                    raise UsageError(f"container id prefix {text} is ambiguous", "give more of the id")
        raise NotFound(f"no such container: {text}", "daemonless ps --all lists them")

    def latest(self) -> Container:
        """Return the newest container; raises NotFound if there is none."""
        containers = self.containers()
        if not containers:
            raise NotFound("there are no containers")
        return containers[0]

    def sweep(self) -> None:
        """Remove what makers of containers left behind when they were killed, and their names."""
        staging = f"{self.paths.data}/tmp"
        try:
            entries = os.listdir(staging)
        except FileNotFoundError:
            return
        for entry in entries:
            container_id = entry.removesuffix(".lock")
            if entry == container_id or len(container_id) != 64:
                continue
            lock = Lock(f"{staging}/{entry}")
            if lock.try_acquire():
                if lock.is_in_place():
                    self.release_all_names(container_id)
                    _remove_staged(f"{staging}/{container_id}")
                    os.unlink(lock.path)
                lock.release()

    # --- creation: stage, claim the name, make visible ---------------------------------------

    def stage(self, container_id: str) -> Staging:
        """Return a private directory in which to prepare the container."""
        for path in (f"{self.paths.data}/tmp", self.directory, self._names):
            make_private_directory(path)
        return Staging(self, container_id)

    def name_is_free(self, name: str) -> bool:
        """Return whether no container has the name, clearing a claim that stands for nothing."""
        link = f"{self._names}/{name}"
        try:
            owner = os.readlink(link)
        except OSError:
            return True
        if not self._is_stale(name, owner):
            return False
        with Lock(f"{self.paths.data}/names.lock"):
            self._clear_claim(name, owner)
        return not os.path.lexists(link)

    def _is_stale(self, name: str, container_id: str) -> bool:
        """Whether a claim's owner is gone, or has the name no more or not yet: a rename was cut short.

        A rename in progress looks the same; it holds the lock of the names.
        """
        return self._is_abandoned(container_id) or not Container(self.paths, container_id).goes_by(name)

    def _clear_claim(self, name: str, owner: str) -> None:
        """Remove a stale claim; under the lock one process does so, if it is still the same claim."""
        link = f"{self._names}/{name}"
        try:
            if os.readlink(link) == owner and self._is_stale(name, owner):
                os.unlink(link)
        except FileNotFoundError:
            pass

    def _is_abandoned(self, container_id: str) -> bool:
        """Whether neither a container nor a living maker of one has the id.

        The maker's lock is asked first: who publishes between the two questions has been seen
        holding it, or is seen as a container.
        """
        made = lock_is_held(f"{self.paths.data}/tmp/{container_id}.lock")
        return not made and not os.path.isdir(f"{self.directory}/{container_id}")

    def claim_name(self, name: str, container_id: str) -> None:
        """Bind the name to the id; raises NameInUse."""
        for _ in range(2):
            try:
                os.symlink(container_id, f"{self._names}/{name}")
                return
            except FileExistsError:
                if not self.name_is_free(name):
                    break
        raise self._in_use(name, f"remove it: daemonless rm -f {name}; or replace it: --replace")

    def _in_use(self, name: str, hint: str) -> NameInUse:
        try:
            owner = os.readlink(f"{self._names}/{name}")
        except OSError:
            owner = "another"
        return NameInUse(f"the container name {name!r} is already in use by {owner[:12]}", hint)

    def rename(self, container: Container, name: str) -> None:
        """Give the container another name. Raises NameInUse, or NotFound if it is removed meanwhile.

        The new name is claimed, the record replaced, the old name released; the record is what
        counts. A crash between these leaves a claim that `find` does not believe and that gives
        way to whoever wants the name.
        """
        link = f"{self._names}/{name}"
        with Lock(f"{self.paths.data}/names.lock"):
            container.refresh()
            record = container.record
            before = record["name"]
            if name == before:
                return
            try:
                self._clear_claim(name, os.readlink(link))
            except OSError:
                pass  # it is free
            try:
                os.symlink(container.id, link)
            except FileExistsError:
                raise self._in_use(name, f"remove it: daemonless rm -f {name}") from None
            try:
                text = jsonio.dumps({**record, "name": name}).encode()
                write_atomic(f"{container.directory}/container.json", text)
            except BaseException as error:
                os.unlink(link)
                if isinstance(error, FileNotFoundError):
                    raise NotFound(f"container {before} has been removed") from None
                raise
            self.release_name(before, container.id)
        container.refresh()

    def release_all_names(self, container_id: str) -> None:
        """Free whatever name belongs to the id, for a container whose record is unreadable."""
        try:
            names = os.listdir(self._names)
        except FileNotFoundError:
            return
        for name in names:
            self.release_name(name, container_id)

    def release_name(self, name: str, container_id: str) -> None:
        """Free the name if it still belongs to the id."""
        link = f"{self._names}/{name}"
        try:
            if os.readlink(link) == container_id:
                os.unlink(link)
        except FileNotFoundError:
            pass


class Staging:
    """A container under construction: invisible until `publish`, swept if its maker dies."""

    def __init__(self, store: ContainerStore, container_id: str) -> None:
        self.store = store
        self.id = container_id
        self.directory = f"{store.paths.data}/tmp/{container_id}"
        self._lock = Lock(f"{self.directory}.lock")
        self._lock.acquire()
        while not self._lock.is_in_place():  # swept between its creation and its locking
            self._lock.release()
            self._lock.acquire()
        os.mkdir(self.directory, 0o700)
        self._name = ""

    def claim_name(self, name: str) -> None:
        """Claim the container's name; raises NameInUse."""
        self.store.claim_name(name, self.id)
        self._name = name

    def publish(self) -> None:
        """Make the container visible, complete, under its id and name."""
        os.rename(self.directory, f"{self.store.directory}/{self.id}")
        self._unlock()

    def abandon(self) -> None:
        """Undo everything; what was there before is as it was."""
        if self._name:
            self.store.release_name(self._name, self.id)
        _remove_staged(self.directory)
        self._unlock()

    def _unlock(self) -> None:
        os.unlink(self._lock.path)
        self._lock.release()


def event_details(record: dict[str, Any]) -> dict[str, Any]:
    """Return what events tell of the container of this record."""
    return {"name": record["name"], "image": record["image"], "attributes": record["labels"]}


def sync_bundle(directory: str) -> None:
    """Make what create has written survive a power loss."""
    for path in (f"{directory}/config.json", f"{directory}/container.json", directory):
        sync(path)


def _remove_staged(directory: str) -> None:
    """Remove a directory that only create has written to: two files and three empty directories."""
    try:
        entries = list(os.scandir(directory))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            os.rmdir(entry.path)
        else:
            os.unlink(entry.path)
    os.rmdir(directory)
