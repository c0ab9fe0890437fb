"""RUN: a command in the file system of a stage, isolated exactly as `run` isolates one.

The spec is made by the same code from a RunRequest, and launched by the same code. What a container has
beyond that - a record, a supervisor, a log - a build step does not need: the process that calls `run`
is its only parent, and the kernel kills the one with the other. So nothing of it outlives the build,
and `ps` never shows it.

Mount points are no part of the layer. Where the image has none, they are in a directory of ours that
is the lowest layer of all: it shows through where nothing is above it, and what an image has decides.
The rest - what a link of the image leads to, say - is made in the writable layer and removed after it.
"""

from __future__ import annotations

import os

from daemonless.build.runjob import RunJob, RunSettings
from daemonless.build.runmounts import RunMounts
from daemonless.containers import netfiles
from daemonless.containers.host_facts import gather_facts
from daemonless.containers.process import bounding_set
from daemonless.containers.request import Network, RunRequest, config_section
from daemonless.containers.spec import build_spec
from daemonless.errors import SetupFailed, UsageError, printable
from daemonless.isolation import cgroups, seccomp
from daemonless.isolation.launch import Launched, Start, launch
from daemonless.isolation.mountpoints import remove_made
from daemonless.isolation.mounts import open_target
from daemonless.isolation.slirp4netns import Slirp4netns
from daemonless.isolation.task import mapped
from daemonless.layers.overlay import rootfs_mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HOSTNAME = "buildkitsandbox"  # BuildKit's: a name that is always the same keeps results the same
INSECURE = "security.insecure"  # BuildKit's name of the entitlement
_PERIOD = 100_000  # us, the kernel's own
_KERNELS = ("/dev/", "/proc/", "/sys/")  # below these the mount points are in other file systems


def run(job: RunJob) -> int:
    """Run the command and return its exit status, 128 and the signal's number if one killed it.

    To be called in a process with a single thread that ends with the step. Raises what a start
    raises: CommandNotFound (127) and CommandNotExecutable (126) among them. `upper` of the job's directory
    then holds what the command has changed, and nothing is mounted any more.
    """
    request = _request(job)
    umask = os.umask(0o022)
    try:
        _make_directories(job)
        with RunMounts(job) as mounts:
            return _run(job, request, mounts)
    finally:
        os.umask(umask)


def _run(job: RunJob, request: RunRequest, mounts: RunMounts) -> int:
    spec = _spec(job, request, mounts)
    _make_mount_points(job, spec, mounts)
    netfiles.write_files(job.directory, netfiles.network_facts(request, spec))
    network = None
    if request.network.mode == "slirp4netns":
        network = Slirp4netns(netfiles.slirp_options(request), job.directory)
    section = spec["linux"].get("seccomp")
    limits = _limits(job.settings)
    cgroup = cgroups.create_limited(limits) if limits else ""

    def ready(pid: int) -> None:
        if limits and not cgroups.holds(cgroup, pid):
            raise SetupFailed("the kernel did not put the step into its cgroup, so it would have no limits")
        mounts.settle()

    stdin = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    try:
        start = Start(
            spec=spec,
            id_map=job.id_map,
            streams=(stdin, job.stdout, job.stderr),
            seccomp=seccomp.load_program(section, job.paths.cache) if section else b"",
            extra_groups=request.group_add,
            make_cwd=True,
            upper=f"{job.directory}/upper",
            tell_made=True,
            sources=tuple(mounts.sources),
            cgroup=cgroup,
        )
        launched = launch(start, network, ready)
        status = _wait(launched)
        if cgroup and cgroups.oom_kills(cgroup) > (0, True):
            _warn(job, "the kernel has killed processes of this step, as its memory is limited")
    finally:
        os.close(stdin)
        if network:
            network.stop()
        if cgroup:
            cgroups.remove(cgroup)
    if launched.made:
        _remove(job, launched)
    return status


def _request(job: RunJob) -> RunRequest:
    """Return what `run` would be asked for to execute this step."""
    work = job.work
    base = job.settings.request
    if work.security == "insecure":
        if INSECURE not in job.settings.entitlements:
            raise UsageError(
                "RUN --security=insecure is not allowed: the command would run without seccomp and "
                "with all capabilities in its user namespace",
                f"allow it: --allow {INSECURE}",
            )
        base = base.replace(privileged=True, security=base.security.replace(seccomp=seccomp.UNCONFINED))
    return base.replace(
        entrypoint=(),
        command=work.args,
        env=work.env,
        hostname=base.hostname or HOSTNAME,
        http_proxy=False,  # those of the step are in the settings
        network=base.network if work.network == "default" else Network(mode=work.network),
    )


def _limits(settings: RunSettings) -> dict[str, str]:
    """Return what cgroup v2 is to be told (admin-guide/cgroup-v2); memory and swap are apart there."""
    limits = {}
    if settings.memory:
        limits["memory.max"] = str(settings.memory)
    if settings.memory_swap > 0:
        limits["memory.swap.max"] = str(max(settings.memory_swap - settings.memory, 0))
    elif settings.memory and not settings.memory_swap:
        limits["memory.swap.max"] = str(settings.memory)  # as docker and podman: as much again
    if settings.cpus:
        limits["cpu.max"] = f"{max(int(settings.cpus * _PERIOD), 1000)} {_PERIOD}"
    return limits


def _make_directories(job: RunJob) -> None:
    """Make what the overlay needs; the upper directory carries the mode of the image's `/`."""
    for name in ("upper", "work", "rootfs", "points"):
        os.mkdir(f"{job.directory}/{name}", 0o755)
    if job.layers.lowers:
        os.chmod(f"{job.directory}/upper", os.stat(job.layers.lowers[0]).st_mode & 0o7777)


def _spec(job: RunJob, request: RunRequest, mounts: RunMounts) -> Any:
    directory = job.directory
    rootfs = rootfs_mount(
        [*job.layers.lowers, f"{directory}/points"], f"{directory}/upper", f"{directory}/work"
    )
    # Unmounting would sync the whole file system first; what is to last, the build syncs itself.
    rootfs["options"].append("volatile")
    section = config_section(job.config)
    host = gather_facts(request).replace(inherited=job.settings.proxies)
    caps = bounding_set(request, host.last_capability, privileged=request.privileged)
    spec = build_spec(
        request,
        {"config": {"User": section.get("User"), "WorkingDir": section.get("WorkingDir")}},
        container_id="build",
        rootfs_mount=rootfs,
        rootfs_path=f"{directory}/rootfs",
        id_map=job.id_map,
        run_dir=directory,
        seccomp_section=seccomp.section_for(
            request.security.seccomp, frozenset(caps), job.config.get("architecture", "")
        ),
        host=host,
        warn=lambda text: _warn(job, text),
        mounts=mounts.mounts,
    )
    spec["process"]["env"] += mounts.variables  # the spec is never written to a file
    # A Dockerfile may write /etc/hostname for the machine that the image is for.
    spec["mounts"] = [mount for mount in spec["mounts"] if mount["destination"] != "/etc/hostname"]
    return spec


def _warn(job: RunJob, text: str) -> None:
    os.write(job.stderr, f"Warning: {printable(text)}\n".encode())


def _make_mount_points(job: RunJob, spec: Any, mounts: RunMounts) -> None:
    """Make the mount points in the lowest layer; each inside of it, whatever a path says."""
    points = os.open(f"{job.directory}/points", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for mount in spec["mounts"][1:]:
            destination = mount["destination"]
            if destination.startswith(_KERNELS) or destination in mounts.unknown:
                continue
            if destination in mounts.mounts:
                is_directory = destination not in mounts.files
            else:
                is_directory = mount["type"] != "bind" or os.path.isdir(mount["source"])
            try:
                os.close(open_target(points, os.fsencode(destination), is_directory=is_directory))
            except OSError as error:
                raise SetupFailed(f"cannot mount on {printable(destination, 60)}: {error.strerror}") from None
    finally:
        os.close(points)


def _wait(launched: Launched) -> int:
    os.close(launched.pidfd)
    _, status = os.waitpid(launched.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _remove(job: RunJob, launched: Launched) -> None:
    """Remove mount points from the writable layer, some of which only the mapped root can."""

    def work() -> None:
        remove_made(f"{job.directory}/upper", launched.made)

    with mapped(work, job.id_map) as task:
        task.wait()
