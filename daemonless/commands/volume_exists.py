"""`volume exists`: ask whether there is a volume of that name."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands import complete
from daemonless.commands.invoke import perform


def volume_exists(
    ctx: typer.Context,
    volume: Annotated[
        str, typer.Argument(metavar="VOLUME", help="The volume's name.", autocompletion=complete.volumes)
    ],
) -> None:
    """Exit with 0 if there is such a volume and with 1 if there is not; print nothing."""
    perform(ctx)
