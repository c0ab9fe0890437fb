"""`secret create`: store a secret."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform


def secret_create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The secret's name.")],
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE|-", help="The file that holds the value, - for the input, with --env a variable."
        ),
    ],
    *,
    driver: Annotated[
        str, typer.Option("--driver", "-d", metavar="DRIVER", help="The driver; there is one, file.")
    ] = "file",
    env: Annotated[bool, typer.Option("--env", help="Take the value from a variable of that name.")] = False,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", "-l", metavar="KEY=VALUE", help="Set a label; repeatable."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Give a secret that exists already the new value.")
    ] = False,
    ignore: Annotated[
        bool, typer.Option("--ignore", help="Leave a secret that exists already as it is.")
    ] = False,
) -> None:
    """Store a value for `run --secret`, of less than 512000 bytes.

    The value is kept in a file that only you can read; it is in no image, log or inspection.
    """
    perform(ctx)
