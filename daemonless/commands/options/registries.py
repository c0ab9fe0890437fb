"""How registries are reached: credentials, certificates, patience."""

from __future__ import annotations

from typing import Annotated

import typer

_PANEL = "Registry"

AuthfileToChange = Annotated[
    str | None,
    typer.Option(
        "--authfile",
        metavar="FILE",
        help="Use this file instead of $REGISTRY_AUTH_FILE or containers/auth.json.",
        rich_help_panel=_PANEL,
    ),
]
CompatAuthFile = Annotated[
    str | None,
    typer.Option(
        "--compat-auth-file",
        metavar="FILE",
        help="Use this file, in the format that docker reads as well.",
        rich_help_panel=_PANEL,
    ),
]
CertDir = Annotated[
    str | None,
    typer.Option(
        "--cert-dir",
        metavar="DIRECTORY",
        help="Use the certificates of this directory: *.crt of authorities, *.cert and *.key of your own.",
        rich_help_panel=_PANEL,
    ),
]
TlsVerify = Annotated[
    bool | None,
    typer.Option(
        "--tls-verify/--no-tls-verify",
        help="Require HTTPS and a valid certificate; required if not given, except on loopback.",
        rich_help_panel=_PANEL,
    ),
]
Creds = Annotated[
    str | None,
    typer.Option(
        "--creds",
        metavar="USER:PASSWORD",
        help="Log in to the registry with these credentials.",
        rich_help_panel=_PANEL,
    ),
]
Authfile = Annotated[
    str | None,
    typer.Option(
        "--authfile",
        metavar="FILE",
        help="Read credentials from this file instead of containers/auth.json.",
        rich_help_panel=_PANEL,
    ),
]
Retry = Annotated[
    int,
    typer.Option(
        "--retry",
        metavar="NUMBER",
        help="Forgive so many failures of a registry in a row.",
        rich_help_panel=_PANEL,
    ),
]
RetryDelay = Annotated[
    str | None,
    typer.Option(
        "--retry-delay",
        metavar="TIME",
        help="Wait so long after a failure, such as 2s; longer each time if not given.",
        rich_help_panel=_PANEL,
    ),
]
