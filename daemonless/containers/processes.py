"""The processes of a running container, as the host's /proc shows them (proc(5)).

Nothing of the container is executed or loaded for it (CVE-2022-1227): its processes are found by
their namespace, their ids are translated by the id map and by NSpid, and what they say about
themselves (their arguments) is text.
"""

from __future__ import annotations

import os

from daemonless.containers.store import Container
from daemonless.errors import Conflict, DaemonlessError, NotFound
from daemonless.files import read_file
from daemonless.isolation.identity import names_of_ids
from daemonless.isolation.userns import IdMap, mapped_ids, to_inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from daemonless.isolation.userns import Range

_OVERFLOW_ID = 65534  # what the kernel shows for an id that is not mapped (user_namespaces(7))
_MAX_ARGUMENTS = 1 << 16  # bytes shown of a command line


class Process:
    """One process, or one of its threads: /proc/PID/stat and status, read once."""

    def __init__(self, pid: int, thread: int = 0) -> None:
        """Read it; raises FileNotFoundError or ProcessLookupError if it is gone."""
        self.host_pid = pid
        self._directory = f"/proc/{pid}/task/{thread}" if thread else f"/proc/{pid}"
        text = read_file(f"{self._directory}/stat", 1 << 16, what="stat").decode("utf-8", "backslashreplace")
        name, _, rest = text.partition("(")[2].rpartition(")")
        fields = rest.split()  # the third of proc_pid_stat(5) and on
        self.comm = name
        self.state = fields[0]
        self.host_parent = int(fields[1])
        self.terminal = int(fields[4])  # a device number, 0 for none
        self.foreground_group = int(fields[5])
        self.cpu_ticks = int(fields[11]) + int(fields[12])
        self.nice = int(fields[16])
        self.threads = int(fields[17])
        self.start_ticks = int(fields[19])  # since boot
        self.virtual = int(fields[20])  # bytes
        self.status: dict[str, list[str]] = {}
        text = read_file(f"{self._directory}/status", 1 << 16, what="status").decode(
            "utf-8", "backslashreplace"
        )
        for line in text.splitlines():
            key, _, value = line.partition(":")
            self.status[key] = value.split()

    def split(self) -> list[Process]:
        """Return its threads, the first of which is the process's own."""
        found = []
        try:
            for name in os.listdir(f"{self._directory}/task"):
                found.append(Process(self.host_pid, int(name)))
        except OSError:  # it, or one of them, has just ended
            pass
        return sorted(found, key=lambda thread: thread.number("Pid"))

    def number(self, key: str, default: int = 0) -> int:
        """Return the first number of a line of status."""
        values = self.status.get(key)
        return int(values[0]) if values else default

    def arguments(self) -> list[str]:
        """Return the command line, empty for a zombie and for a process that is gone."""
        return self._read("cmdline").decode("utf-8", "surrogateescape").removesuffix("\0").split("\0")

    def label(self) -> str:
        """Return the security label, empty where no security module gives one."""
        return self._read("attr/current").decode("ascii", "replace").strip("\0\n")

    def _read(self, name: str) -> bytes:
        try:
            fd = os.open(f"{self._directory}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return b""
        try:
            return os.read(fd, _MAX_ARGUMENTS)
        except OSError:
            return b""
        finally:
            os.close(fd)


class Processes:
    """All processes of one container, in the order of their pids inside, and its names for ids."""

    def __init__(self, container: Container) -> None:
        """Read them. Raises Conflict if the container does not run."""
        try:
            found = members(container)
            state: dict[str, Any] = container.state or {}
            self._init: int = state["pid"]
            self._level = len(Process(self._init).status["NSpid"]) - 1
        except NotFound:
            raise Conflict(
                f"container {container.name} is {container.status}, so it has no processes",
                f"start it: daemonless start {container.name}",
            ) from None
        except (FileNotFoundError, ProcessLookupError):
            raise Conflict(f"container {container.name} has just ended") from None
        self._id_map: IdMap = mapped_ids(container.spec())
        # A process that was reaped while it was looked at has no pid any more.
        self.all = sorted((process for process in found if self.pid(process)), key=self.pid)
        self._inside = {process.host_pid: self.pid(process) for process in found}
        self._names: dict[str, dict[int, str]] = {}

    def pid(self, process: Process) -> int:
        """Return the container's own pid of a process, also of that which a thread belongs to."""
        return self.inside(process, "NStgid")

    def thread(self, process: Process) -> int:
        """Return the container's own id of a thread; that of a process is its pid."""
        return self.inside(process, "NSpid")

    def inside(self, process: Process, key: str) -> int:
        """Return a pid, process group or session (NSpid, NSpgid, NSsid) as the container counts them."""
        numbers = process.status.get(key, [])
        return int(numbers[self._level]) if len(numbers) > self._level else 0

    def parent(self, process: Process) -> int:
        """Return the container's pid of the parent, 0 if that is not in the container."""
        return self._inside.get(process.host_parent, 0)

    def uid(self, host_uid: int) -> int:
        """Return the container's id of a host uid."""
        return _shown_id(self._id_map.uids, host_uid)

    def gid(self, host_gid: int) -> int:
        """Return the container's id of a host gid."""
        return _shown_id(self._id_map.gids, host_gid)

    def name(self, file: str, number: int) -> str:
        """Return how the container's /etc/passwd or /etc/group calls an id; the number if it does not."""
        if file not in self._names:
            self._names[file] = self._read_names(file)
        return self._names[file].get(number) or str(number)

    def _read_names(self, file: str) -> dict[int, str]:
        try:
            root_fd = os.open(f"/proc/{self._init}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return {}
        try:
            return names_of_ids(root_fd, file)
        except (DaemonlessError, OSError):  # unreadable, or no regular file: ids have no names then
            return {}
        finally:
            os.close(root_fd)


def _shown_id(ranges: tuple[Range, ...], number: int) -> int:
    inside = to_inside(ranges, number)
    return _OVERFLOW_ID if inside is None else inside


def members(container: Container) -> list[Process]:
    """Return the processes of a container, those of `exec` and of nested namespaces included.

    Raises NotFound if it does not run, FileNotFoundError or ProcessLookupError if it has just ended.
    """
    entrance, pidfd = container.member()
    os.close(pidfd)
    state: dict[str, Any] = container.state or {}
    shares_pids = container.record["request"]["pid"] != "private"
    return _members(state["pid"], entrance, "mnt" if shares_pids else "pid")


def _members(init: int, entrance: int, kind: str) -> list[Process]:
    """Return the processes in the namespace of `entrance`, and those in namespaces made inside it.

    Process `init` is one of them, whether its namespaces may be looked at or not.

    The latter descend from the former. Who vanishes while this looks is left out; somebody
    else's processes cannot be looked at and are not the container's.
    """
    wanted = os.stat(f"/proc/{entrance}/ns/{kind}").st_ino
    members = {init: Process(init)}
    others: dict[int, Process] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            namespace = os.stat(f"/proc/{name}/ns/{kind}").st_ino
            process = Process(int(name))
        except OSError:
            continue
        (members if namespace == wanted else others)[process.host_pid] = process
    grown = True
    while grown:
        grown = False
        for pid in [pid for pid, process in others.items() if process.host_parent in members]:
            members[pid] = others.pop(pid)
            grown = True
    return list(members.values())
