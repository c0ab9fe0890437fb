"""Where credentials and certificates for registries are."""

from __future__ import annotations

from typing import Annotated

import typer

AuthfileToChange = Annotated[
    str | None,
    typer.Option(
        "--authfile",
        metavar="FILE",
        help="Use this file instead of $REGISTRY_AUTH_FILE or containers/auth.json.",
    ),
]
CompatAuthFile = Annotated[
    str | None,
    typer.Option(
        "--compat-auth-file", metavar="FILE", help="Use this file, in the format that docker reads as well."
    ),
]
CertDir = Annotated[
    str | None,
    typer.Option(
        "--cert-dir",
        metavar="DIRECTORY",
        help="Use the certificates of this directory: *.crt of authorities, *.cert and *.key of your own.",
    ),
]
TlsVerify = Annotated[
    bool | None,
    typer.Option(
        "--tls-verify/--no-tls-verify",
        help="Require HTTPS and a valid certificate; required if not given, except on loopback.",
    ),
]
