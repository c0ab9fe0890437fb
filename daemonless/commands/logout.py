"""`logout`: forget the credentials of a registry."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import registries


def logout(
    ctx: typer.Context,
    registry: Annotated[
        str | None,
        typer.Argument(metavar="[REGISTRY]", help="What was logged in to; docker.io if not given."),
    ] = None,
    *,
    all: Annotated[bool, typer.Option("--all", "-a", help="Forget all credentials.")] = False,
    authfile: registries.AuthfileToChange = None,
    compat_auth_file: registries.CompatAuthFile = None,
) -> None:
    """Forget the credentials that `login` has kept."""
    perform(ctx)
