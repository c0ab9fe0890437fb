"""`completion`: teach the shell this program's words."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform


def completion(
    ctx: typer.Context,
    shell: Annotated[
        str,
        typer.Argument(
            metavar="SHELL", help="One of bash, zsh and fish.", autocompletion=lambda: ["bash", "zsh", "fish"]
        ),
    ],
) -> None:
    """Print a script that makes the shell complete commands, options, containers and images.

    For bash: source <(daemonless completion bash)
    """
    perform(ctx)
