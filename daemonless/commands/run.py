"""`run`: create a container from an image and start it."""

from __future__ import annotations

from typing import Annotated

import typer

from daemonless.commands import complete
from daemonless.commands.invoke import perform
from daemonless.commands.options import health, lifecycle, process, registries, security, storage
from daemonless.commands.options import network as net


def run(
    ctx: typer.Context,
    image: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE",
            help="The image to start from; it is pulled if it is not there.",
            autocompletion=complete.images,
        ),
    ],
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMMAND...", help="What to run instead of the image's own command."),
    ] = None,
    *,
    detach: process.Detach = False,
    attach: process.Attach = None,
    interactive: process.Interactive = False,
    tty: process.Tty = False,
    detach_keys: process.DetachKeys = "ctrl-p,ctrl-q",
    sig_proxy: process.SigProxy = True,
    entrypoint: process.Entrypoint = None,
    workdir: process.Workdir = None,
    user: process.User = None,
    group_add: process.GroupAdd = None,
    init: process.Init = False,
    umask: process.Umask = None,
    timeout: process.Timeout = 0,
    tz: process.Tz = None,
    preserve_fds: process.PreserveFds = 0,
    preserve_fd: process.PreserveFd = None,
    env: process.Env = None,
    env_file: process.EnvFile = None,
    unsetenv: process.UnsetEnv = None,
    unsetenv_all: process.UnsetEnvAll = False,
    http_proxy: process.HttpProxy = True,
    volume: storage.Volume = None,
    mount: storage.Mount = None,
    tmpfs: storage.Tmpfs = None,
    volumes_from: storage.VolumesFrom = None,
    image_volume: storage.ImageVolume = "bind",
    secret: storage.Secret = None,
    read_only: storage.ReadOnly = False,
    read_only_tmpfs: storage.ReadOnlyTmpfs = True,
    shm_size: storage.ShmSize = "64m",
    device: storage.Device = None,
    network: net.Network = None,
    publish: net.Publish = None,
    publish_all: net.PublishAll = False,
    expose: net.Expose = None,
    dns: net.Dns = None,
    dns_option: net.DnsOption = None,
    dns_search: net.DnsSearch = None,
    add_host: net.AddHost = None,
    no_hosts: net.NoHosts = False,
    hosts_file: net.HostsFile = None,
    mac_address: net.MacAddress = None,
    hostname: net.Hostname = None,
    privileged: security.Privileged = False,
    cap_add: security.CapAdd = None,
    cap_drop: security.CapDrop = None,
    security_opt: security.SecurityOpt = None,
    userns: security.Userns = None,
    pid: security.Pid = "private",
    ipc: security.Ipc = "private",
    uts: security.Uts = "private",
    cgroupns: security.Cgroupns = "private",
    sysctl: security.Sysctl = None,
    ulimit: security.Ulimit = None,
    oom_score_adj: security.OomScoreAdj = None,
    name: lifecycle.Name = None,
    replace: lifecycle.Replace = False,
    rm: lifecycle.Rm = False,
    restart: lifecycle.Restart = "no",
    health_cmd: health.Cmd = None,
    health_interval: health.Interval = None,
    health_timeout: health.Timeout = None,
    health_retries: health.Retries = None,
    health_start_period: health.StartPeriod = None,
    health_start_interval: health.StartInterval = None,
    health_on_failure: health.OnFailure = "none",
    no_healthcheck: health.NoHealthcheck = False,
    stop_signal: lifecycle.StopSignal = None,
    stop_timeout: lifecycle.StopTimeout = 10,
    cidfile: lifecycle.Cidfile = None,
    pidfile: lifecycle.Pidfile = None,
    label: lifecycle.Label = None,
    label_file: lifecycle.LabelFile = None,
    annotation: lifecycle.Annotation = None,
    log_driver: lifecycle.LogDriver = "k8s-file",
    log_opt: lifecycle.LogOpt = None,
    pull: lifecycle.Pull = "missing",
    quiet: lifecycle.Quiet = False,
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
    """Create a container from an image and start it.

    The exit status is that of the container's command; 125 if daemonless itself failed,
    126 if the command could not be executed, 127 if it was not found.
    """
    perform(ctx)
