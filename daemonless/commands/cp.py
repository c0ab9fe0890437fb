"""`cp`: copy files into and out of containers."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands import complete
from daemonless.commands.invoke import perform


def cp(
    ctx: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="[CONTAINER:]SOURCE",
            help="What to copy; - reads a tar archive, compressed or not, from standard input.",
            autocompletion=complete.containers,
        ),
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="[CONTAINER:]TARGET",
            help="Where to; - writes a tar archive to standard output.",
            autocompletion=complete.containers,
        ),
    ],
    *,
    archive: Annotated[
        bool,
        typer.Option(
            "--archive/--no-archive",
            "-a",
            help="Give what is copied into a container to the container's user; without, owners are kept.",
        ),
    ] = True,
    follow_link: Annotated[
        bool, typer.Option("--follow-link", "-L", help="Copy what a link as the source points to.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Let directories and files replace each other.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Leave out warnings.")] = False,
) -> None:
    """Copy files between a container and this machine, or between two containers.

    Paths of a container begin at its root; it may run or not, and its volumes are part of it.

    A directory goes into a target that is a directory, and becomes one that does not exist.
    SOURCE/. means what is in the directory SOURCE.
    """
    perform(ctx)
