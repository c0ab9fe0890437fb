"""`images`: list images."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from daemonless.commands import complete
from daemonless.commands.invoke import perform
from daemonless.commands.options import selection


def images(
    ctx: typer.Context,
    image: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="List only images of this name, with or without registry and tag; * and ? are patterns.",
            autocompletion=complete.images,
        ),
    ] = None,
    *,
    all: Annotated[
        bool,
        typer.Option(
            "--all",
            "-a",
            help="List images too that have no name and that others were built on.",
            rich_help_panel=selection.SELECTION,
        ),
    ] = False,
    filter: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            "-f",
            metavar="KEY=VALUE",
            help="List what matches before, containers, dangling, digest, id, intermediate, label, manifest,"
            " readonly, reference, since or until; repeatable.",
            rich_help_panel=selection.SELECTION,
        ),
    ] = None,
    quiet: selection.Quiet = False,
    digests: Annotated[
        bool, typer.Option("--digests", help="Show digests too.", rich_help_panel=selection.OUTPUT)
    ] = False,
    format: selection.FormatLines = None,
    history: Annotated[
        bool,
        typer.Option("--history", help="Show all names of each image too.", rich_help_panel=selection.OUTPUT),
    ] = False,
    tree: Annotated[
        bool,
        typer.Option(
            "--tree",
            help="Show each image once, with its names and its use of disk.",
            rich_help_panel=selection.OUTPUT,
        ),
    ] = False,
    no_trunc: selection.NoTrunc = False,
    noheading: selection.Noheading = False,
    sort: Annotated[
        Literal["created", "id", "repository", "size", "tag"],
        typer.Option("--sort", help="Order by this column.", rich_help_panel=selection.OUTPUT),
    ] = "created",
) -> None:
    """List the images of this machine."""
    perform(ctx)
