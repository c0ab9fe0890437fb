"""`manifest rm`: remove lists of images."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import manifests


def manifest_rm(
    ctx: typer.Context,
    lists: manifests.Lists,
    *,
    ignore: Annotated[
        bool, typer.Option("--ignore", "-i", help="Pass over lists that do not exist.")
    ] = False,
) -> None:
    """Remove lists of images. Images that have names of their own stay."""
    perform(ctx)
