"""`export`: a container's files as a tar archive."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def export(
    ctx: typer.Context,
    container: selection.Container,
    *,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write to this file, not to standard output."),
    ] = None,
) -> None:
    """Write a container's root filesystem as a tar archive.

    What is mounted in it is left out: of volumes the archive holds the mount points.

    Equal files make an equal archive.
    """
    perform(ctx)
