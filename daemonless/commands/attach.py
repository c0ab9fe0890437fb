"""`attach`: take part in a running container."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import process, selection


def attach(
    ctx: typer.Context,
    container: selection.OptionalContainer = None,
    *,
    detach_keys: process.DetachKeys = "ctrl-p,ctrl-q",
    no_stdin: Annotated[
        bool,
        typer.Option("--no-stdin", help="Only show the output.", rich_help_panel=process.PANEL),
    ] = False,
    sig_proxy: process.SigProxy = True,
    latest: selection.Latest = False,
) -> None:
    """Connect the terminal or the standard streams to a running container.

    What it prints from now on is shown; `logs` has what came before. The exit status is that of the
    container's command, or 0 after the detach keys. Several may be attached at once.
    """
    perform(ctx)
