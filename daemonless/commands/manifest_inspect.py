"""`manifest inspect`: show a list of images."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands import complete
from daemonless.commands.invoke import perform
from daemonless.commands.options import registries


def manifest_inspect(
    ctx: typer.Context,
    list: Annotated[
        str,
        typer.Argument(
            metavar="LIST",
            help="A list of this machine, or a name of a registry.",
            autocompletion=complete.lists,
        ),
    ],
    *,
    tls_verify: registries.TlsVerify = None,
    creds: registries.Creds = None,
    authfile: registries.Authfile = None,
    cert_dir: registries.CertDir = None,
    retry: registries.Retry = 3,
    retry_delay: registries.RetryDelay = None,
) -> None:
    """Print a list of images as it is: one of this machine, or else what a registry has by that name."""
    perform(ctx)
