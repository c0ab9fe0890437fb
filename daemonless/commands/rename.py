"""`rename`: give a container another name."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def rename(
    ctx: typer.Context,
    container: selection.Container,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name it is to have from now on.")],
) -> None:
    """Give a container another name, whether it runs or not; the old name is free at once."""
    perform(ctx)
