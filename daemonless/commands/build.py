"""`build`: an image from a Dockerfile."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands.invoke import perform
from daemonless.commands.options import (
    building,
    imaging,
    lifecycle,
    process,
    registries,
    security,
    storage,
    unneeded,
)
from daemonless.commands.options import (
    network as net,
)


def build(
    ctx: typer.Context,
    context: Annotated[
        str | None,
        typer.Argument(
            metavar="[CONTEXT]",
            help="The directory whose files COPY and ADD take, an archive or git repository by its address, "
            "or - for a Dockerfile or an archive on standard input.",
        ),
    ] = None,
    *,
    tag: building.Tag = None,
    target: building.Target = None,
    build_arg: building.BuildArg = None,
    build_arg_file: building.BuildArgFile = None,
    label: building.Label = None,
    unsetlabel: building.UnsetLabel = None,
    inherit_labels: building.InheritLabels = True,
    env: building.Env = None,
    unsetenv: building.UnsetEnv = None,
    annotation: building.Annotation = None,
    omit_history: building.OmitHistory = False,
    format: building.Format = "oci",
    timestamp: building.Timestamp = None,
    source_date_epoch: building.SourceDateEpoch = None,
    rewrite_timestamp: building.RewriteTimestamp = True,
    file: building.File = None,
    ignorefile: building.IgnoreFile = None,
    build_context: building.BuildContext = None,
    iidfile: building.Iidfile = None,
    metadata_file: building.MetadataFile = None,
    secret: building.BuildSecret = None,
    ssh: building.Ssh = None,
    no_cache: building.NoCache = False,
    no_cache_filter: building.NoCacheFilter = None,
    cache_ttl: building.CacheTtl = None,
    cache_from: building.CacheFrom = None,
    cache_to: building.CacheTo = None,
    layers: building.Layers = True,
    squash: building.Squash = False,
    squash_all: building.SquashAll = False,
    jobs: building.Jobs = None,
    pull: building.Pull = "missing",
    platform: building.Platform = None,
    os: lifecycle.Os = None,
    arch: lifecycle.Arch = None,
    variant: lifecycle.Variant = None,
    manifest: building.Manifest = None,
    output: building.Output = None,
    load: building.Load = False,
    push: building.Push = False,
    on_error: building.OnError = "remove",
    check: building.Check = False,
    call: building.Call = "build",
    rm: unneeded.Remove = False,
    force_rm: unneeded.ForceRemove = False,
    compress: unneeded.Compress = False,
    disable_compression: unneeded.DisableCompression = False,
    disable_content_trust: unneeded.DisableContentTrust = False,
    builder: unneeded.BuilderName = None,
    isolation: unneeded.Isolation = None,
    identity_label: unneeded.IdentityLabel = False,
    layer_label: unneeded.LayerLabel = None,
    provenance: unneeded.Provenance = None,
    sbom: unneeded.Sbom = None,
    progress: building.Progress = "auto",
    quiet: imaging.Quiet = False,
    network: net.Network = None,
    add_host: net.AddHost = None,
    no_hosts: net.NoHosts = False,
    http_proxy: process.HttpProxy = True,
    dns: net.Dns = None,
    dns_option: net.DnsOption = None,
    dns_search: net.DnsSearch = None,
    cap_add: security.CapAdd = None,
    cap_drop: security.CapDrop = None,
    security_opt: security.SecurityOpt = None,
    allow: building.Allow = None,
    ulimit: security.Ulimit = None,
    shm_size: storage.ShmSize = "64m",
    memory: building.Memory = None,
    memory_swap: building.MemorySwap = None,
    cpus: building.Cpus = None,
    device: storage.Device = None,
    volume: building.Volume = None,
    tls_verify: registries.TlsVerify = None,
    creds: registries.Creds = None,
    authfile: registries.Authfile = None,
    cert_dir: registries.CertDir = None,
    retry: registries.Retry = 3,
    retry_delay: registries.RetryDelay = None,
) -> None:
    """Build an image from a Dockerfile, and print its ID.

    Steps that were made before from the same files, and on the same layers, are not made again. Stages
    that do not need each other are built side by side. What happens is told on standard error.
    """
    perform(ctx)
