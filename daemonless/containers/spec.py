"""From a request and an image's config to the runtime spec, config.json of the bundle.

Pure: what depends on the machine comes in as HostFacts. From here on only the bundle is read.
https://github.com/opencontainers/runtime-spec/blob/v1.1.0/config.md
"""

from __future__ import annotations

from daemonless.containers.host_facts import HostFacts
from daemonless.containers.process import build_process
from daemonless.containers.request import RunRequest, config_section
from daemonless.containers.spec_mounts import build_mounts
from daemonless.isolation.userns import IdMap
from daemonless.oci.runtime import OCI_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from daemonless.oci.runtime import IdMapping, Linux, Mount, Spec

# Files that tell of the machine, or of other users on it.
MASKED_PATHS = (
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/selinux",
)
# Files that would change it, did the kernel not ask for privilege; one more barrier.
READONLY_PATHS = (
    "/proc/asound",
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
)
# Unprivileged ping for the container's root; a wider range would need every group mapped.
_PING = ("net.ipv4.ping_group_range", "0 0")


def build_spec(
    request: RunRequest,
    image_config: dict[str, Any],
    *,
    container_id: str,
    rootfs_mount: dict[str, Any],
    rootfs_path: str,
    id_map: IdMap,
    run_dir: str,
    seccomp_section: dict[str, Any] | None,
    host: HostFacts,
    warn: Callable[[str], None],
    mounts: Mapping[str, Mount] | None = None,
) -> Spec:
    """Return the runtime spec of a new container.

    `image_config` is the image's config document; `run_dir` will hold hosts, hostname,
    resolv.conf and .containerenv at every start; `rootfs_mount` becomes the first mount, on
    `rootfs_path`, an empty directory; `mounts` are what mounts of the request with these
    destinations stand for, and further ones. Raises UsageError and InvalidData (see `build_process`).
    """
    shares_name = request.uts != "private" or (request.network.mode == "host" and not request.hostname)
    hostname = host.hostname if shares_name else request.hostname or container_id[:12]
    spec: Spec = {
        "ociVersion": OCI_VERSION,
        "process": build_process(
            request,
            config_section(image_config),
            hostname=hostname,
            id_map=id_map,
            host=host,
            warn=warn,
        ),
        "root": {"path": rootfs_path, "readonly": request.read_only},
        "mounts": build_mounts(
            request, rootfs_mount, mounts or {}, run_dir=run_dir, id_map=id_map, host=host
        ),
        "linux": _linux(request, id_map, host),
    }
    if request.uts == "private":
        spec["hostname"] = hostname
    if request.annotation:  # the user's; those of an image are never copied (CVE-2026-53488)
        spec["annotations"] = dict(request.annotation)
    if seccomp_section is not None:
        spec["linux"]["seccomp"] = seccomp_section
    return spec


def _linux(request: RunRequest, id_map: IdMap, host: HostFacts) -> Linux:
    sysctl = dict(request.sysctls)
    if request.network.mode != "host":
        sysctl.setdefault(*_PING)
    return {
        "namespaces": [{"type": name} for name in _namespaces(request)],
        "uidMappings": _mappings(id_map.uids),
        "gidMappings": _mappings(id_map.gids),
        "maskedPaths": _masked(request, host),
        "readonlyPaths": _read_only(request),
        "sysctl": sysctl,
        "rootfsPropagation": _propagation(request),
    }


def _namespaces(request: RunRequest) -> list[str]:
    """Return the namespaces that are not the host's; user and mount never are, the cgroup's if asked for.

    Which of them are another container's is known, and they have a path, only at a start.
    """
    own = {
        "pid": request.pid,
        "network": request.network.mode,
        "ipc": request.ipc,
        "uts": request.uts,
        "cgroup": request.cgroupns,
    }
    return ["user", "mount", *(name for name, mode in own.items() if mode != "host")]


def _mappings(ranges: tuple[tuple[int, int, int], ...]) -> list[IdMapping]:
    return [{"containerID": inside, "hostID": outside, "size": length} for inside, outside, length in ranges]


def _masked(request: RunRequest, host: HostFacts) -> list[str]:
    paths = [] if request.privileged else [*MASKED_PATHS, *host.thermal_throttle]
    if request.network.mode == "host" and not request.privileged:
        paths.append("/sys/kernel")  # /sys is the host's own then, and so is its debugfs
    return [*(path for path in paths if not _is_unmasked(path, request)), *request.security.mask]


def _read_only(request: RunRequest) -> list[str]:
    paths = () if request.privileged else READONLY_PATHS
    return [path for path in paths if not _is_unmasked(path, request)]


def _is_unmasked(path: str, request: RunRequest) -> bool:
    for pattern in request.security.unmask:
        if pattern in ("ALL", path) or (pattern.endswith("/*") and path.startswith(pattern[:-1])):
            return True
    return False


def _propagation(request: RunRequest) -> str:
    """Return how mounts travel between the host and the container; private unless a bind asks."""
    wanted = {option for mount in request.mounts for option in mount.options}
    for kind in ("shared", "slave"):
        if wanted & {kind, f"r{kind}"}:
            return f"r{kind}"
    return "rprivate"
