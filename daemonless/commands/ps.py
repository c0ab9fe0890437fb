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
            help="List containers that match: ancestor, before, command, exited, expose, health, id, label,"
            " label!, name, network, publish, restart-policy, should-start-on-boot, since, status, until"
            " or volume; repeatable.",
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
    quiet: selection.Quiet = False,
    format: selection.FormatLines = None,
    no_trunc: selection.NoTrunc = False,
    noheading: Annotated[
        bool,
        typer.Option("--noheading", help="Leave out the column headings.", rich_help_panel=selection.OUTPUT),
    ] = False,
    sort: Annotated[
        Literal["command", "created", "id", "image", "names", "runningfor", "size", "status"],
        typer.Option("--sort", help="Order by this column.", rich_help_panel=selection.OUTPUT),
    ] = "created",
    size: Annotated[
        bool,
        typer.Option(
            "--size",
            "-s",
            help="Show how much each has written, and with its image.",
            rich_help_panel=selection.OUTPUT,
        ),
    ] = False,
    pod: Annotated[
        bool,
        typer.Option(
            "--pod",
            "-p",
            help="Show the pod too, which is empty: there are none.",
            rich_help_panel=selection.OUTPUT,
        ),
    ] = False,
    ns: Annotated[
        bool,
        typer.Option("--ns", help="Show the namespaces of the processes.", rich_help_panel=selection.OUTPUT),
    ] = False,
    watch: Annotated[
        int,
        typer.Option(
            "--watch",
            "-w",
            metavar="SECONDS",
            help="List again and again, this often; a terminal is cleared before.",
            rich_help_panel=selection.OUTPUT,
        ),
    ] = 0,
) -> None:
    """List the containers that run, or all of them."""
    perform(ctx)
