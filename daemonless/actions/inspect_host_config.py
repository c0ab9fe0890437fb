"""The `HostConfig` of a container in `inspect`: what was asked for, and zero for what was not."""

from __future__ import annotations

from daemonless.actions.values import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from daemonless.containers.store import Container

# Fields that only other platforms, other engines or cgroup v1 know, and limits that were not
# asked for: scripts read them, and zero is what docker and podman answer.
_ZERO: dict[str, Any] = {
    "BlkioDeviceReadBps": None,
    "BlkioDeviceReadIOps": None,
    "BlkioDeviceWriteBps": None,
    "BlkioDeviceWriteIOps": None,
    "BlkioWeight": 0,
    "BlkioWeightDevice": None,
    "Cgroup": "",
    "CgroupConf": None,
    "CgroupParent": "",
    "ConsoleSize": [0, 0],
    "CpuCount": 0,
    "CpuPercent": 0,
    "CpuPeriod": 0,
    "CpuQuota": 0,
    "CpuRealtimePeriod": 0,
    "CpuRealtimeRuntime": 0,
    "CpuShares": 0,
    "CpusetCpus": "",
    "CpusetMems": "",
    "DiskQuota": 0,
    "IOMaximumBandwidth": 0,
    "IOMaximumIOps": 0,
    "Isolation": "",
    "KernelMemory": 0,
    "Links": None,
    "Memory": 0,
    "MemoryReservation": 0,
    "MemorySwap": 0,
    "MemorySwappiness": 0,
    "NanoCpus": 0,
    "OomKillDisable": False,
    "PidsLimit": 0,
    "VolumeDriver": "",
}


def host_config(container: Container, request: dict[str, Any], spec: dict[str, Any]) -> Struct:
    """Return podman's and docker's HostConfig; `request` is the record's, `spec` config.json."""
    mounts = request["mounts"]
    userns = request["userns"]
    restart = request.get("restart") or {"policy": "no", "retries": 0}
    linux = spec["linux"]
    return Struct(
        _ZERO,
        Binds=[
            ":".join((mount["source"], mount["destination"], ",".join(mount["options"])))
            for mount in mounts
            if mount["type"] != "tmpfs"
        ],
        ContainerIDFile=request.get("cidfile", ""),
        LogConfig=_log_config(container, request),
        NetworkMode=request["network"]["mode"],
        PortBindings=port_map(request["publish"]),
        RestartPolicy=Struct(Name=restart["policy"], MaximumRetryCount=restart["retries"]),
        AutoRemove=request["rm"],
        VolumesFrom=[
            f"{name}:{mode}" if mode else name for name, mode, *_ in request.get("volumes_from") or ()
        ]
        or None,
        CapAdd=request["cap_add"],
        CapDrop=request["cap_drop"],
        CgroupManager="cgroupfs",
        CgroupMode=request["cgroupns"],
        Cgroups="default",
        CgroupnsMode=request["cgroupns"],
        Dns=request["dns"],
        DnsOptions=request["dns_option"],
        DnsSearch=request["dns_search"],
        ExtraHosts=[f"{name}:{address}" for name, address in request["add_host"]],
        GroupAdd=request["group_add"],
        Init=request["init"],
        IpcMode=request["ipc"],
        MaskedPaths=linux.get("maskedPaths"),
        OomScoreAdj=request["oom_score_adj"] or 0,
        PidMode=request["pid"],
        Privileged=request["privileged"],
        PublishAllPorts=request.get("publish_all", False),
        ReadonlyPaths=linux.get("readonlyPaths"),
        ReadonlyRootfs=request["read_only"],
        SecurityOpt=_security_options(request["security"]),
        Sysctls=dict(request["sysctls"]),
        Tmpfs={
            mount["destination"]: ",".join(mount["options"]) for mount in mounts if mount["type"] == "tmpfs"
        },
        UTSMode=request["uts"],
        UsernsMode={"host": "", "map": "private"}.get(userns["mode"], userns["mode"]),
        IDMappings=_id_mappings(linux) if userns["mode"] in ("map", "nomap", "auto") else None,
        ShmSize=request["shm_size"],
        Runtime="daemonless",
        Devices=[
            Struct(
                PathOnHost=device["source"],
                PathInContainer=device["destination"],
                CgroupPermissions="rwm" if device["writable"] else "r",
            )
            for device in request["devices"]
        ]
        + [
            Struct(PathOnHost=name, PathInContainer="", CgroupPermissions="")
            for name in request.get("cdi") or ()
        ],
        Ulimits=[
            Struct(Name=limit["type"], Soft=limit["soft"], Hard=limit["hard"])
            for limit in spec["process"]["rlimits"]
        ],
    )


def port_map(ports: list[dict[str, Any]]) -> dict[str, Any]:
    """Return published ports as `{"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}`."""
    result: dict[str, Any] = {}
    for port in ports:
        key = f"{port['container_port']}/{port['protocol']}"
        host_port = str(port["host_port"]) if port["host_port"] else ""
        result.setdefault(key, []).append(Struct(HostIp=port["host_ip"], HostPort=host_port))
    return result


def _log_config(container: Container, request: dict[str, Any]) -> Struct:
    options = request.get("log_opts") or {}
    size, files = options.get("max_size", 0), options.get("max_file", 1)
    given = {"path": options.get("path"), "tag": options.get("tag")}
    given |= {name: ",".join(options.get(name) or ()) for name in ("labels", "env")}
    given["max-size"] = f"{size}b" if size else ""
    given["max-file"] = str(files) if files > 1 else ""
    return Struct(
        Type=request["log_driver"],
        Config={name: value for name, value in given.items() if value} or None,
        Path=container.log_path,
        Tag=options.get("tag", ""),
        Size=f"{size}B",
    )


def _id_mappings(linux: dict[str, Any]) -> Struct:
    """Return the map as it is on the machine: `inside:outside:length`."""

    def lines(key: str) -> list[str]:
        return [f"{each['containerID']}:{each['hostID']}:{each['size']}" for each in linux[key]]

    return Struct(UidMap=lines("uidMappings"), GidMap=lines("gidMappings"))


def _security_options(security: dict[str, Any]) -> list[str]:
    """Return the options as they are written on the command line."""
    options = ["no-new-privileges"] if security["no_new_privileges"] else []
    if security["seccomp"]:
        options.append(f"seccomp={security['seccomp']}")
    for name in ("mask", "unmask"):
        if security[name]:
            options.append(f"{name}={':'.join(security[name])}")
    return options
