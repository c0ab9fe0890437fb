"""`volume import`: the members of a tar archive become part of a volume's content."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands import complete
from daemonless.commands.invoke import perform


def volume_import(
    ctx: typer.Context,
    volume: Annotated[
        str, typer.Argument(metavar="VOLUME", help="The volume's name.", autocompletion=complete.volumes)
    ],
    source: Annotated[
        str, typer.Argument(metavar="[FILE]", help="The archive; - or nothing reads standard input.")
    ] = "-",
) -> None:
    """Put what is in a tar archive into a volume that exists.

    The archive may be compressed: gzip, bzip2, xz and zstd are recognised.

    Its files replace those of the same name, and other files stay. A bad archive changes nothing.
    """
    perform(ctx)
