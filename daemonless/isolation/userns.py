"""User namespaces: subordinate ids, id maps, and running a function as the mapped root.

Follows user_namespaces(7), subuid(5) and newuidmap(1).
"""

from __future__ import annotations

import _signal
import os
import pwd  # a built-in C module; NSS is asked here, on the host, never inside a container

from daemonless import syscalls
from daemonless.errors import DaemonlessError, SetupFailed
from daemonless.files import read_file
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Range = tuple[int, int, int]  # first id inside, first id outside, how many

NEWUIDMAP = "/usr/bin/newuidmap"
NEWGIDMAP = "/usr/bin/newgidmap"


class IdMap(Record):
    """The uid and gid maps of a user namespace: ranges of (inside, outside, length)."""

    uids: tuple[Range, ...]
    gids: tuple[Range, ...]
    key: str = "default"  # names the directory of layers unpacked with this map
    reason: str = ""  # of a single-id map: why there is no more, and what to do about it

    @property
    def is_single(self) -> bool:
        """Whether only one user and one group are mapped, so that files can have but one owner."""
        return all(len(ranges) == 1 and ranges[0][2] == 1 for ranges in (self.uids, self.gids))

    def has(self, uid: int, gid: int) -> bool:
        """Whether a user and a group of the host are mapped."""
        return to_inside(self.uids, uid) is not None and to_inside(self.gids, gid) is not None

    def with_own(self, uid: int, gid: int) -> IdMap:
        """Return a map that has the caller as well, after all others if it was left out.

        For tasks of ours in the files of a container whose own map leaves it out: these lie in
        directories that are the caller's.
        """
        return self.replace(uids=_with(self.uids, uid), gids=_with(self.gids, gid))

    def to_outside(self, uid: int) -> int | None:
        """Return the host's id of a uid inside, or None if it is not mapped."""
        for inside, outside, length in self.uids:
            if inside <= uid < inside + length:
                return outside + uid - inside
        return None

    def to_inside(self, uid: int) -> int | None:
        """Return the inside's id of a host uid, or None if it is not mapped."""
        return to_inside(self.uids, uid)


def _with(ranges: tuple[Range, ...], number: int) -> tuple[Range, ...]:
    if to_inside(ranges, number) is not None:
        return ranges
    return (*ranges, (max(inside + length for inside, _, length in ranges), number, 1))


def to_inside(ranges: tuple[Range, ...], number: int) -> int | None:
    """Return the inside's id of a host id in one of the two lists of a map, or None."""
    for inside, outside, length in ranges:
        if outside <= number < outside + length:
            return inside + number - outside
    return None


def is_mapped(ranges: tuple[Range, ...], number: int) -> bool:
    """Return whether one of the two lists of a map has the inside's id `number`."""
    return any(inside <= number < inside + length for inside, _, length in ranges)


def load_id_map(uid: int, gid: int) -> IdMap:
    """Return the default map: 0 is the caller, from 1 on its whole subordinate ranges.

    Where /etc/subuid or /etc/subgid grants nothing, or newuidmap is not installed, the result
    maps the caller alone and `reason` says why.
    """
    names = names_of(uid)
    uid_ranges = _subordinate("/etc/subuid", names)
    gid_ranges = _subordinate("/etc/subgid", names)
    reason = ""
    if not uid_ranges or not gid_ranges:
        which = "/etc/subuid" if not uid_ranges else "/etc/subgid"
        reason = (
            f"{which} has no range for {names[0]}, so the container has a single user id; for more: "
            f"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {names[0]}"
        )
    elif not (os.access(NEWUIDMAP, os.X_OK) and os.access(NEWGIDMAP, os.X_OK)):
        reason = (
            f"{NEWUIDMAP} is missing, so the container has a single user id; for more: "
            "sudo apt-get install uidmap"
        )
    if reason:
        return IdMap(uids=((0, uid, 1),), gids=((0, gid, 1),), key="single", reason=reason)
    return IdMap(uids=((0, uid, 1), *_stack(uid_ranges)), gids=((0, gid, 1), *_stack(gid_ranges)))


def _stack(ranges: list[tuple[int, int]]) -> list[Range]:
    """Place host ranges one after the other from inside id 1 on."""
    inside, stacked = 1, []
    for first, length in ranges:
        stacked.append((inside, first, length))
        inside += length
    return stacked


def names_of(uid: int) -> list[str]:
    """Return what subuid(5) may call the user: the login name and the number."""
    try:
        return [pwd.getpwuid(uid).pw_name, str(uid)]
    except KeyError:
        return [str(uid)]


def _subordinate(path: str, names: list[str]) -> list[tuple[int, int]]:
    try:
        text = read_file(path).decode("utf-8", "replace")
    except OSError:
        return []
    ranges = []
    for line in text.splitlines():
        fields = line.strip().split(":")
        if len(fields) == 3 and fields[0] in names and fields[1].isdigit() and fields[2].isdigit():
            first, length = int(fields[1]), int(fields[2])
            if length > 0 and first + length <= 1 << 32:
                ranges.append((first, length))
    return ranges


def mapped_ids(spec: dict[str, Any]) -> IdMap:
    """Return the id map of a runtime spec (config-linux.md, "User namespace mappings")."""
    linux = spec["linux"]
    return IdMap(
        uids=tuple((m["containerID"], m["hostID"], m["size"]) for m in linux["uidMappings"]),
        gids=tuple((m["containerID"], m["hostID"], m["size"]) for m in linux["gidMappings"]),
    )


def keep_id_map(default: IdMap, uid: int, gid: int) -> IdMap:
    """Return the map of `--userns=keep-id`: `uid` and `gid` inside are the caller.

    Every other id inside, 0 among them, is a subordinate one: inside ids below `uid` take the
    first of the range, those above it follow.
    """
    if default.is_single:
        key = f"keep-id-{uid}-{gid}-single"
        return default.replace(
            uids=((uid, default.uids[0][1], 1),), gids=((gid, default.gids[0][1], 1),), key=key
        )
    return IdMap(uids=_swap(default.uids, uid), gids=_swap(default.gids, gid), key=f"keep-id-{uid}-{gid}")


def _swap(ranges: tuple[Range, ...], kept: int) -> tuple[Range, ...]:
    """Rearrange `0 -> caller, 1.. -> subordinate` so that `kept -> caller`."""
    caller = ranges[0][1]
    total = sum(length for _, _, length in ranges[1:])
    if kept > total:
        raise SetupFailed(f"id {kept} is beyond the {total} subordinate ids", "use --userns=keep-id:uid=1000")
    result: list[Range] = []
    inside = 0
    for _, outside, length in ranges[1:]:
        below = min(length, max(0, kept - inside))
        if below:
            result.append((inside, outside, below))
            inside += below
        if length > below:
            inside = max(inside, kept + 1)
            result.append((inside, outside + below, length - below))
            inside += length - below
    return tuple(sorted([*result, (kept, caller, 1)]))


class _Maps:
    """The maps of a new user namespace, that of `pid`, a child of the caller, while they are written.

    A single-id map needs no privilege (user_namespaces(7), "Writing to uid_map"); more ranges go
    through the setuid helpers, both at once because they cost 1 to 2 ms each.
    """

    def __init__(self, pid: int, id_map: IdMap) -> None:
        """Begin to write them; raises SetupFailed."""
        self._helpers: list[int] = []
        self._said = -1
        if id_map.is_single:
            _write_proc(pid, "setgroups", "deny")
            for name, ranges in (("uid_map", id_map.uids), ("gid_map", id_map.gids)):
                _write_proc(pid, name, " ".join(map(str, ranges[0])))
            return
        self._said, write_end = os.pipe()
        quiet = [(os.POSIX_SPAWN_DUP2, write_end, 2), (os.POSIX_SPAWN_DUP2, write_end, 1)]
        for program, ranges in ((NEWUIDMAP, id_map.uids), (NEWGIDMAP, id_map.gids)):
            argv = [program, str(pid), *(str(number) for triple in ranges for number in triple)]
            self._helpers.append(os.posix_spawn(program, argv, {"PATH": "/usr/bin:/bin"}, file_actions=quiet))
        os.close(write_end)

    def wait(self) -> None:
        """Wait until they are written; raises SetupFailed."""
        if not self._helpers:
            return
        statuses = [os.waitpid(helper, 0)[1] for helper in self._helpers]
        said = os.read(self._said, 1000).decode("utf-8", "replace").strip().replace("\n", "; ")
        os.close(self._said)
        if any(statuses):
            raise SetupFailed(
                f"cannot map the user's subordinate ids: {said or 'newuidmap failed'}",
                "check the user's ranges in /etc/subuid and /etc/subgid",
            )


def write_maps(pid: int, id_map: IdMap) -> None:
    """Write both maps of the user namespace of `pid`, a child of the caller. Raises SetupFailed."""
    _Maps(pid, id_map).wait()


def _write_proc(pid: int, name: str, text: str) -> None:
    fd = os.open(f"/proc/{pid}/{name}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    except OSError as error:
        raise SetupFailed(f"cannot write {name} of the user namespace: {error.strerror}") from error
    finally:
        os.close(fd)


def clone_failed(error: OSError) -> SetupFailed:
    """Return the error a person should see when clone3 refuses new namespaces.

    clone(2)'s errnos mislead here: EPERM is a sysctl or a security module, ENOSPC a limit.
    """
    hints = {
        1: "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1 "
        "(Ubuntu: kernel.apparmor_restrict_unprivileged_userns=0)",
        28: "raise the sysctl user.max_user_namespaces",
        87: "namespaces are nested too deep",
    }
    return SetupFailed(
        f"cannot create the container's namespaces: {error.strerror}", hints.get(error.errno or 0, "")
    )


class MappedChild:
    """A child in a new user namespace, as whose root it runs a function once it is told to `go`.

    What is between the making of this and `go`, the caller has for itself: the child's ids are
    mapped meanwhile, and it runs `prepare` with the caller's own ids. Neither may have threads.
    """

    def __init__(
        self,
        function: Callable[[], int],
        id_map: IdMap,
        flags: int = 0,
        prepare: Callable[[], object] | None = None,
    ) -> None:
        """Make it; raises SetupFailed. `flags` are of more namespaces.

        What `function` returns is the child's exit status; DaemonlessError becomes a line on stderr and its
        status.
        """
        read_end, self._go = os.pipe()
        # Otherwise an interrupt that comes during the clone is raised in both, in the child as if it were us.
        before = _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGINT,))
        try:
            self.pid = syscalls.clone3(syscalls.CLONE_NEWUSER | flags)
        except OSError as error:
            os.close(read_end)
            os.close(self._go)
            _signal.pthread_sigmask(_signal.SIG_SETMASK, before)
            raise clone_failed(error) from error
        if self.pid == 0:
            status = 125
            try:
                _signal.pthread_sigmask(_signal.SIG_SETMASK, before)
                os.close(self._go)
                if prepare and os.read(read_end, 1):
                    prepare()
                if os.read(read_end, 1):
                    os.close(read_end)
                    become_root(id_map)
                    status = function()
            except DaemonlessError as error:
                os.write(2, f"Error: {error.message}\n".encode())
                status = error.exit_status
            except KeyboardInterrupt:
                status = 130
            except BaseException as error:  # a traceback would be the only other output
                os.write(2, f"Error: {type(error).__name__}: {error}\n".encode())
            finally:
                os._exit(status)
        os.close(read_end)
        self._maps: _Maps | None = None
        try:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, before)
            self._maps = _Maps(self.pid, id_map)
            if prepare:  # only now, as it would keep the helpers from a core, and us waiting for their exec
                os.write(self._go, b"?")
        except BaseException:
            self.kill()
            raise

    def go(self) -> None:
        """Let the child run its function. Raises SetupFailed; then there is no child any more."""
        assert self._maps
        try:
            maps, self._maps = self._maps, None
            maps.wait()
            os.write(self._go, b"!")
        except BaseException as error:
            self.kill()  # it may have begun, and wait for what only we can tell it
            if isinstance(error, BrokenPipeError):
                raise SetupFailed("the process that was made ended before its time") from None
            raise
        self._close()

    def _close(self) -> None:
        os.close(self._go)
        self._go = -1

    def kill(self) -> None:
        """End the child, unless it was told to go or there is none any more."""
        if self._go < 0:
            return
        self._close()
        os.kill(self.pid, _signal.SIGKILL)
        try:
            if self._maps:
                self._maps.wait()
        except SetupFailed:
            pass  # they have nobody to write for
        finally:
            os.waitpid(self.pid, 0)


def start_mapped(function: Callable[[], int], id_map: IdMap, flags: int = 0) -> int:
    """Run `function` as root of a new user namespace (and those of `flags`); return the child's pid.

    As for MappedChild. Raises SetupFailed.
    """
    child = MappedChild(function, id_map, flags)
    child.go()
    return child.pid


def become_root(id_map: IdMap, *, keep_groups: bool = False) -> None:
    """Take uid and gid 0 of the namespace, if they are mapped, and drop the caller's groups.

    They stay with `keep_groups`, and with a single id, whose namespace denies setgroups(2).
    """
    if not (id_map.is_single or keep_groups):
        os.setgroups([])
    if any(inside == 0 for inside, _, _ in id_map.gids):
        os.setresgid(0, 0, 0)
    if any(inside == 0 for inside, _, _ in id_map.uids):
        os.setresuid(0, 0, 0)
