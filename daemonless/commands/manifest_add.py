"""`manifest add`: put images on a list."""

from __future__ import annotations

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import manifests, registries


def manifest_add(
    ctx: typer.Context,
    list: manifests.List,
    images: manifests.Images,
    *,
    all: manifests.All = False,
    annotation: manifests.Annotation = None,
    os: manifests.Os = None,
    arch: manifests.Arch = None,
    variant: manifests.Variant = None,
    os_version: manifests.OsVersion = None,
    os_features: manifests.OsFeatures = None,
    features: manifests.Features = None,
    tls_verify: registries.TlsVerify = None,
    creds: registries.Creds = None,
    authfile: registries.Authfile = None,
    cert_dir: registries.CertDir = None,
    retry: registries.Retry = 3,
    retry_delay: registries.RetryDelay = None,
) -> None:
    """Put images on a list and print the list's ID.

    An image is for the platform that it says itself, unless options say another; of one for several
    platforms they choose.
    """
    perform(ctx)
