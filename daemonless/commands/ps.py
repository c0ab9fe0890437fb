"""`ps`: list containers."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def ps(
    ctx: typer.Context,
    *,
    all: Annotated[
        bool,
        typer.Option(
            "--all", "-a", help="List containers that do not run too.", rich_help_panel=selection.SELECTION
        ),
    ] = False,
    filter: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            "-f",
            metavar="KEY=VALUE",
            help="List containers that match: ancestor, before, command, exited, id, label, label!, name,"
            " network, publish, since, status, until or volume; repeatable.",
            rich_help_panel=selection.SELECTION,
        ),
    ] = None,
    last: Annotated[
        int,
        typer.Option(
            "--last",
            "-n",
            metavar="NUMBER",
            help="List this many newest containers; -1 means no limit.",
            rich_help_panel=selection.SELECTION,
        ),
    ] = -1,
    latest: Annotated[
        bool,
        typer.Option(
            "--latest", "-l", help="List the newest container only.", rich_help_panel=selection.SELECTION
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only IDs.", rich_help_panel=selection.OUTPUT)
    ] = False,
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="TEMPLATE",
            help="Print json, or what a Go template makes of each container; table aligns columns.",
            rich_help_panel=selection.OUTPUT,
        ),
    ] = None,
    no_trunc: selection.NoTrunc = False,
    noheading: Annotated[
        bool,
        typer.Option("--noheading", help="Leave out the column headings.", rich_help_panel=selection.OUTPUT),
    ] = False,
    sort: Annotated[
        Literal["command", "created", "id", "image", "names", "runningfor", "status"],
        typer.Option("--sort", help="Order by this column.", rich_help_panel=selection.OUTPUT),
    ] = "created",
) -> None:
    """List the containers that run, or all of them."""
    perform(ctx)
