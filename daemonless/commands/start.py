"""`start`: run created or stopped containers."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import process, selection


def start(
    ctx: typer.Context,
    containers: selection.Containers = None,
    *,
    attach: Annotated[
        bool,
        typer.Option("--attach", "-a", help="Show the output and end with the container's exit status."),
    ] = False,
    interactive: process.Interactive = False,
    detach_keys: process.DetachKeys = "ctrl-p,ctrl-q",
    sig_proxy: process.SigProxy = True,
    all: selection.AllLong = False,
    latest: selection.Latest = False,
    filter: selection.Filter = None,
) -> None:
    """Start containers that were created or have stopped."""
    perform(ctx)
