"""Containers on disk: bundles, names, and what they tell of a container's state.

    DATA/containers/ID/container.json   what was asked for; written by create, replaced by rename
    DATA/containers/ID/config.json      the runtime spec; written once, by create
    DATA/containers/ID/exit.json        how the last run ended; written by the supervisor
    RUN/containers/ID/exit.json         the same, if the disk was full
    DATA/names/NAME                     symlink to ID; its exclusive creation is what makes a name unique
    RUN/containers/ID/state.json        the running process; written by the supervisor
    RUN/containers/ID/lock              held while the supervisor lives
    RUN/containers/ID/stop              it is to stay ended; held while somebody stops it
    RUN/containers/ID/paused.json       its processes are frozen; written by pause
    RUN/containers/ID/health.json       results of its health checks; written by the supervisor

Status is derived from these, never stored: a held lock means that it lives as state.json says,
otherwise exit.json tells, and a start that left neither (its supervisor was killed) counts as
exited. Reading takes no lock.

Who makes or removes a container holds DATA/tmp/ID.lock meanwhile, so that `sweep` can tell what
was left half done by somebody who died. Who starts or removes one holds its RUN lock.
"""

from __future__ import annotations

import os

from daemonless import failpoints, jsonio
from daemonless.clock import timestamp
from daemonless.config import Paths
from daemonless.errors import DaemonlessError, InvalidData, NameInUse, NotFound, UsageError
from daemonless.files import (
    Lock,
    boot_id,
    list_if_there,
    lock_is_held,
    make_private_directory,
    process_start_time,
    read_file,
    remove_flat_directory,
    sync,
    unlink_if_there,
    write_atomic,
)
from daemonless.supervisor import protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

ID_DIGITS = "0123456789abcdef"
SCHEMA = 1  # of container.json, state.json and exit.json
DEPENDENTS = "dependents"  # of a container's directory: see `daemonless.containers.sharing`
SHARED = "container:"  # begins the mode of a namespace that another container has
_ID_LENGTH = 64
_KILLED = 137  # a container whose supervisor was killed was killed with it
_RECORD_TYPES: dict[str, type] = {
    "id": str,
    "name": str,
    "created": str,
    "image": str,
    "imageId": str,
    "args": list,
    "labels": dict,
    "request": dict,
}
_EXIT_TYPES: dict[str, type] = {
    "exitCode": int,
    "signal": int,
    "started": str,
    "finished": str,
    "oomKilled": bool,
    "error": str,
}
_HEALTH_TYPES: dict[str, type] = {"status": str, "failingStreak": int, "log": list}
PAUSE_MARK = protocol.PAUSE_MARK
_STATE_TYPES: dict[str, type] = {"pid": int, "startTime": int, "bootId": str, "started": str, "ports": list}


class Container:
    """One container, read from its files when first asked."""

    def __init__(self, paths: Paths, container_id: str) -> None:
        self.id = container_id
        self.directory = f"{paths.data}/containers/{container_id}"
        self.run_directory = f"{paths.run}/containers/{container_id}"
        self.damage: list[str] = []  # what of its files turned out to be unreadable, one line each
        self.held: Lock | None = None  # its lock, from its making on to its first start
        self.is_newer = False  # whether one of them is of a version unknown here
        self._read: dict[str, dict[str, Any] | None] = {}

    def _load(self, path: str, types: dict[str, type]) -> dict[str, Any] | None:
        """Return the object at `path`, None if there is no file; raises InvalidData."""
        if path not in self._read:
            try:
                value = jsonio.loads(read_file(path), what=path)
            except FileNotFoundError:
                self._read[path] = None
                return None
            except OSError as error:
                raise InvalidData(f"{path} cannot be read: {error.strerror}", self._hint) from None
            except InvalidData as error:
                raise InvalidData(error.message, self._hint) from None
            if not isinstance(value, dict):
                raise InvalidData(f"{path} does not hold a JSON object", self._hint)
            if types and value.get("schema") != SCHEMA:
                self.is_newer = True
                raise InvalidData(
                    f"{path} is of version {value.get('schema')!r}, which this daemonless does not know"
                )
            if not all(isinstance(value.get(key), kind) for key, kind in types.items()):
                raise InvalidData(f"{path} does not hold what it should", self._hint)
            self._read[path] = value
        return self._read[path]

    @property
    def _hint(self) -> str:
        return f"remove the container: daemonless rm --force {self.id[:12]}"

    @property
    def is_there(self) -> bool:
        """Whether the container, readable or not, exists."""
        return os.path.lexists(self.directory)

    @property
    def record(self) -> dict[str, Any]:
        """container.json; raises NotFound if the container is gone, InvalidData if it is broken."""
        path = f"{self.directory}/container.json"
        record = self._load(path, _RECORD_TYPES)
        if record is None:
            del self._read[path]
            if self.is_there:
                raise InvalidData(f"{path} is missing", self._hint)
            raise NotFound(f"no such container: {self.id[:12]}")
        return record

    @property
    def is_needed(self) -> bool:
        """Whether another container needs this one, which then stays, with --rm too."""
        place = os.path.dirname(self.directory)
        others = list_if_there(f"{self.directory}/{DEPENDENTS}")
        return any(os.path.lexists(f"{place}/{other}") for other in others)

    @property
    def needs(self) -> list[str]:
        """Ids of the containers that this one needs (`daemonless.containers.sharing`)."""
        request = self.record["request"]
        modes = (request["pid"], request["ipc"], request["uts"], request["userns"]["mode"])
        shared = (mode.removeprefix(SHARED) for mode in modes if mode.startswith(SHARED))
        return list(dict.fromkeys((*(request.get("requires") or ()), *shared)))

    @property
    def name(self) -> str:
        """The container's name."""
        name: str = self.record["name"]
        return name

    def goes_by(self, name: str) -> bool:
        """Return whether the record agrees with a claim of the name; an unreadable one agrees with all."""
        try:
            return bool(self.record["name"] == name)
        except DaemonlessError:
            return True

    @property
    def state(self) -> dict[str, Any] | None:
        """state.json of the current or last run of this boot, or None."""
        path = f"{self.run_directory}/state.json"
        if path not in self._read:
            try:
                state = self._load(path, _STATE_TYPES)
            except InvalidData as error:
                state = None
                self.damage.append(error.message)
            if state and state["bootId"] != boot_id():
                state = None  # after a reboot that the run directory survived, pids may be anybody's
            self._read[path] = state
        return self._read[path]

    @property
    def exit(self) -> dict[str, Any] | None:
        """The exit record of the last run, or None; from the run directory if the disk was full."""
        for directory in (self.run_directory, self.directory):
            path = f"{directory}/exit.json"
            try:
                record = self._load(path, _EXIT_TYPES)
            except InvalidData as error:
                record = self._read[path] = _unknown_exit(path)
                self.damage.append(error.message)
            if record and not self._is_of_an_earlier_run(record):
                return record
        return None

    def _is_of_an_earlier_run(self, record: dict[str, Any]) -> bool:
        """Whether a later run than the one this exit record tells of was killed with its supervisor."""
        state = self.state
        return state is not None and state["started"] != record["started"] and not self.is_supervised

    @property
    def has_health_check(self) -> bool:
        """Whether its health is checked."""
        health = self.record["request"].get("health") or {}
        return health.get("test", [])[:1] not in ([], ["NONE"])

    @property
    def health(self) -> dict[str, Any] | None:
        """health.json of the current or last run; None without health checks, or if it is damaged."""
        try:
            return self._load(f"{self.run_directory}/{protocol.HEALTH_NAME}", _HEALTH_TYPES)
        except InvalidData:
            return None

    def spec(self) -> dict[str, Any]:
        """config.json, the OCI runtime spec; raises InvalidData."""
        path = f"{self.directory}/config.json"
        spec = self._load(path, {})
        if spec is None:
            raise InvalidData(f"{path} is missing", self._hint)
        if not all(isinstance(spec.get(key), dict) for key in ("process", "linux", "root")):
            raise InvalidData(f"{path} is not a runtime spec", self._hint)
        return spec

    @property
    def log_path(self) -> str:
        """The file its output is logged to; empty if the log driver writes none."""
        request = self.record["request"]
        if request["log_driver"] not in ("k8s-file", "json-file"):
            return ""
        path: str = (request.get("log_opts") or {}).get("path") or f"{self.directory}/ctr.log"
        return path

    @property
    def is_running(self) -> bool:
        """Whether a supervisor lives and has recorded a process: running, paused or being stopped."""
        return self.status in ("running", "paused", "stopping")

    @property
    def is_supervised(self) -> bool:
        """Whether a supervisor lives; asked of the kernel, without taking the lock."""
        return lock_is_held(f"{self.run_directory}/lock")

    @property
    def lives(self) -> bool:
        """Whether its process runs, or its supervisor waits before it starts the next.

        The lock alone may be held by somebody who is about to start or to remove it.
        """
        state = self.state
        if state is None or not state["pid"]:
            return state is not None and self.is_supervised
        try:
            os.close(self.pidfd())
        except NotFound:
            return False
        return True

    @property
    def status(self) -> str:
        """The status in podman's words: what the supervisor is at, or how the last run was left."""
        state = self.state
        if state is not None and self.is_supervised:
            status: str = state.get("status", "running")
            if status != "running":
                return status  # initialized, restarting
            if lock_is_held(f"{self.run_directory}/{protocol.STOP_MARK}"):
                return "stopping"
            return "paused" if self.is_paused else "running"
        if self.exit is not None:
            return "exited" if self.exit["started"] else "created"
        return "exited" if self._was_started else "created"

    @property
    def is_paused(self) -> bool:
        """Whether the process of the current run is paused; the mark of an earlier one does not count."""
        path = f"{self.run_directory}/{PAUSE_MARK}"
        try:
            mark = self._load(path, {"startTime": int})
        except InvalidData as error:
            mark = self._read[path] = None
            self.damage.append(error.message)
        return bool(mark and self.state and mark["startTime"] == self.state["startTime"])

    @property
    def _was_started(self) -> bool:
        """Whether a run came to its mounts and left no exit record: overlayfs made a directory."""
        return self.state is not None or os.path.lexists(f"{self.directory}/work/work")

    @property
    def is_leftover(self) -> bool:
        """Whether a run with --rm ended without removing the container, its supervisor being killed.

        It cannot be started again: its overlay was not made to survive.
        """
        return (
            self.record["request"].get("rm") is True
            and not self.is_supervised
            and self.is_there
            and not self.is_needed
            and (self._was_started or self.exit is not None)
        )

    @property
    def exit_code(self) -> int:
        """Exit status of the last run; 0 before the first, 137 if its supervisor was killed."""
        if self.exit is not None:
            code: int = self.exit["exitCode"]
            return code
        return _KILLED if self.status == "exited" else 0

    def refresh(self) -> None:
        """Forget what was read."""
        self.damage.clear()
        self._read.clear()

    def try_lock(self) -> Lock | None:
        """Take the lock that whoever starts, runs or removes the container holds.

        None if somebody else has it. Raises NotFound if the container is gone, OSError if the
        runtime directory cannot be written.
        """
        if self.held:
            lock, self.held = self.held, None
            return lock
        while True:
            make_private_directory(self.run_directory)
            lock = Lock(f"{self.run_directory}/lock")
            try:
                taken = lock.try_acquire()
            except FileNotFoundError:
                continue  # removed with its directory; is the container gone, too?
            if not taken:
                lock.release()
                return None
            if lock.is_in_place():
                break
            lock.release()
        if not self.is_there:
            remove_flat_directory(self.run_directory)
            lock.release()
            raise NotFound(f"no such container: {self.id[:12]}")
        self.refresh()
        return lock

    @property
    def _shown(self) -> str:
        try:
            return self.name
        except DaemonlessError:
            return self.id[:12]

    def pidfd(self) -> int:
        """Open the running process; raises NotFound if it is gone or its pid is another's.

        Identity is pid and start time: a recycled pid is never signalled (shared invariant S-9).
        """
        state = self.state
        if state is None or not state["pid"] or not self.is_supervised:
            raise NotFound(f"container {self._shown} is not running")
        try:
            pidfd = os.pidfd_open(state["pid"])
            started = process_start_time(state["pid"])
        except (ProcessLookupError, FileNotFoundError):
            raise NotFound(f"container {self._shown} is not running") from None
        if started != state["startTime"]:
            os.close(pidfd)
            raise NotFound(f"container {self._shown} is not running")
        return pidfd

    def member(self) -> tuple[int, int]:
        """Return pid and pidfd of a process whose namespaces can be joined; raises NotFound.

        The init of --init is not dumpable, and the kernel then shows its /proc/PID/ns and root to
        nobody; the command, its first child, has the same.
        """
        pidfd = self.pidfd()
        pid: int = self.state["pid"] if self.state else 0
        if not self.record["request"].get("init"):
            return pid, pidfd
        os.close(pidfd)
        try:
            child = int(read_file(f"/proc/{pid}/task/{pid}/children", 1 << 20).split()[0])
            pidfd = os.pidfd_open(child)
        except (OSError, IndexError):
            raise NotFound(f"container {self._shown} is not running") from None
        os.close(self.pidfd())  # that init ends with its first child: it lives, and the pid was the child's
        return child, pidfd


def _unknown_exit(path: str) -> dict[str, Any]:
    """Return what stands in for an exit record that cannot be read; its file knows when it was made."""
    try:
        ended = timestamp(os.lstat(path).st_mtime_ns)
    except OSError:
        ended = timestamp(0)
    return {
        "schema": SCHEMA,
        "exitCode": 255,
        "signal": 0,
        "started": ended,
        "finished": ended,
        "oomKilled": False,
        "error": "how it ended is not known: the record of it is damaged",
    }


class ContainerStore:
    """All containers below one pair of roots."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.directory = f"{paths.data}/containers"
        self._names = f"{paths.data}/names"

    def containers(self) -> list[Container]:
        """Return all readable containers, newest first; a broken one never hides the others."""
        return self.survey()[0]

    def broken(self) -> list[Container]:
        """Return the containers whose container.json cannot be read."""
        return self.survey()[1]

    def survey(self, *, supervised: bool = False) -> tuple[list[Container], list[Container]]:
        """Return the readable containers, newest first, and the ones that cannot be read.

        `supervised` asks for those that have a supervisor. Their locks tell, so that no file is
        read of the others, however many they are.
        """
        found, broken = [], []
        for container in self._supervised() if supervised else self._all():
            try:
                if not self._collect(container):
                    found.append((container.record["created"], container))
            except (InvalidData, OSError) as error:
                container.damage.append(str(error))
                broken.append(container)
            except NotFound:
                continue
        found.sort(key=lambda pair: pair[0], reverse=True)
        return [container for _, container in found], broken

    def _collect(self, container: Container) -> bool:
        """Remove what a run with --rm has left; return whether it was such and is to be ignored."""
        if not container.is_leftover:
            return False
        try:
            lock = container.try_lock()
            if lock:
                self.forget(container)
                lock.release()
                from daemonless.layers.trash import empty_in_background  # noqa: PLC0415 - as in forget

                empty_in_background(self.paths.data)
        except (DaemonlessError, OSError):
            pass  # gone meanwhile, or on a disk that cannot be written
        return True

    def forget(self, container: Container) -> None:
        """Take a container out of sight; whoever calls holds its lock.

        What somebody who is killed here has not done, `sweep` does.
        """
        from daemonless.layers import trash  # noqa: PLC0415 - it brings user namespaces, for those who remove

        data = self.paths.data
        try:
            intent = _hold_intent(data, container.id)
        except OSError:  # the disk is full
            intent = None
        container.refresh()  # it may have been renamed before the intent was ours
        try:
            name = container.name
        except DaemonlessError:
            name = ""
        failpoints.reach("rm.discard")
        if container.is_there:
            trash.discard(data, container.directory)
        failpoints.reach("rm.name")
        if name:
            self.release_name(name, container.id)
        else:
            self._release_names(container)
        failpoints.reach("rm.run_directory")
        remove_flat_directory(container.run_directory)
        failpoints.reach("rm.intent")
        if intent:
            unlink_if_there(intent.path)
            intent.release()

    def _all(self) -> Iterator[Container]:
        return self._in(self.directory)

    def _supervised(self) -> Iterator[Container]:
        return (each for each in self._in(f"{self.paths.run}/containers") if each.is_supervised)

    def _in(self, directory: str) -> Iterator[Container]:
        try:
            names = os.listdir(directory)
        except FileNotFoundError:
            return
        for name in names:
            if len(name) == _ID_LENGTH:
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
            if len(target) == _ID_LENGTH and os.path.lexists(f"{self.directory}/{target}"):
                container = Container(self.paths, target)
                if target == text or container.goes_by(text):
                    return self._unless_leftover(container, text)
            if all(char in ID_DIGITS for char in text):
                matches = [c for c in self._all() if c.id.startswith(text)]
                if len(matches) == 1:
                    return self._unless_leftover(matches[0], text)
                if matches:
                    raise UsageError(f"container id prefix {text} is ambiguous", "give more of the id")
        raise NotFound(f"no such container: {text}", "daemonless ps --all lists them")

    def _unless_leftover(self, container: Container, text: str) -> Container:
        try:
            if not self._collect(container):
                return container
        except (DaemonlessError, OSError):
            return container  # broken: whoever reads it will say so
        raise NotFound(f"no such container: {text}", "daemonless ps --all lists them")

    def latest(self) -> Container:
        """Return the newest container; raises NotFound if there is none."""
        containers = self.containers()
        if not containers:
            raise NotFound("there are no containers")
        return containers[0]

    def sweep(self) -> None:
        """Finish what was left half done by makers and removers of containers who were killed.

        A container that is there is whole: it was published, or its removal had not begun.
        """
        staging = f"{self.paths.data}/tmp"
        try:
            entries = os.listdir(staging)
        except FileNotFoundError:
            return
        for entry in entries:
            container_id = entry.removesuffix(".lock")
            if entry == container_id or len(container_id) != _ID_LENGTH:
                continue
            lock = Lock(f"{staging}/{entry}")
            if lock.try_acquire():
                if lock.is_in_place():
                    container = Container(self.paths, container_id)
                    self._release_names(container)
                    if not container.is_there:
                        remove_flat_directory(f"{self.paths.run}/containers/{container_id}")
                    _remove_staged(f"{staging}/{container_id}")
                    os.unlink(lock.path)
                lock.release()

    # --- creation: stage, claim the name, make visible ---------------------------------------

    def stage(self, container_id: str) -> Staging:
        """Return a private directory in which to prepare the container."""
        for path in (f"{self.paths.data}/tmp", self.directory, self._names):
            make_private_directory(path)
        return Staging(self, container_id)

    def sync(self) -> None:
        """Make places and names of the containers that are there survive a power loss."""
        for directory in (self.directory, self._names):
            sync(directory)

    def owner(self, name: str) -> str:
        """Return the id that a name is bound to, or an empty string."""
        try:
            return os.readlink(f"{self._names}/{name}")
        except OSError:
            return ""

    def stale_names(self) -> list[str]:
        """Return the names that are bound to no container; they are free for whoever wants them."""
        try:
            names = sorted(os.listdir(self._names))
        except FileNotFoundError:
            return []
        owners = {name: self.owner(name) for name in names}
        return [name for name, owner in owners.items() if owner and self._is_stale(name, owner)]

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
        return not made and not os.path.lexists(f"{self.directory}/{container_id}")

    def claim_name(self, name: str, container_id: str) -> None:
        """Bind the name to the id; raises NameInUse."""
        failpoints.reach("create.name")
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
        counts. A crash between these leaves a claim that `find` does not believe, that gives way
        to whoever wants the name, and that `sweep` removes.
        """
        with Lock(f"{self.paths.data}/names.lock"), _hold_intent(self.paths.data, container.id) as intent:
            try:
                self._rename(container, name)
            except DaemonlessError:
                os.unlink(intent.path)
                raise
            failpoints.reach("rename.intent")
            os.unlink(intent.path)
        container.refresh()

    def _rename(self, container: Container, name: str) -> None:
        link = f"{self._names}/{name}"
        container.refresh()
        record = container.record
        before = record["name"]
        if name == before:
            return
        try:
            self._clear_claim(name, os.readlink(link))
        except OSError:
            pass  # it is free
        failpoints.reach("rename.claim")
        try:
            os.symlink(container.id, link)
        except FileExistsError:
            raise self._in_use(name, f"remove it: daemonless rm -f {name}") from None
        try:
            text = jsonio.dumps({**record, "name": name}).encode()
            failpoints.reach("rename.record")
            write_atomic(f"{container.directory}/container.json", text)
        except BaseException as error:
            container.refresh()
            if not container.goes_by(name):  # it does if the disk failed after the record was replaced
                os.unlink(link)
            if isinstance(error, FileNotFoundError):
                raise NotFound(f"container {before} has been removed") from None
            raise
        failpoints.reach("rename.release")
        self.release_name(before, container.id)

    def _release_names(self, container: Container) -> None:
        """Free the names bound to a container that is gone, or that goes by another."""
        try:
            names = os.listdir(self._names)
        except FileNotFoundError:
            return
        for name in names:
            if not (container.is_there and container.goes_by(name)):
                self.release_name(name, container.id)

    def release_name(self, name: str, container_id: str) -> None:
        """Free the name if it still belongs to the id."""
        link = f"{self._names}/{name}"
        try:
            if os.readlink(link) == container_id:
                os.unlink(link)
        except FileNotFoundError:
            pass


def _hold_intent(data: str, container_id: str) -> Lock:
    """Take the lock that tells `sweep` that somebody is making, renaming or removing the container."""
    lock = Lock(f"{data}/tmp/{container_id}.lock")
    lock.acquire()
    while not lock.is_in_place():  # swept, or given up by another, between its creation and its locking
        lock.release()
        lock.acquire()
    return lock


class Staging:
    """A container under construction: invisible until `publish`, swept if its maker dies."""

    def __init__(self, store: ContainerStore, container_id: str) -> None:
        self.store = store
        self.id = container_id
        self.directory = f"{store.paths.data}/tmp/{container_id}"
        self._lock = _hold_intent(store.paths.data, container_id)
        self._name = ""
        try:
            failpoints.reach("create.stage")
            os.mkdir(self.directory, 0o700)
        except BaseException:
            _remove_staged(self.directory)  # an interrupt may come just after it was made
            self._unlock()
            raise

    def claim_name(self, name: str) -> None:
        """Claim the container's name; raises NameInUse."""
        self.store.claim_name(name, self.id)
        self._name = name

    def publish(self, *, hold: bool = False) -> Container:
        """Make the container visible, complete, under its id and name.

        `hold` takes its lock first, for a start that follows: so nobody prunes it in between.
        """
        container = Container(self.store.paths, self.id)
        if hold:
            failpoints.reach("create.hold")
            make_private_directory(container.run_directory)
            container.held = Lock(f"{container.run_directory}/lock")
            container.held.acquire()
        failpoints.reach("create.publish")
        os.rename(self.directory, container.directory)
        failpoints.reach("create.unlock")
        self._unlock()
        return container

    def abandon(self) -> None:
        """Undo everything; what was there before is as it was."""
        if not os.path.lexists(f"{self.store.directory}/{self.id}"):
            if self._name:
                self.store.release_name(self._name, self.id)
            _remove_staged(self.directory)
            remove_flat_directory(f"{self.store.paths.run}/containers/{self.id}")
        self._unlock()

    def _unlock(self) -> None:
        unlink_if_there(self._lock.path)
        self._lock.release()


def event_details(record: dict[str, Any]) -> dict[str, Any]:
    """Return what events tell of the container of this record."""
    return {"name": record["name"], "image": record["image"], "attributes": record["labels"]}


def sync_bundle(directory: str) -> None:
    """Make what create has written survive a power loss."""
    failpoints.reach("create.sync")
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
