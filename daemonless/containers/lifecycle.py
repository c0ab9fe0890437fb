"""create, start, stop, kill, wait and remove: what happens to a container between its files.

Order matters more than speed here: intent before effect, the name claimed before the container
is visible, the container out of sight before its files are deleted (shared invariant S-5).
"""

from __future__ import annotations

import _socket
import os

from daemonless import jsonio
from daemonless.config import Paths
from daemonless.containers import netfiles
from daemonless.containers.ending import forget
from daemonless.containers.host_facts import gather_facts
from daemonless.containers.names import new_id, new_name
from daemonless.containers.process import bounding_set
from daemonless.containers.request import RunRequest
from daemonless.containers.spec import build_spec
from daemonless.containers.store import Container, ContainerStore, Staging
from daemonless.errors import Conflict, NameInUse, NotFound, SetupFailed
from daemonless.files import make_private_directory, sync, unlink_if_there, write_atomic
from daemonless.images.store import Image
from daemonless.isolation import cgroups, seccomp
from daemonless.isolation.launch import Start
from daemonless.isolation.slirp4netns import Options as SlirpOptions
from daemonless.isolation.slirp4netns import Port, Slirp4netns, guest_address
from daemonless.isolation.userns import IdMap, mapped_ids
from daemonless.layers import trash
from daemonless.layers.overlay import rootfs_mount
from daemonless.layers.store import LayerStore
from daemonless.record import Record
from daemonless.supervisor import attach, monitor
from daemonless.supervisor.logs import FILE_NAME, timestamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Started(Record):
    """A container that runs, and this command's connection to its supervisor."""

    container: Container
    pid: int
    pidfd: int  # of the container's process; -1 if it has ended already
    socket: _socket.socket
    supervisor: int


def create(
    paths: Paths,
    request: RunRequest,
    image: Image,
    id_map: IdMap,
    *,
    durable: bool,
    warn: Callable[[str], None],
) -> Container:
    """Make a container of `image`, whose layers must be unpacked for `id_map`.

    `durable` waits until it would survive a power loss; without, its supervisor sees to that
    while it runs, which takes three fsyncs, 5 to 10 ms, out of the way of `run`.

    Raises NameInUse, or what the request or the image has wrong; then nothing is left behind.
    """
    store = ContainerStore(paths)
    container_id = new_id()
    staging = store.stage(container_id)
    try:
        request = request.with_image(image.config, warn)
        name = _claim_name(staging, request.name)
        final = f"{store.directory}/{container_id}"
        layers = LayerStore(paths.data, id_map.key)
        lowers = [layers.path(diff_id) for diff_id in reversed(image.diff_ids)]
        _make_directories(staging.directory, lowers)
        rootfs = rootfs_mount(lowers, f"{final}/upper", f"{final}/work")
        if request.rm:
            # Unmounting an overlay syncs the whole file system below it, other programs' dirty pages
            # included, before the process can be waited for. What is removed then need not be synced.
            rootfs["options"].append("volatile")
        host = gather_facts(request)
        caps = bounding_set(request, host.last_capability, privileged=request.privileged)
        spec = build_spec(
            request,
            image.config,
            container_id=container_id,
            rootfs_mount=rootfs,
            rootfs_path=f"{final}/rootfs",
            id_map=id_map,
            run_dir=f"{paths.run}/containers/{container_id}",
            seccomp_section=seccomp.section_for(
                request.security.seccomp, frozenset(caps), image.config.get("architecture", "")
            ),
            host=host,
            warn=warn,
        )
        record = {
            "schema": 1,
            "id": container_id,
            "name": name,
            "created": timestamp(),
            "image": image.names[0] if image.names else image.id,
            "imageId": image.id,
            "args": spec["process"]["args"],  # here too, so that `ps` need not read every spec
            "labels": dict(request.label),
            "request": request.as_dict(),
        }
        write_atomic(f"{staging.directory}/config.json", jsonio.dumps(spec).encode(), durable=False)
        write_atomic(f"{staging.directory}/container.json", jsonio.dumps(record).encode(), durable=False)
        if durable:
            _sync_bundle(staging.directory)
        staging.publish()
    except BaseException:
        staging.abandon()
        raise
    return Container(paths, container_id)


def _sync_bundle(directory: str) -> None:
    for path in (f"{directory}/config.json", f"{directory}/container.json", directory):
        sync(path)


def _claim_name(staging: Staging, wanted: str) -> str:
    if wanted:
        staging.claim_name(wanted)
        return wanted
    for _ in range(100):
        name = new_name()
        try:
            staging.claim_name(name)
        except NameInUse:
            continue
        return name
    raise SetupFailed("no free container name was found", "give one with --name")


def _make_directories(directory: str, lowers: list[str]) -> None:
    """Make the overlay's own directories; the upper one carries the mode of the image's `/`."""
    for name in ("upper", "work", "rootfs"):
        os.mkdir(f"{directory}/{name}", 0o700)
    mode = os.stat(lowers[0]).st_mode & 0o7777 if lowers else 0o755
    os.chmod(f"{directory}/upper", mode)


def start(paths: Paths, container: Container, *, attached: bool = False, preserve_fds: int = 0) -> Started:
    """Start a created or exited container; returns once its command is executing.

    `attached` ties the container's stdin to this command, `preserve_fds` hands it that many of
    this process's descriptors from 3 on. Raises Conflict if it runs already,
    or what its start reported (exit status 125, 126 or 127).
    """
    record = container.record
    if container.is_supervised:
        raise Conflict(f"container {record['name']} is already running")
    job = _job(paths, container, attached=attached, preserve_fds=preserve_fds)
    supervisor, socket = monitor.spawn(job, keep=tuple(range(3, 3 + preserve_fds)))
    try:
        pid = attach.wait_ready(socket)
    except BaseException:
        socket.close()
        os.waitpid(supervisor, 0)
        raise
    container.refresh()
    try:
        pidfd = container.pidfd()
    except NotFound:
        pidfd = -1
    return Started(container=container, pid=pid, pidfd=pidfd, socket=socket, supervisor=supervisor)


def _job(paths: Paths, container: Container, *, attached: bool, preserve_fds: int) -> monitor.Job:
    """Gather what the supervisor needs from the bundle; nothing else is consulted."""
    request = RunRequest.from_dict(container.record["request"])
    spec = container.spec()
    make_private_directory(container.run_directory)
    unlink_if_there(f"{container.run_directory}/exit.json")
    network = None
    if request.network.mode == "slirp4netns":
        network = Slirp4netns(_slirp_options(request), container.run_directory)
    netfiles.write_files(container.run_directory, _network_facts(request, spec, container.name))
    linux = spec["linux"]
    start = Start(
        spec=spec,
        id_map=mapped_ids(spec),
        seccomp=seccomp.load_program(linux["seccomp"], paths.cache) if linux.get("seccomp") else b"",
        extra_groups=request.group_add,
        make_cwd=not request.workdir,
        reaper=request.init,
        upper=f"{container.directory}/upper",
        preserve_fds=preserve_fds,
        cgroup=cgroups.create(container.id) or "",
    )

    def settle() -> None:
        ContainerStore(paths).sweep()
        cgroups.sweep()
        if not request.rm:  # a container that ends with its run need not survive a power loss
            _sync_bundle(container.directory)

    def finish(exit_record: dict[str, Any]) -> None:
        if request.rm:
            forget(paths, container)
        else:
            text = jsonio.dumps(exit_record).encode()
            try:
                write_atomic(f"{container.directory}/exit.json", text, durable=False)
            except OSError:  # the disk is full; the run directory is on another
                write_atomic(f"{container.run_directory}/exit.json", text, durable=False)
            unlink_if_there(f"{container.run_directory}/state.json")

    def afterwards() -> None:
        cgroups.remove(start.cgroup)
        if request.rm:
            trash.empty_here(paths.data)
        else:
            for path in (f"{container.directory}/exit.json", container.directory):
                try:
                    sync(path)
                except OSError:  # it is not there, or the disk fails: nobody is left to be told
                    return

    return monitor.Job(
        run_directory=container.run_directory,
        log_path=f"{container.directory}/{FILE_NAME}",
        start=start,
        settle=settle,
        finish=finish,
        afterwards=afterwards,
        network=network,
        log_driver=request.log_driver,
        interactive=request.interactive,
        close_stdin_with_client=attached,
        timeout=request.timeout,
    )


def _slirp_options(request: RunRequest) -> SlirpOptions:
    network = request.network
    return SlirpOptions(
        ports=tuple(
            Port(
                host_ip=port.host_ip,
                host_port=port.host_port,
                container_port=port.container_port,
                protocol=port.protocol,
            )
            for port in request.publish
        ),
        mac_address=request.mac_address,
        mtu=network.mtu,
        cidr=network.cidr,
        allow_host_loopback=network.allow_host_loopback,
        enable_ipv6=network.enable_ipv6,
    )


def _network_facts(request: RunRequest, spec: dict[str, Any], name: str) -> netfiles.NetworkFacts:
    mode = request.network.mode
    return netfiles.NetworkFacts(
        mode=mode,
        hostname=spec.get("hostname") or os.uname().nodename,
        names=(name,),
        address=guest_address(request.network.cidr) if mode == "slirp4netns" else "",
        dns=request.dns,
        dns_search=request.dns_search,
        dns_options=request.dns_option,
        add_hosts=request.add_host,
        host_loopback=request.network.allow_host_loopback,
    )
