"""`pull`: fetch images."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import lifecycle, registries


def pull(
    ctx: typer.Context,
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="IMAGE...", help="Images by name, tag or digest, or as TRANSPORT:PLACE."),
    ] = None,
    *,
    quiet: lifecycle.Quiet = False,
    all_tags: Annotated[
        bool,
        typer.Option(
            "--all-tags", "-a", help="Pull all tags of the repository.", rich_help_panel=lifecycle.IMAGE
        ),
    ] = False,
    policy: lifecycle.PullPolicy = "always",
    platform: lifecycle.Platform = None,
    os: lifecycle.Os = None,
    arch: lifecycle.Arch = None,
    variant: lifecycle.Variant = None,
    tls_verify: registries.TlsVerify = None,
    creds: registries.Creds = None,
    authfile: registries.Authfile = None,
    cert_dir: registries.CertDir = None,
    retry: registries.Retry = 3,
    retry_delay: registries.RetryDelay = None,
) -> None:
    """Pull images from registries, archives or directories and print their IDs.

    A name without a registry means docker.io, unless registries.conf(5) says more of it; one without a
    tag means latest. Images of files are oci:DIRECTORY:IMAGE, oci-archive:FILE:IMAGE,
    docker-archive:FILE:NAME and dir:DIRECTORY.
    """
    perform(ctx)
