"""`system check`: find what is damaged."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform


def system_check(
    ctx: typer.Context,
    *,
    quick: Annotated[
        bool, typer.Option("--quick", "-q", help="Do not read all content to verify its digests.")
    ] = False,
    repair: Annotated[
        bool,
        typer.Option("--repair", "-r", help="Remove what is damaged, and files that no image needs."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="With --repair, remove damaged containers too.")
    ] = False,
) -> None:
    """Check that images, layers, containers, volumes and secrets are whole, and name what is not.

    The exit status is 125 if something is damaged. What is healthy is never removed.
    """
    perform(ctx)
