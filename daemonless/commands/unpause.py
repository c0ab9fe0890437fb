"""`unpause`: let paused containers go on."""

from __future__ import annotations

from typing import Any

import typer

from daemonless.commands.derive import same_parameters
from daemonless.commands.invoke import perform
from daemonless.commands.pause import pause


@same_parameters(pause, without=())
def unpause(ctx: typer.Context, **_options: Any) -> None:
    """Let the processes of paused containers go on."""
    perform(ctx)
