"""`manifest create`: make a list of images."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import manifests, registries


def manifest_create(
    ctx: typer.Context,
    list: Annotated[str, typer.Argument(metavar="LIST", help="What the list is to be called.")],
    images: manifests.SomeImages = None,
    *,
    all: manifests.All = False,
    amend: Annotated[
        bool, typer.Option("--amend", "-a", help="Change the list if there is one of that name.")
    ] = False,
    annotation: manifests.Annotation = None,
    tls_verify: registries.TlsVerify = None,
    creds: registries.Creds = None,
    authfile: registries.Authfile = None,
    cert_dir: registries.CertDir = None,
    retry: registries.Retry = 3,
    retry_delay: registries.RetryDelay = None,
) -> None:
    """Make a list of images for several platforms and print its ID.

    Of images in registries only the manifests are fetched; a push copies the rest. Two images for one
    platform cannot be told from each other: the later one takes the place of the first.
    """
    perform(ctx)
