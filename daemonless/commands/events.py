"""`events`: show what happens to containers, images, volumes and secrets."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def events(
    ctx: typer.Context,
    *,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Begin with the events of this time: a date and time, seconds since 1970, or 10m for ten"
            " minutes ago.",
            rich_help_panel=selection.SELECTION,
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="TIME",
            help="End with the events of this time; 10m means in ten minutes.",
            rich_help_panel=selection.SELECTION,
        ),
    ] = None,
    filter: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            "-f",
            metavar="KEY=VALUE",
            help="Show events that match: container, event, image, label, secret, type or volume;"
            " repeatable.",
            rich_help_panel=selection.SELECTION,
        ),
    ] = None,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream/--no-stream",
            help="Go on as events happen, or end after the past ones.",
            rich_help_panel=selection.SELECTION,
        ),
    ] = True,
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="TEMPLATE",
            help="Print json, or what a Go template makes of each event.",
            rich_help_panel=selection.OUTPUT,
        ),
    ] = None,
    no_trunc: Annotated[
        bool,
        typer.Option(
            "--no-trunc/--trunc",
            help="Print IDs in full, or their beginning.",
            rich_help_panel=selection.OUTPUT,
        ),
    ] = True,
) -> None:
    """Show events as they happen, after the past ones if a time is given.

    Past events are those since the runtime directory was made, the last few thousand of them.
    """
    perform(ctx)
