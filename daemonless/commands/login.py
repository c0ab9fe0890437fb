"""`login`: keep the credentials of a registry."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import registries


def login(
    ctx: typer.Context,
    registry: Annotated[
        str,
        typer.Argument(
            metavar="[REGISTRY]", help="A registry, or a part of one: HOST/NAMESPACE; docker.io if not given."
        ),
    ] = "docker.io",
    *,
    username: Annotated[
        str | None,
        typer.Option("--username", "-u", metavar="NAME", help="The user name; asked for if not given."),
    ] = None,
    password: Annotated[
        str | None,
        typer.Option(
            "--password",
            "-p",
            metavar="PASSWORD",
            help="The password, which every user of the machine can see here; asked for if not given.",
        ),
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from the input.")
    ] = False,
    get_login: Annotated[
        bool, typer.Option("--get-login", help="Print the user name that is logged in, and do nothing.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print where the credentials are and who checked them.")
    ] = False,
    authfile: registries.AuthfileToChange = None,
    compat_auth_file: registries.CompatAuthFile = None,
    cert_dir: registries.CertDir = None,
    tls_verify: registries.TlsVerify = None,
) -> None:
    """Check a user name and a password with a registry and keep them for pull and push.

    They are kept in containers/auth.json of the configuration directory, or by a credential helper. What
    the registry refuses is not kept.
    """
    perform(ctx)
