"""`info`: the machine, the store and the settings."""

from __future__ import annotations

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def info(ctx: typer.Context, *, format: selection.Format = None) -> None:
    """Print what daemonless knows about this machine, its store and its settings."""
    perform(ctx)
