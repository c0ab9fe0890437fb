"""`manifest remove`: take images off a list."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import manifests


def manifest_remove(
    ctx: typer.Context,
    list: manifests.List,
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE...", help="Images on the list: their digests or names.")
    ],
) -> None:
    """Take images off a list and print the list's ID. The images themselves stay."""
    perform(ctx)
