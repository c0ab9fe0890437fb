"""`secret exists`: ask whether there is a secret of that name."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands import complete
from daemonless.commands.invoke import perform


def secret_exists(
    ctx: typer.Context,
    secret: Annotated[
        str,
        typer.Argument(metavar="SECRET", help="The secret's name or ID.", autocompletion=complete.secrets),
    ],
) -> None:
    """Exit with 0 if there is such a secret and with 1 if there is not; print nothing."""
    perform(ctx)
