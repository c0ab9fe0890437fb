"""From a parsed Typer command to its action."""

from __future__ import annotations

from importlib import import_module

import typer

from daemonless.actions.args import Args


def perform(ctx: typer.Context) -> None:
    """Run the action of the command that `ctx` parsed and end with its exit status.

    The values are the ones before Typer converts them for the function's own parameters: tuples,
    as the parse table delivers them, so an action sees the same on both paths.
    """
    name = ctx.command.action  # type: ignore[attr-defined] # set by app.load
    action = import_module(f"daemonless.actions.{name}")
    raise typer.Exit(action.main(Args(ctx.params, ctx.find_root().params)))
