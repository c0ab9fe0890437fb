"""`volume create`: make a volume."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform


def volume_create(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The volume's name; random digits if not given.")
    ] = None,
    *,
    driver: Annotated[
        str, typer.Option("--driver", "-d", metavar="DRIVER", help="The driver; there is one, local.")
    ] = "local",
    label: Annotated[
        list[str] | None,
        typer.Option("--label", "-l", metavar="KEY=VALUE", help="Set a label; repeatable."),
    ] = None,
    opt: Annotated[
        list[str] | None,
        typer.Option(
            "--opt",
            "-o",
            metavar="KEY=VALUE",
            help="Mount something else than a directory of ours: type=tmpfs, or type=none with o=bind and "
            "device=/PATH; o=OPTION,... gives mount options; repeatable.",
        ),
    ] = None,
    uid: Annotated[
        int | None,
        typer.Option("--uid", metavar="UID", help="Give the volume to this user, as containers see it."),
    ] = None,
    gid: Annotated[
        int | None,
        typer.Option("--gid", metavar="GID", help="Give the volume to this group, as containers see it."),
    ] = None,
    ignore: Annotated[
        bool, typer.Option("--ignore", help="Accept a volume of that name that exists already.")
    ] = False,
) -> None:
    """Make a volume: a directory that containers can share and that outlives them."""
    perform(ctx)
