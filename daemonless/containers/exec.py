"""exec: a further process of a running container, confined exactly as its first one."""

from __future__ import annotations

import os

from daemonless.config import Paths
from daemonless.containers import grammar
from daemonless.containers.process import exec_process
from daemonless.containers.request import RunRequest
from daemonless.containers.store import Container
from daemonless.containers.variables import environment_options
from daemonless.errors import Conflict, NotFound
from daemonless.files import read_file
from daemonless.isolation import seccomp
from daemonless.isolation.capabilities import last_capability
from daemonless.isolation.enter import Entered, Entry, enter
from daemonless.isolation.namespaces import namespace_flags
from daemonless.isolation.userns import mapped_ids
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class ExecRequest(Record):
    """What `exec` asked for; empty fields keep what the container's own process has."""

    command: tuple[str, ...]
    env: tuple[str, ...] = ()
    user: str = ""
    workdir: str = ""
    tty: bool = False
    interactive: bool = False
    privileged: bool = False
    preserve_fds: tuple[int, ...] = ()


def exec_request(args: Any) -> ExecRequest:
    """Return the request that the parsed options of `exec` make. Raises UsageError."""
    return ExecRequest(
        command=tuple(args.command),
        env=environment_options(args, os.environ),
        user=grammar.user(args.user) if args.user else "",
        workdir=args.workdir or "",
        tty=args.tty,
        interactive=args.interactive,
        privileged=args.privileged,
    )


def exec_in(
    paths: Paths,
    container: Container,
    request: ExecRequest,
    streams: tuple[int, int, int],
) -> Entered:
    """Start the process, which becomes a child of the caller.

    Raises Conflict if the container does not run, else what the start of the process reported.
    """
    try:
        _, pidfd = container.member()
    except NotFound:
        raise Conflict(
            f"container {container.name} is not running",
            f"start it: daemonless start {container.name}",
        ) from None
    if container.status == "initialized":
        os.close(pidfd)
        raise Conflict(
            f"container {container.name} is initialized, not running",
            f"start it: daemonless start {container.name}",
        )
    if container.is_paused:
        os.close(pidfd)
        raise Conflict(
            f"container {container.name} is paused", f"let it go on: daemonless unpause {container.name}"
        )
    spec = container.spec()
    linux = spec["linux"]
    id_map = mapped_ids(spec)
    asked = RunRequest.from_dict(container.record["request"])
    process = exec_process(
        spec,
        asked,
        list(request.command),
        id_map=id_map,
        last_capability=last_capability(),
        env=(*_secret_variables(container, asked), *request.env),
        user=request.user,
        workdir=request.workdir,
        tty=request.tty,
        privileged=request.privileged,
    )
    confined = linux.get("seccomp") and not request.privileged
    if asked.init:
        pidfd = _command_of(container, pidfd)
    entry = Entry(
        pidfd=pidfd,
        namespaces=namespace_flags(spec),
        process=process,
        id_map=id_map,
        streams=streams,
        seccomp=seccomp.load_program(linux["seccomp"], paths.cache) if confined else b"",
        extra_groups=asked.group_add,
        preserve_fds=request.preserve_fds,
        cgroup=(container.state or {}).get("cgroup", ""),
    )
    try:
        return enter(entry)
    finally:
        os.close(pidfd)


def _secret_variables(container: Container, asked: RunRequest) -> tuple[str, ...]:
    if not any(secret.type == "env" for secret in asked.secrets):
        return ()
    from daemonless.containers.storage import secret_variables  # noqa: PLC0415 - few containers have secrets

    return secret_variables(container, asked)


def _command_of(container: Container, pidfd: int) -> int:
    """Return a pidfd of the command below --init's process 1, in the place of that one's.

    Nobody may look into process 1, which began as a copy of us, or enter namespaces through it
    (PR_SET_DUMPABLE(2const)). Its first child is the command.
    """
    state = container.state
    assert state is not None  # the pidfd is of its process
    pid = state["pid"]
    try:
        first = int(read_file(f"/proc/{pid}/task/{pid}/children", 1 << 16).split()[0])
        command = os.pidfd_open(first)
        stat = read_file(f"/proc/{first}/stat", 4096).rpartition(b")")[2]
    except (OSError, IndexError):
        raise Conflict(f"container {container.name} is ending") from None
    finally:
        os.close(pidfd)
    if int(stat.split()[1]) != pid:
        os.close(command)
        raise Conflict(f"container {container.name} is ending")
    return command
