"""What `inspect` tells of a container: its record, its bundle and its state under the usual keys."""

from __future__ import annotations

import _signal

from daemonless.actions.inspect_host_config import host_config, port_map
from daemonless.actions.inspect_image import image_config
from daemonless.actions.psrow import ALIVE
from daemonless.actions.values import Struct
from daemonless.containers.exits import earlier
from daemonless.containers.sessions import living
from daemonless.errors import DaemonlessError
from daemonless.isolation.slirp4netns import GATEWAY_ADDRESS, guest_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from daemonless.containers.store import Container
    from daemonless.images.store import Image, ImageStore

_SIGTERM = 15
_NEVER = "0001-01-01T00:00:00Z"  # Go's zero time, which docker and podman print


def describe_container(container: Container, images: ImageStore) -> Struct:
    """Return the container under podman's and docker's keys; raises InvalidData if it is damaged."""
    record, spec = container.record, container.spec()
    request: dict[str, Any] = record["request"]
    process = spec["process"]
    status = container.status
    capabilities = process["capabilities"]
    image = _image(record, images)
    config = _config(record, spec, image)
    return Struct(
        Id=container.id,
        Created=record["created"],
        Path=process["args"][0],
        Args=process["args"][1:],
        State=_state(container, spec, status),
        Image=record["imageId"].removeprefix("sha256:"),
        ImageDigest=image.digest if image else "",
        ImageName=record["image"],
        Rootfs=record["image"] if request.get("rootfs") else "",
        Pod="",
        ResolvConfPath=_mounted(spec, "/etc/resolv.conf"),
        HostnamePath=_mounted(spec, "/etc/hostname"),
        HostsPath=_mounted(spec, "/etc/hosts"),
        StaticDir=container.directory,
        OCIConfigPath=f"{container.directory}/config.json",
        OCIRuntime="daemonless",
        LogPath=container.log_path,
        Name=record["name"],
        RestartCount=(container.state or container.exit or {}).get("restarts", 0),
        Driver="overlay",
        Platform="linux",
        MountLabel="",
        ProcessLabel="",
        AppArmorProfile="",
        EffectiveCaps=capabilities["effective"],
        BoundingCaps=capabilities["bounding"],
        ExecIDs=living(container),
        GraphDriver=_graph_driver(spec),
        Mounts=[_mount(mount, container) for mount in request["mounts"] if mount["type"] != "tmpfs"],
        Dependencies=container.needs,
        NetworkSettings=_network_settings(container, request, status, config["ExposedPorts"] or ()),
        Namespace="",
        IsInfra=False,
        IsService=False,
        Config=config,
        HostConfig=host_config(container, request, spec),
    )


def _image(record: dict[str, Any], images: ImageStore) -> Image | None:
    try:
        return images.resolve(record["imageId"])
    except DaemonlessError:  # it was removed, or is damaged
        return None


def _state(container: Container, spec: dict[str, Any], status: str) -> Struct:
    ended = container.exit or {}
    state = container.state if status in ALIVE else None
    has_process = state is not None and bool(state["pid"])
    started = (state or ended or container.state or {}).get("started")
    return Struct(
        OciVersion=spec["ociVersion"],
        Status=status,
        Running=status == "running",
        Paused=status == "paused",
        Restarting=status == "restarting",
        OOMKilled=bool(ended.get("oomKilled")) and not has_process,
        Dead=False,
        Pid=state["pid"] if state else 0,
        ConmonPid=(state or {}).get("supervisor", 0),
        ExitCode=0 if has_process else container.exit_code,
        Signal=0 if has_process else ended.get("signal", 0),
        Error="" if has_process else ended.get("error") or "",
        StartedAt=started or _NEVER,
        FinishedAt=ended.get("finished") or _NEVER,
        StoppedByUser=bool(ended.get("stoppedByUser")) and not has_process,
        LastExits=[_exit(record) for record in (ended, *earlier(ended)) if record],
        CgroupPath=(state or {}).get("cgroup") or "",
        Health=_health(container, has_process=has_process),
        CheckpointedAt=_NEVER,
        RestoredAt=_NEVER,
    )


def _exit(record: dict[str, Any]) -> Struct:
    """Return how one run ended, and when."""
    return Struct(
        ExitCode=record.get("exitCode", 0),
        Signal=record.get("signal", 0),
        OOMKilled=bool(record.get("oomKilled")),
        Error=record.get("error") or "",
        StartedAt=record.get("started") or _NEVER,
        FinishedAt=record.get("finished") or _NEVER,
        StoppedByUser=bool(record.get("stoppedByUser")),
    )


def _health(container: Container, *, has_process: bool) -> Struct:
    """Return the results of the health checks, empty if there are none; of the last run after its end."""
    found = container.health
    if found is None:
        return Struct(Status="", FailingStreak=0, Log=None)
    log = [Struct(entry) for entry in found["log"] if isinstance(entry, dict)]
    status = found["status"] if has_process else "stopped"
    return Struct(Status=status, FailingStreak=found["failingStreak"], Log=log or None)


def _health_check(health: dict[str, Any]) -> Struct | None:
    """Return how the health is checked, as image configs say it."""
    if not health.get("test"):
        return None
    from daemonless.containers.grammar_health import as_config  # noqa: PLC0415 - most have no check

    return Struct(as_config(health, complete=True))


def _mounted(spec: dict[str, Any], destination: str) -> str:
    """Return the host's file behind a path of the container, or an empty string."""
    sources = (mount["source"] for mount in spec["mounts"] if mount["destination"] == destination)
    return next(sources, "")


def _graph_driver(spec: dict[str, Any]) -> Struct:
    """Return the directories of the overlay, which is the spec's first mount."""
    found: dict[str, list[str]] = {}
    for option in spec["mounts"][0]["options"]:
        name, _, value = option.partition("=")
        found.setdefault(name.removesuffix("+"), []).append(value)
    return Struct(
        Name="overlay",
        Data={
            "LowerDir": ":".join(found.get("lowerdir", ())),
            "UpperDir": ":".join(found.get("upperdir", ())),
            "WorkDir": ":".join(found.get("workdir", ())),
        },
    )


def _mount(mount: dict[str, Any], container: Container) -> Struct:
    options = mount["options"]
    kinds = [option for option in options if option.removeprefix("r") in ("private", "shared", "slave")]
    is_volume = mount["type"] == "volume"
    source = mount["source"] if mount["type"] == "bind" else ""
    if is_volume:
        source = f"{container.directory.rpartition('/containers/')[0]}/volumes/{mount['source']}/_data"
    return Struct(
        Type=mount["type"],
        Name=mount["source"] if is_volume else "",
        Source=source,
        Destination=mount["destination"],
        Driver="local" if is_volume else "",
        Mode="",
        Options=options,
        RW="ro" not in options,
        Propagation=kinds[-1] if kinds else "rprivate",
        **({"SubPath": mount["subpath"]} if mount.get("subpath") else {}),
    )


def _network_settings(
    container: Container, request: dict[str, Any], status: str, exposed: Iterable[str]
) -> Struct:
    state = container.state if status in ALIVE else None
    network = request["network"]
    connected = network["mode"] == "slirp4netns" and state is not None
    address = guest_address(network["cidr"]) if connected else ""
    gateway = f"{address.rpartition('.')[0]}.2" if network["cidr"] and connected else ""
    length = int(network["cidr"].partition("/")[2] or 24) if connected else 0
    common = {
        "EndpointID": "",
        "Gateway": gateway or (GATEWAY_ADDRESS if connected else ""),
        "IPAddress": address,
        "IPPrefixLen": length,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "MacAddress": request["mac_address"],
    }
    unpublished = {port if "/" in port else f"{port}/tcp": None for port in sorted(exposed)}
    ports = state.get("ports") if state else request["publish"]
    return Struct(
        **common,
        Bridge="",
        SandboxID="",
        SandboxKey=f"/proc/{state['pid']}/ns/net" if state and state["pid"] else "",
        HairpinMode=False,
        LinkLocalIPv6Address="",
        LinkLocalIPv6PrefixLen=0,
        Ports={**unpublished, **port_map(ports or [])},
        Networks={network["mode"]: Struct(**common, NetworkID=network["mode"], Aliases=[])},
    )


def _config(record: dict[str, Any], spec: dict[str, Any], image: Image | None) -> Struct:
    """Return what the process was made from; without its image, the whole command is `Cmd`."""
    request, process = record["request"], spec["process"]
    health = request.get("health") or {}
    config = image_config(image.config) if image else None
    entrypoint = request["entrypoint"]
    command = request["command"]
    exposed: dict[str, Any] = {port: {} for port in request.get("expose") or ()}
    if config is None:
        entrypoint, command = None, process["args"]
    elif entrypoint is None:
        entrypoint, command = config["Entrypoint"], command or config["Cmd"]
    return Struct(
        Hostname=spec.get("hostname") or "",
        Domainname="",
        User=process["user"].get("username") or "",
        AttachStdin=request["interactive"] and _is_attached(request, "stdin"),
        AttachStdout=_is_attached(request, "stdout"),
        AttachStderr=_is_attached(request, "stderr"),
        Tty=request["tty"],
        OpenStdin=request["interactive"],
        StdinOnce=False,
        Env=process["env"],
        Cmd=command or None,
        Image=record["image"],
        Volumes=config["Volumes"] if config else None,
        ExposedPorts={**((config and config["ExposedPorts"]) or {}), **exposed} or None,
        WorkingDir=process["cwd"],
        Entrypoint=entrypoint or None,
        Labels=record["labels"],
        Annotations=spec.get("annotations") or {},
        Healthcheck=_health_check(health),
        HealthcheckOnFailureAction=health.get("on_failure", "none"),
        StopSignal=_signal_name(request["stop_signal"] or _SIGTERM),
        StopTimeout=request["stop_timeout"],
        Timeout=request["timeout"],
        Umask=f"{request['umask']:04o}",
        OnBuild=None,
        Secrets=[
            Struct(
                Name=secret["name"],
                ID=secret["id"],
                UID=secret["uid"],
                GID=secret["gid"],
                Mode=secret["mode"],
            )
            for secret in request.get("secrets", ())
            if secret["type"] == "mount"
        ],
    )


def _signal_name(number: int) -> str:
    """Return a signal as `SIGTERM`, a real-time one as `SIGRTMIN+3` (signal(7))."""
    if number > _signal.SIGRTMIN:
        return f"SIGRTMIN+{number - _signal.SIGRTMIN}"
    names = (name for name in dir(_signal) if name.startswith("SIG") and name[3] != "_")
    return next((name for name in names if getattr(_signal, name) == number), str(number))


def _is_attached(request: dict[str, Any], stream: str) -> bool:
    named = request.get("attach")
    return not request["detach"] and (not named or stream in named)
