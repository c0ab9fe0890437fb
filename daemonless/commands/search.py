"""`search`: look for images in a registry."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import registries, selection


def search(
    ctx: typer.Context,
    term: Annotated[
        str,
        typer.Argument(
            metavar="[REGISTRY/]TERM", help="What the names are to have in them; docker.io's if none."
        ),
    ],
    *,
    limit: Annotated[
        int, typer.Option("--limit", metavar="NUMBER", help="Print so many at the most, up to 100.")
    ] = 25,
    list_tags: Annotated[
        bool, typer.Option("--list-tags", help="List the tags of the repository TERM.")
    ] = False,
    filter: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            "-f",
            metavar="KEY=VALUE",
            help="Print only what matches: stars (at least), is-official, is-automated; repeatable.",
        ),
    ] = None,
    format: selection.FormatLines = None,
    no_trunc: selection.NoTrunc = False,
    tls_verify: registries.TlsVerify = None,
    creds: registries.Creds = None,
    authfile: registries.Authfile = None,
    cert_dir: registries.CertDir = None,
    retry: registries.Retry = 3,
    retry_delay: registries.RetryDelay = None,
) -> None:
    """Look for images by name in a registry, docker.io if none is named.

    A registry without a search is asked for all that it has.
    """
    perform(ctx)
