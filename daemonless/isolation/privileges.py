"""The last steps before execve: bounding set, identity, limits, capabilities, no_new_privs, seccomp.

`prepare` does all that may fail for its input; `drop` is a straight line of system calls that
works on numbers, because it runs inside the container's root, where nothing may be imported.

The order is the kernel's:
- The bounding set shrinks first: that needs CAP_SETPCAP, which is about to go.
- Groups before ids, and the uid last of the ids, for the same reason. PR_SET_KEEPCAPS keeps the
  permitted set across the change of uid; the final sets are then written in one capset(2).
- Without no_new_privs a filter needs CAP_SYS_ADMIN, so it is installed one step before the
  capabilities are final, and a profile must allow capset and prctl; with no_new_privs it comes last.
- PR_SET_PDEATHSIG is cleared by every change of ids, so it follows them.
"""

from __future__ import annotations

import os
import resource

from daemonless import syscalls as sc
from daemonless.errors import InvalidData, SetupFailed
from daemonless.isolation.capabilities import last_capability, to_bits, to_mask
from daemonless.isolation.identity import MAX_ID, Identity
from daemonless.oci.runtime import RLIMITS
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CAP_SYS_ADMIN = 1 << 21
_UNLIMITED = (1 << 64) - 1  # RLIM_INFINITY as the spec writes it; `resource` writes -1
_EINVAL = 22
# keyctl(2) is missing, forbidden by a filter around us, or the user's quota of keys is used up
_NO_KEYRING = (1, 13, 38, 122)  # EPERM, EACCES, ENOSYS, EDQUOT


class Privileges(Record):
    """What `drop` leaves to a process."""

    uid: int
    gid: int
    groups: tuple[int, ...] | None  # None: they stay as they are
    umask: int
    rlimits: tuple[tuple[int, int, int], ...]  # number, soft, hard, as setrlimit(2) takes them
    dropped: tuple[int, ...]  # capabilities to leave the bounding set
    effective: int
    permitted: int
    inheritable: int
    ambient: tuple[int, ...]
    seccomp: bytes
    no_new_privileges: bool
    death_signal: int
    warnings: tuple[str, ...] = ()  # one line each, for the person who asked


def prepare(
    process: dict[str, Any],
    identity: Identity,
    seccomp_program: bytes,
    *,
    keep_groups: bool,
    death_signal: int = 0,
) -> Privileges:
    """Turn an OCI process (config.md, "Process") and its resolved identity into numbers.

    uid 0 gets the bounding set, nothing inheritable, nothing ambient; every other user what the
    spec's lists say, never more than the bounding set. Limits are lowered to this process's own
    hard limits, with a warning each. With `keep_groups` the supplementary groups stay the caller's.
    `death_signal` is sent when the parent ends, 0 for none. Raises InvalidData for names the kernel
    does not have and ids out of range.
    """
    user, sets = process["user"], process["capabilities"]
    for number in (identity.uid, identity.gid, *identity.groups):
        if not 0 <= number <= MAX_ID:
            raise InvalidData(f"id {number} is out of range")
    known = (2 << last_capability()) - 1
    bounding = to_mask(sets.get("bounding", ())) & known
    if identity.uid == 0:
        permitted = effective = bounding
        inheritable = ambient = 0
    else:
        permitted = to_mask(sets.get("permitted", ())) & bounding
        effective = to_mask(sets.get("effective", ())) & permitted
        inheritable = to_mask(sets.get("inheritable", ())) & bounding
        ambient = to_mask(sets.get("ambient", ())) & permitted & inheritable
    rlimits, warnings = _limits(process.get("rlimits") or ())
    groups = dict.fromkeys((*identity.groups, *user.get("additionalGids", ())))
    return Privileges(
        uid=identity.uid,
        gid=identity.gid,
        groups=None if keep_groups else tuple(groups),
        umask=user.get("umask", 0o022),
        rlimits=rlimits,
        dropped=to_bits(known & ~bounding),
        effective=effective,
        permitted=permitted,
        inheritable=inheritable,
        ambient=to_bits(ambient),
        seccomp=seccomp_program,
        no_new_privileges=bool(process.get("noNewPrivileges")),
        death_signal=death_signal,
        warnings=warnings,
    )


def _limits(entries: Any) -> tuple[tuple[tuple[int, int, int], ...], tuple[str, ...]]:
    """Return the limits as setrlimit(2) takes them, and what was lowered."""
    limits, warnings = [], []
    for entry in entries:
        name = entry["type"].removeprefix("RLIMIT_").lower()
        number = RLIMITS.get(name)
        if number is None:
            raise InvalidData(f"there is no limit {name}", f"one of {' '.join(RLIMITS)}")
        own = resource.getrlimit(number)[1] & _UNLIMITED
        hard = min(entry["hard"], own)
        if hard < entry["hard"]:
            warnings.append(f"limit {name} is lowered to {hard}, your own hard limit")
        limits.append((number, _signed(min(entry["soft"], hard)), _signed(hard)))
    return tuple(limits), tuple(warnings)


def _signed(limit: int) -> int:
    return -1 if limit == _UNLIMITED else limit


def set_oom_score_adj(process: dict[str, Any]) -> bool:
    """Apply `oomScoreAdj` to this process, for its children to inherit; return whether it was set.

    To be called on the host's side: before /proc may be a container's, and while this process is
    dumpable. Lowering the value is refused to an unprivileged process and then left undone.
    """
    wanted = process.get("oomScoreAdj")
    if wanted is None:
        return True
    fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, b"%d" % wanted)
    except PermissionError:
        return False
    finally:
        os.close(fd)
    return True


def drop(privileges: Privileges) -> None:
    """Give up everything else; on success the process may execute the container's program.

    Raises SetupFailed naming the step; the process is then between two identities and must exit.
    """
    step = "join a session keyring"
    try:
        _join_keyring()
        step = "lower the capability bounding set"
        for number in privileges.dropped:
            sc.prctl(sc.PR_CAPBSET_DROP, number)
        step = "take on the user's identity"
        _become(privileges)
        step = "set the limits"
        os.umask(privileges.umask)
        for number, soft, hard in privileges.rlimits:
            resource.setrlimit(number, (soft, hard))
        if privileges.death_signal:
            sc.prctl(sc.PR_SET_PDEATHSIG, privileges.death_signal)
        if privileges.seccomp and not privileges.no_new_privileges:
            step = "install the seccomp filter"
            permitted = privileges.permitted | _CAP_SYS_ADMIN
            sc.capset(permitted, permitted, privileges.inheritable)
            sc.seccomp_set_filter(privileges.seccomp)
        step = "set the capabilities"
        sc.capset(privileges.effective, privileges.permitted, privileges.inheritable)
        sc.prctl(sc.PR_CAP_AMBIENT, sc.PR_CAP_AMBIENT_CLEAR_ALL)
        for number in privileges.ambient:
            sc.prctl(sc.PR_CAP_AMBIENT, sc.PR_CAP_AMBIENT_RAISE, number)
        if privileges.no_new_privileges:
            step = "set no_new_privs"
            sc.prctl(sc.PR_SET_NO_NEW_PRIVS, 1)
            if privileges.seccomp:
                step = "install the seccomp filter"
                sc.seccomp_set_filter(privileges.seccomp)
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else str(error)
        raise SetupFailed(f"cannot {step}: {reason}") from error


def _join_keyring() -> None:
    """Leave the caller's keys behind.

    A user may have 200 keyrings (keyrings(7)); the container after that runs with the caller's,
    which the default seccomp profile keeps out of its reach.
    """
    try:
        sc.join_session_keyring()
    except OSError as error:
        if error.errno not in _NO_KEYRING:
            raise


def _become(privileges: Privileges) -> None:
    uid, gid, groups = privileges.uid, privileges.gid, privileges.groups
    try:
        if groups is not None:
            os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        if uid != 0:
            sc.prctl(sc.PR_SET_KEEPCAPS, 1)
        os.setresuid(uid, uid, uid)
    except OSError as error:
        if error.errno != _EINVAL:
            raise
        ids = " ".join(map(str, groups or (gid,)))
        raise SetupFailed(
            f"cannot run as uid {uid} with groups {ids}: one of them is not mapped into the container",
            "check the user's ranges in /etc/subuid and /etc/subgid",
        ) from error
    # read back: a process that is not who it should be must not go on (CVE-2026-30892)
    if (
        os.getresuid() != (uid, uid, uid)
        or os.getresgid() != (gid, gid, gid)
        or (groups is not None and {*os.getgroups()} != {*groups})
    ):
        raise SetupFailed(f"the kernel did not give the process uid {uid} and its groups")
