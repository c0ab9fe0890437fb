"""exec: one more process in a running container.

The command forks a joiner, which enters the container's namespaces with one setns(2) on the
process's pidfd and forks the new process as its parent's child (CLONE_PARENT), because a pid
namespace takes effect for children only. The command itself never enters the container.

    command                     joiner                          process
      clone3 ──────────────────▶ not dumpable, setns
                                 clone3(CLONE_PARENT) ─────────▶ user, terminal, privileges
             ◀──────────────────────────────── CONSOLE, FAILED or end of file: executed
             ◀──── JOINED pid    exit

Before the join the joiner becomes not dumpable and holds no descriptor the container could
reach through /proc (CVE-2016-9962, CVE-2019-5736), and imports are switched off as in `init`.
"""

from __future__ import annotations

import _signal
import os

from daemonless import jsonio
from daemonless import syscalls as sc
from daemonless.errors import SetupFailed
from daemonless.isolation import identity, privileges
from daemonless.isolation.execute import (
    execute,
    final_environment,
    place_streams,
    reset_signals,
    switch_off_imports,
)
from daemonless.isolation.namespaces import clone_into_cgroup
from daemonless.isolation.sync import CONSOLE, FAILED, Channel, channel_pair, pack_error, unpack_error
from daemonless.isolation.terminal import open_terminal, take_terminal
from daemonless.isolation.userns import IdMap, become_root
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

CLONE_PARENT = 0x8000
_JOINED = b"J"


class Entry(Record):
    """What one exec needs."""

    pidfd: int  # of the container's process
    namespaces: int  # CLONE_NEW* flags of the namespaces the container does not share with the host
    process: dict[str, Any]  # an OCI process object
    id_map: IdMap
    streams: tuple[int, int, int]  # stdin, stdout, stderr without a terminal
    seccomp: bytes = b""
    extra_groups: tuple[str, ...] = ()
    preserve_fds: tuple[int, ...] = ()  # the caller's descriptors that the process inherits, in order
    cgroup: str = ""  # the container's own, if it has one


class Entered(Record):
    """A process that was started in the container; it is a child of the caller."""

    pid: int
    console: int  # master of its terminal, or -1


def enter(entry: Entry) -> Entered:
    """Start a process in the container and return once its execve succeeded.

    Raises the DaemonlessError that the new process reported, SetupFailed if the container is
    gone. The caller must have one thread.
    """
    ours, theirs = channel_pair()
    joiner = clone_into_cgroup(0, entry.cgroup)
    if joiner == 0:
        ours.close()
        _join(entry, theirs)
    theirs.close()
    console = pid = -1
    try:
        while True:
            kind, payload, fd = ours.receive()
            if kind == _JOINED:
                pid = jsonio.loads(payload)
            elif kind == CONSOLE:
                console = fd
            elif kind == FAILED:
                raise unpack_error(payload)
            else:
                break
        if pid < 0:
            raise SetupFailed("the container ended while it was entered")
    except BaseException:
        if pid > 0:
            os.kill(pid, _signal.SIGKILL)  # interrupted, we may have come past its execve
            os.waitpid(pid, 0)
        raise
    finally:
        os.waitpid(joiner, 0)
        ours.close()
    return Entered(pid=pid, console=console)


def _join(entry: Entry, channel: Channel) -> NoReturn:
    step = ["join the container"]
    try:
        privileges.set_oom_score_adj(entry.process)
        sc.prctl(sc.PR_SET_DUMPABLE, 0)
        _close_others(entry, channel)
        switch_off_imports()
        sc.setns(entry.pidfd, entry.namespaces)
        pid = sc.clone3(CLONE_PARENT, exit_signal=0)
        if pid:
            channel.send(_JOINED, jsonio.dumps(pid).encode("ascii"))
            os._exit(0)
        os.close(entry.pidfd)
        step[0] = "start the process"
        _run(entry, channel)
    except BaseException as error:
        try:
            channel.send(FAILED, pack_error(error, step[0]))
        finally:
            os._exit(125)


def _close_others(entry: Entry, channel: Channel) -> None:
    """Keep the streams, the pidfd and the channel; nothing else may be seen from inside.

    0 to 2 stay until the streams take their place, so that no descriptor opened meanwhile does.
    """
    first = 3
    kept = {*entry.streams, *entry.preserve_fds, entry.pidfd, channel.fileno()}
    for fd in sorted(kept):
        if fd > first:
            sc.close_range(first, fd - 1)
        first = fd + 1
    sc.close_range(first)


def _run(entry: Entry, channel: Channel) -> NoReturn:
    process = entry.process
    reset_signals()
    keep_groups = entry.id_map.is_single or entry.extra_groups == identity.KEEP_GROUPS
    become_root(entry.id_map, keep_groups=keep_groups)
    root_fd = os.open(b"/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    user = process["user"]
    who = identity.resolve(root_fd, user.get("username", str(user["uid"])), entry.extra_groups)
    dropped = privileges.prepare(process, who, entry.seccomp, keep_groups=keep_groups)
    environment = final_environment(process["env"], who.home)
    args = [os.fsencode(arg) for arg in process["args"]]
    directory = os.fsencode(process["cwd"])
    if process.get("terminal"):
        master, slave = open_terminal(root_fd)
        channel.send(CONSOLE, fd=master)
        os.close(master)
        take_terminal(slave)
    else:
        place_streams(entry.streams, dropped.uid)
    os.close(root_fd)
    execute(args, environment, directory, dropped, entry.preserve_fds)
