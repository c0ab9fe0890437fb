"""`unshare`: run a command in the user namespace of this user's containers."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform


def unshare(
    ctx: typer.Context,
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[COMMAND...]", help="The command and its arguments; your shell if not given."
        ),
    ] = None,
) -> None:
    """Run a command of this machine as root of your own and your subordinate ids.

    It owns the files that containers wrote, and images can be mounted there: image mount. What is
    mounted ends with the command. The exit status is that of the command.
    """
    perform(ctx)
