"""`volume export`: a volume's content as a tar archive."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands import complete
from daemonless.commands.invoke import perform


def volume_export(
    ctx: typer.Context,
    volume: Annotated[
        str, typer.Argument(metavar="VOLUME", help="The volume's name.", autocompletion=complete.volumes)
    ],
    *,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write to this file, not to standard output."),
    ] = None,
) -> None:
    """Write what is in a volume as a tar archive, with the owners that containers see.

    Equal files make an equal archive.
    """
    perform(ctx)
