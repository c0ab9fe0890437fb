"""The runtime spec of whole requests, compared with golden files.

`python tests/containers/test_spec.py` writes the golden files anew; read the difference.
"""

import json
import os
from types import SimpleNamespace

import pytest

from daemonless import jsonio
from daemonless.containers import spec as spec_module
from daemonless.containers.arguments import from_args
from daemonless.containers.host_facts import HostFacts, gather_facts
from daemonless.containers.request import RunRequest
from daemonless.errors import InvalidData
from daemonless.isolation.userns import IdMap
from daemonless.oci.runtime import RLIMITS

GOLDEN = os.path.join(os.path.dirname(__file__), "golden")
CONTAINER_ID = "0123456789abcdef" * 4
RANGES = ((0, 1000, 1), (1, 100000, 65536))
ID_MAP = IdMap(uids=RANGES, gids=RANGES)
HOST = HostFacts(
    hostname="workstation",
    rlimits=tuple((name, 1024, 524288) for name in RLIMITS),
    inherited=("https_proxy=http://proxy:3128",),
    devices=("/dev/fuse", "/dev/net/tun"),
    thermal_throttle=("/sys/devices/system/cpu/cpu0/thermal_throttle",),
)
IMAGE = {
    "architecture": "amd64",
    "os": "linux",
    "config": {
        "Env": ["PATH=/usr/bin:/bin", "LANG=C.UTF-8"],
        "Cmd": ["/bin/sh"],
        "WorkingDir": "/srv",
        "User": "",
        "Labels": {"io.daemonless.command": "rm -rf /"},
        "Volumes": {"/var/lib/data": {}},
        "StopSignal": "SIGINT",
    },
}

CASES = {
    "default": {},
    "privileged": {"privileged": True},
    "user": {"user": "1000:www-data", "cap_add": ["net_raw"], "group_add": ["audio"]},
    "read-only": {"read_only": True, "tmpfs": ["/run:size=1m"], "volume": ["/etc:/etc/conf:ro"]},
    "network-host": {"network": "host"},
    "interactive-tty": {"interactive": True, "tty": True, "command": ["/bin/bash"], "init": True},
    "host-namespaces": {"pid": "host", "ipc": "host", "uts": "host", "cgroupns": "host", "network": "none"},
}


def build(options=None, *, host=HOST, image=IMAGE, id_map=ID_MAP, seccomp=None):
    request = from_args(SimpleNamespace(image="example", **(options or {})), warn=print, caller={}, cwd="/")
    if not request.privileged:
        host = host.replace(devices=())
    return spec_module.build_spec(
        request,
        image,
        container_id=CONTAINER_ID,
        rootfs_mount={
            "destination": "/",
            "type": "overlay",
            "source": "overlay",
            "options": ["lowerdir+=/layers/a/diff", "upperdir=/c/upper", "workdir=/c/work", "userxattr"],
        },
        rootfs_path="/data/containers/ID/rootfs",
        id_map=id_map,
        run_dir="/run/containers/ID",
        seccomp_section=seccomp,
        host=host,
        warn=print,
    )


def rendered(options):
    return json.dumps(build(options), indent=1) + "\n"


@pytest.mark.parametrize("case", CASES)
def test_golden(case):
    with open(f"{GOLDEN}/{case}.json") as golden:
        assert json.loads(rendered(CASES[case])) == json.load(golden)


# What runtime-spec 1.1 calls the fields (config.md, config-linux.md); ours is a subset.
SCHEMA = {
    "": "ociVersion process root hostname domainname mounts hooks annotations linux",
    "process": "terminal consoleSize user args env cwd capabilities rlimits noNewPrivileges apparmorProfile "
    "oomScoreAdj selinuxLabel scheduler ioPriority",
    "process.user": "uid gid umask additionalGids username",
    "process.capabilities": "bounding effective inheritable permitted ambient",
    "process.rlimits": "type soft hard",
    "root": "path readonly",
    "mounts": "destination type source options uidMappings gidMappings",
    "linux": "uidMappings gidMappings sysctl resources cgroupsPath namespaces devices seccomp "
    "rootfsPropagation maskedPaths readonlyPaths mountLabel intelRdt personality timeOffsets",
    "linux.namespaces": "type path",
    "linux.uidMappings": "containerID hostID size",
    "linux.gidMappings": "containerID hostID size",
}


@pytest.mark.parametrize("case", CASES)
def test_keys_are_those_of_the_specification(case):
    spec = build(CASES[case])
    assert {"ociVersion", "root", "mounts", "process", "linux"} <= set(spec)
    for path, allowed in SCHEMA.items():
        found = spec
        for name in path.split(".") if path else ():
            found = found[name]
        for item in found if isinstance(found, list) else [found]:
            assert set(item) <= set(allowed.split()), path


@pytest.mark.parametrize("case", CASES)
def test_a_spec_survives_json(case):
    spec = build(CASES[case])
    assert jsonio.loads(jsonio.dumps(spec)) == spec


def test_nothing_of_an_image_becomes_control_data():
    """Labels, annotations and volumes of an image leave no trace in the spec (CVE-2026-53488)."""
    image = {**IMAGE, "annotations": {"run.oci.handler": "x"}, "hooks": {"prestart": [{"path": "/x"}]}}
    text = jsonio.dumps(build(image=image))
    for sentinel in ("io.daemonless.command", "run.oci.handler", "prestart", "/var/lib/data"):
        assert sentinel not in text
    assert "annotations" not in build(image=image)


def test_annotations_of_the_user_are_kept():
    assert build({"annotation": ["a=b"]})["annotations"] == {"a": "b"}


def destinations(spec):
    return [mount["destination"] for mount in spec["mounts"]]


def test_mounts_are_sorted_by_depth_after_the_root(tmp_path):
    volumes = [f"{tmp_path}:/z/y/x", f"{tmp_path}:/a/b", f"{tmp_path}:/z", f"{tmp_path}:/a"]
    found = destinations(build({"volume": volumes}))
    assert found[0] == "/"
    depths = [path.count("/") for path in found[1:]]
    assert depths == sorted(depths)
    assert found.index("/z") < found.index("/a") < found.index("/a/b") < found.index("/z/y/x")
    assert found.index("/dev") < found.index("/dev/pts")


def test_a_mount_of_the_user_replaces_the_containers(tmp_path):
    spec = build({"volume": [f"{tmp_path}:/etc/hosts"], "tmpfs": ["/dev/shm"], "read_only": True})
    assert len(destinations(spec)) == len(set(destinations(spec)))
    by_path = {mount["destination"]: mount for mount in spec["mounts"]}
    assert by_path["/etc/hosts"]["source"] == str(tmp_path)
    assert "noexec" in by_path["/dev/shm"]["options"]
    assert by_path["/run"]["type"] == "tmpfs"


@pytest.mark.parametrize(
    ("options", "path", "present"),
    [
        ({}, "/etc/hosts", True),
        ({"no_hosts": True}, "/etc/hosts", False),
        ({"dns": ["none"]}, "/etc/resolv.conf", False),
        ({"dns": ["1.1.1.1"]}, "/etc/resolv.conf", True),
        ({"read_only": True}, "/tmp", True),
        ({"read_only": True, "read_only_tmpfs": False}, "/tmp", False),
        ({"device": ["/dev/null:/dev/nil"]}, "/dev/nil", True),
        ({"ipc": "host"}, "/dev/mqueue", False),
        ({"ipc": "shareable"}, "/dev/shm", True),
        ({"ipc": "none"}, "/dev/shm", False),
    ],
)
def test_which_mounts_there_are(options, path, present):
    assert (path in destinations(build(options))) is present


def test_mqueue_of_the_host_where_there_is_one():
    assert "/dev/mqueue" in destinations(build({"ipc": "host"}, host=HOST.replace(has_mqueue=True)))


def test_a_device_without_w_is_read_only():
    mounts = {m["destination"]: m["options"] for m in build({"device": ["/dev/null:/dev/n:r"]})["mounts"]}
    assert mounts["/dev/n"] == ["rbind", "slave", "nosuid", "noexec", "ro"]


@pytest.mark.parametrize(
    ("value", "option"), [("1g", "size=1048576k"), ("100", "size=100"), ("0", "size=0k")]
)
def test_shm_size(value, option):
    mounts = {m["destination"]: m["options"] for m in build({"shm_size": value})["mounts"]}
    assert mounts["/dev/shm"][-1] == option


def test_the_tty_group_is_left_out_where_it_is_not_mapped():
    single = IdMap(uids=((0, 1000, 1),), gids=((0, 1000, 1),), key="single")
    mounts = {m["destination"]: m["options"] for m in build(id_map=single)["mounts"]}
    assert "gid=5" not in mounts["/dev/pts"]
    assert "mode=0620" in mounts["/dev/pts"]


def test_dev_is_read_only_when_nothing_is_to_stay_writable():
    mounts = {
        m["destination"]: m["options"] for m in build({"read_only": True, "read_only_tmpfs": False})["mounts"]
    }
    assert "ro" in mounts["/dev"]


def test_the_hosts_cgroups_are_never_writable():
    for options in ({"cgroupns": "host"}, {"cgroupns": "host", "privileged": True}, {"network": "host"}):
        mounts = {m["destination"]: m["options"] for m in build(options)["mounts"]}
        assert "ro" in mounts["/sys/fs/cgroup"]


@pytest.mark.parametrize(
    ("options", "propagation"),
    [
        ([], "rprivate"),
        (["/tmp:/a:rslave"], "rslave"),
        (["/tmp:/a:slave", "/tmp:/b:shared"], "rshared"),
    ],
)
def test_propagation_of_the_root_allows_that_of_the_binds(options, propagation):
    assert build({"volume": options})["linux"]["rootfsPropagation"] == propagation


@pytest.mark.parametrize(
    ("options", "masked", "read_only"),
    [
        ([], True, True),
        (["unmask=ALL"], False, False),
        (["unmask=/proc/kcore"], False, True),
        (["unmask=/proc/*"], False, False),
        (["unmask=/proc/kcore", "mask=/proc/kcore"], True, True),
        (["unmask=/proc/k"], True, True),
    ],
)
def test_masks(options, masked, read_only):
    linux = build({"security_opt": options})["linux"]
    assert ("/proc/kcore" in linux["maskedPaths"]) is masked
    assert ("/proc/sys" in linux["readonlyPaths"]) is read_only


def test_sysctls():
    assert build()["linux"]["sysctl"] == {"net.ipv4.ping_group_range": "0 0"}
    assert build({"network": "host"})["linux"]["sysctl"] == {}
    own = {"sysctl": ["net.ipv4.ping_group_range=0 5", "kernel.shmmax=1"]}
    assert build(own)["linux"]["sysctl"] == {"net.ipv4.ping_group_range": "0 5", "kernel.shmmax": "1"}


@pytest.mark.parametrize(
    ("options", "hostname", "variable"),
    [
        ({}, "0123456789ab", "0123456789ab"),
        ({"hostname": "web"}, "web", "web"),
        ({"network": "host"}, "workstation", "workstation"),
        ({"network": "host", "hostname": "web"}, "web", "web"),
        ({"uts": "host"}, None, "workstation"),
    ],
)
def test_host_name(options, hostname, variable):
    spec = build(options)
    assert spec.get("hostname") == hostname
    assert f"HOSTNAME={variable}" in spec["process"]["env"]


def test_seccomp_is_passed_through():
    section = {"defaultAction": "SCMP_ACT_ALLOW"}
    assert build(seccomp=section)["linux"]["seccomp"] == section
    assert "seccomp" not in build()["linux"]


def test_a_config_that_is_no_object_is_refused():
    with pytest.raises(InvalidData):
        build(image={"config": "x"})


def test_facts_are_gathered_only_where_needed():
    plain = gather_facts(RunRequest(image="a"), {"https_proxy": "p", "SECRET": "s"})
    assert plain.devices == ()
    assert plain.inherited == ("https_proxy=p",)
    assert {name for name, _, _ in plain.rlimits} == set(RLIMITS)
    assert all(soft <= hard for _, soft, hard in plain.rlimits)
    assert plain.last_capability >= 35
    assert gather_facts(RunRequest(image="a", http_proxy=False), {"https_proxy": "p"}).inherited == ()
    assert gather_facts(RunRequest(image="a", env_host=True), {"A": "b", "C": "d"}).inherited == (
        "A=b",
        "C=d",
    )
    devices = gather_facts(RunRequest(image="a", privileged=True), {}).devices
    assert not {"/dev/null", "/dev/tty", "/dev/console", "/dev/ptmx"} & set(devices)
    assert not any(path.startswith(("/dev/pts/", "/dev/shm/")) for path in devices)


if __name__ == "__main__":
    for name, options in CASES.items():
        with open(f"{GOLDEN}/{name}.json", "w") as golden:
            golden.write(rendered(options))
