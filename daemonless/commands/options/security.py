"""Privileges, namespaces and limits."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from daemonless.commands import complete

PANEL = "Privileges and namespaces"
LIMITS = "Limits"

Privileged = Annotated[
    bool,
    typer.Option(
        "--privileged",
        help="Drop no capability and filter no system call; never more than you may do yourself.",
        rich_help_panel=PANEL,
    ),
]
CapAdd = Annotated[
    list[str] | None,
    typer.Option(
        "--cap-add", metavar="NAME", help="Add a capability, or all; repeatable.", rich_help_panel=PANEL
    ),
]
CapDrop = Annotated[
    list[str] | None,
    typer.Option(
        "--cap-drop", metavar="NAME", help="Drop a capability, or all; repeatable.", rich_help_panel=PANEL
    ),
]
SecurityOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--security-opt",
        metavar="OPTION",
        help="Set no-new-privileges, seccomp=FILE or unconfined, mask=PATHS or unmask=PATHS; repeatable.",
        rich_help_panel=PANEL,
    ),
]
Userns = Annotated[
    str | None,
    typer.Option(
        "--userns",
        metavar="MODE",
        help="Map user ids: host makes you root inside, keep-id keeps your own id, nomap leaves it out, auto "
        "has ids of its own; or be in the user namespace container:NAME or ns:PATH.",
        rich_help_panel=PANEL,
        autocompletion=complete.user_namespaces,
    ),
]
Uidmap = Annotated[
    list[str] | None,
    typer.Option(
        "--uidmap",
        metavar="INSIDE:OWN:LENGTH",
        help="Map user ids inside to your own: 0 is you, from 1 on are your subordinate ones; repeatable.",
        rich_help_panel=PANEL,
    ),
]
_SUBORDINATE = "Map the ids that /etc/sub{} has by this name, which must be your own, from 0 on; without you."
Subuidname = Annotated[
    str | None,
    typer.Option("--subuidname", metavar="NAME", help=_SUBORDINATE.format("uid"), rich_help_panel=PANEL),
]
Subgidname = Annotated[
    str | None,
    typer.Option("--subgidname", metavar="NAME", help=_SUBORDINATE.format("gid"), rich_help_panel=PANEL),
]
Gidmap = Annotated[
    list[str] | None,
    typer.Option(
        "--gidmap",
        metavar="INSIDE:OWN:LENGTH",
        help="Map group ids; as --uidmap if not given, and the other way round; repeatable.",
        rich_help_panel=PANEL,
    ),
]
_MODES = "private, host, container:NAME or ns:PATH"
Pid = Annotated[
    str,
    typer.Option(
        "--pid",
        metavar="MODE",
        help=f"Choose the process namespace: {_MODES}.",
        rich_help_panel=PANEL,
        autocompletion=complete.namespaces,
    ),
]
Ipc = Annotated[
    str,
    typer.Option(
        "--ipc",
        metavar="MODE",
        help=f"Choose the namespace of shared memory and queues: {_MODES}, "
        "shareable as private, or none, a private one without /dev/shm.",
        rich_help_panel=PANEL,
        autocompletion=complete.ipc_namespaces,
    ),
]
Uts = Annotated[
    str,
    typer.Option(
        "--uts",
        metavar="MODE",
        help=f"Choose the namespace of the host name: {_MODES}.",
        rich_help_panel=PANEL,
        autocompletion=complete.namespaces,
    ),
]
Cgroupns = Annotated[
    Literal["private", "host"],
    typer.Option("--cgroupns", help="Choose the namespace of control groups.", rich_help_panel=PANEL),
]
Sysctl = Annotated[
    list[str] | None,
    typer.Option(
        "--sysctl",
        metavar="NAME=VALUE",
        help="Set a kernel parameter of the container's own namespaces; repeatable.",
        rich_help_panel=PANEL,
    ),
]
Ulimit = Annotated[
    list[str] | None,
    typer.Option(
        "--ulimit",
        metavar="NAME=SOFT:HARD",
        help="Set a resource limit, at most the caller's own hard limit; repeatable.",
        rich_help_panel=LIMITS,
    ),
]
OomScoreAdj = Annotated[
    int | None,
    typer.Option(
        "--oom-score-adj",
        metavar="NUMBER",
        help="Make the kernel kill the container sooner, up to 1000, when memory runs out.",
        rich_help_panel=LIMITS,
    ),
]
