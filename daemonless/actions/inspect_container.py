"""What `inspect` tells of a container: its record, its bundle and its state under the usual keys."""

from __future__ import annotations

from daemonless.actions.inspect_image import image_config
from daemonless.actions.values import Struct
from daemonless.errors import DaemonlessError
from daemonless.isolation.slirp4netns import GATEWAY_ADDRESS, guest_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from daemonless.containers.store import Container
    from daemonless.images.store import ImageStore

_NEVER = "0001-01-01T00:00:00Z"  # Go's zero time, which docker and podman print


def describe_container(container: Container, images: ImageStore) -> Struct:
    """Return the container under podman's and docker's keys; raises InvalidData if it is damaged."""
    record, spec = container.record, container.spec()
    request: dict[str, Any] = record["request"]
    process = spec["process"]
    status = container.status
    capabilities = process["capabilities"]
    return Struct(
        Id=container.id,
        Created=record["created"],
        Path=process["args"][0],
        Args=process["args"][1:],
        State=_state(container, spec, status),
        Image=record["imageId"].removeprefix("sha256:"),
        ImageName=record["image"],
        Rootfs="",
        Pod="",
        ResolvConfPath=_mounted(spec, "/etc/resolv.conf"),
        HostnamePath=_mounted(spec, "/etc/hostname"),
        HostsPath=_mounted(spec, "/etc/hosts"),
        StaticDir=container.directory,
        OCIConfigPath=f"{container.directory}/config.json",
        OCIRuntime="daemonless",
        LogPath=container.log_path,
        Name=record["name"],
        RestartCount=0,
        Driver="overlay",
        Platform="linux",
        MountLabel="",
        ProcessLabel="",
        AppArmorProfile="",
        EffectiveCaps=capabilities["effective"],
        BoundingCaps=capabilities["bounding"],
        ExecIDs=[],
        GraphDriver=_graph_driver(spec),
        Mounts=[_mount(mount, container) for mount in request["mounts"]],
        Dependencies=[],
        NetworkSettings=_network_settings(container, request, status),
        IsInfra=False,
        Config=_config(record, spec, images),
        HostConfig=_host_config(container, request, process),
    )


def _state(container: Container, spec: dict[str, Any], status: str) -> Struct:
    ended = container.exit or {}
    state = container.state if status == "running" else None
    started = (state or ended or container.state or {}).get("started")
    return Struct(
        OciVersion=spec["ociVersion"],
        Status=status,
        Running=status == "running",
        Paused=False,
        Restarting=False,
        OOMKilled=bool(ended.get("oomKilled")) and status == "exited",
        Dead=False,
        Pid=state["pid"] if state else 0,
        ExitCode=container.exit_code,
        Error=(ended.get("error") or "") if status != "running" else "",
        StartedAt=started or _NEVER,
        FinishedAt=ended.get("finished") or _NEVER,
        Health=Struct(Status="", FailingStreak=0, Log=None),
    )


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
        Propagation=kinds[-1] if kinds else ("" if mount["type"] == "tmpfs" else "rprivate"),
        **({"SubPath": mount["subpath"]} if mount.get("subpath") else {}),
    )


def _network_settings(container: Container, request: dict[str, Any], status: str) -> Struct:
    state = container.state if status == "running" else None
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
    ports = state.get("ports") if state else request["publish"]
    return Struct(
        **common,
        Bridge="",
        SandboxID="",
        SandboxKey=f"/proc/{state['pid']}/ns/net" if state else "",
        Ports=_port_map(ports or []),
        Networks={network["mode"]: Struct(**common, NetworkID=network["mode"], Aliases=[])},
    )


def _port_map(ports: list[dict[str, Any]]) -> dict[str, list[Struct]]:
    result: dict[str, list[Struct]] = {}
    for port in ports:
        key = f"{port['container_port']}/{port['protocol']}"
        host_port = str(port["host_port"]) if port["host_port"] else ""
        result.setdefault(key, []).append(Struct(HostIp=port["host_ip"], HostPort=host_port))
    return result


def _config(record: dict[str, Any], spec: dict[str, Any], images: ImageStore) -> Struct:
    """Return what the process was made from; without its image, the whole command is `Cmd`."""
    request, process = record["request"], spec["process"]
    try:
        image = image_config(images.resolve(record["imageId"]).config)
    except DaemonlessError:
        image = None
    entrypoint = request["entrypoint"]
    command = request["command"]
    if image is None:
        entrypoint, command = None, process["args"]
    elif entrypoint is None:
        entrypoint, command = image["Entrypoint"], command or image["Cmd"]
    return Struct(
        Hostname=spec.get("hostname") or "",
        Domainname="",
        User=process["user"].get("username") or "",
        AttachStdin=request["interactive"] and not request["detach"],
        AttachStdout=not request["detach"],
        AttachStderr=not request["detach"],
        Tty=request["tty"],
        OpenStdin=request["interactive"],
        StdinOnce=False,
        Env=process["env"],
        Cmd=command or None,
        Image=record["image"],
        Volumes=image["Volumes"] if image else None,
        ExposedPorts=image["ExposedPorts"] if image else None,
        WorkingDir=process["cwd"],
        Entrypoint=entrypoint or None,
        Labels=record["labels"],
        Annotations=spec.get("annotations") or {},
        StopSignal=request["stop_signal"] or 15,
        StopTimeout=request["stop_timeout"],
        Timeout=request["timeout"],
        Umask=f"{request['umask']:04o}",
    )


def _log_config(container: Container, request: dict[str, Any]) -> Struct:
    options = request.get("log_opts") or {}
    size, files = options.get("max_size", 0), options.get("max_file", 1)
    given = {"path": options.get("path"), "tag": options.get("tag")}
    given["max-size"] = f"{size}b" if size else ""
    given["max-file"] = str(files) if files > 1 else ""
    return Struct(
        Type=request["log_driver"],
        Config={name: value for name, value in given.items() if value} or None,
        Path=container.log_path,
        Tag=options.get("tag", ""),
        Size=f"{size}B",
    )


def _host_config(container: Container, request: dict[str, Any], process: dict[str, Any]) -> Struct:
    mounts = request["mounts"]
    userns = request["userns"]
    return Struct(
        Binds=[
            ":".join((mount["source"], mount["destination"], ",".join(mount["options"])))
            for mount in mounts
            if mount["type"] != "tmpfs"
        ],
        LogConfig=_log_config(container, request),
        NetworkMode=request["network"]["mode"],
        PortBindings=_port_map(request["publish"]),
        RestartPolicy=Struct(Name="no", MaximumRetryCount=0),
        AutoRemove=request["rm"],
        CapAdd=request["cap_add"],
        CapDrop=request["cap_drop"],
        CgroupnsMode=request["cgroupns"],
        Dns=request["dns"],
        DnsOptions=request["dns_option"],
        DnsSearch=request["dns_search"],
        ExtraHosts=[f"{name}:{address}" for name, address in request["add_host"]],
        GroupAdd=request["group_add"],
        Init=request["init"],
        IpcMode=request["ipc"],
        OomScoreAdj=request["oom_score_adj"] or 0,
        PidMode=request["pid"],
        Privileged=request["privileged"],
        PublishAllPorts=False,
        ReadonlyRootfs=request["read_only"],
        SecurityOpt=_security_options(request["security"]),
        Sysctls=dict(request["sysctls"]),
        Tmpfs={
            mount["destination"]: ",".join(mount["options"]) for mount in mounts if mount["type"] == "tmpfs"
        },
        UTSMode=request["uts"],
        UsernsMode="" if userns["mode"] == "host" else userns["mode"],
        ShmSize=request["shm_size"],
        Runtime="daemonless",
        Devices=[
            Struct(
                PathOnHost=device["source"],
                PathInContainer=device["destination"],
                CgroupPermissions="rwm" if device["writable"] else "r",
            )
            for device in request["devices"]
        ],
        Ulimits=[
            Struct(Name=limit["type"], Soft=limit["soft"], Hard=limit["hard"]) for limit in process["rlimits"]
        ],
    )


def _security_options(security: dict[str, Any]) -> list[str]:
    """Return the options as they are written on the command line."""
    options = ["no-new-privileges"] if security["no_new_privileges"] else []
    if security["seccomp"]:
        options.append(f"seccomp={security['seccomp']}")
    for name in ("mask", "unmask"):
        if security[name]:
            options.append(f"{name}={':'.join(security[name])}")
    return options
