import os

import pytest

from daemonless.containers import grammar_security as gs
from daemonless.containers.request import Security, Userns
from daemonless.errors import Unsupported, UsageError
from daemonless.oci.runtime import CAPABILITIES

LAST = len(CAPABILITIES) - 1


def security(*values, privileged=False):
    return gs.security(values, "/home/me", privileged=privileged)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("no-new-privileges", Security(no_new_privileges=True)),
        ("no-new-privileges:true", Security(no_new_privileges=True)),
        ("no-new-privileges=false", Security()),
        ("seccomp=unconfined", Security(seccomp="unconfined")),
        ("seccomp:unconfined", Security(seccomp="unconfined")),
        ("seccomp=/etc/p.json", Security(seccomp="/etc/p.json")),
        ("seccomp=p.json", Security(seccomp="/home/me/p.json")),
        ("mask=/proc/a:/proc/b", Security(mask=("/proc/a", "/proc/b"))),
        ("unmask=all", Security(unmask=("ALL",))),
        ("unmask=/proc/*", Security(unmask=("/proc/*",))),
        ("systempaths=unconfined", Security(unmask=("ALL",))),
        ("label=disable", Security()),
        ("label:disable", Security()),
        ("apparmor=unconfined", Security()),
    ],
)
def test_security(value, expected):
    assert security(value) == expected


@pytest.mark.parametrize(
    "value",
    ["", "seccomp", "seccomp=", "no-new-privileges=maybe", "mask=", "mask=proc", "unmask=/a:b",
     "mask=/a/../b", "systempaths=none", "selinux=off", "no_new_privileges", "mask=/a\n"],
)  # fmt: skip
def test_security_refuses_what_it_does_not_know(value):
    with pytest.raises(UsageError, match="--security-opt"):
        security(value)


@pytest.mark.parametrize("value", ["label=type:spc_t", "apparmor=my-profile", "proc-opts=hidepid=2"])
def test_security_refuses_what_it_could_not_apply(value):
    with pytest.raises(Unsupported, match="rootless"):
        security(value)


def test_security_options_add_up():
    both = security("no-new-privileges", "mask=/a", "mask=/b", "unmask=/c")
    assert both == Security(no_new_privileges=True, mask=("/a", "/b"), unmask=("/c",))


def test_privileged_lifts_seccomp_unless_a_profile_is_named():
    assert security(privileged=True).seccomp == "unconfined"
    assert security("seccomp=/p", privileged=True).seccomp == "/p"


def test_capability_lists_may_have_commas():
    assert gs.capabilities(["net_raw,SYS_TIME", "net_raw"], "--cap-add") == ("CAP_NET_RAW", "CAP_SYS_TIME")


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        ((), (), {"CAP_CHOWN", "CAP_KILL"}),
        (("CAP_NET_RAW",), (), {"CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"}),
        ((), ("CAP_KILL",), {"CAP_CHOWN"}),
        ((), ("CAP_NET_RAW",), {"CAP_CHOWN", "CAP_KILL"}),
        ((), ("ALL",), set()),
        (("CAP_NET_RAW",), ("ALL",), {"CAP_NET_RAW"}),
        (("ALL",), (), set(CAPABILITIES)),
        (("ALL",), ("CAP_KILL",), set(CAPABILITIES) - {"CAP_KILL"}),
    ],
)
def test_merge_capabilities(add, drop, expected):
    merged = gs.merge_capabilities(("CAP_CHOWN", "CAP_KILL"), add, drop, LAST)
    assert set(merged) == expected
    assert list(merged) == sorted(merged)


def test_a_capability_is_not_added_and_dropped():
    with pytest.raises(UsageError, match="both"):
        gs.merge_capabilities((), ("CAP_KILL",), ("CAP_KILL",), LAST)


def test_capabilities_beyond_the_kernel_are_refused_or_left_out_of_all():
    with pytest.raises(Unsupported, match="CAP_BPF"):
        gs.merge_capabilities((), ("CAP_BPF",), (), 37)
    assert "CAP_BPF" not in gs.merge_capabilities((), ("ALL",), (), 37)


def test_userns():
    me, group = os.getuid(), os.getgid()
    assert gs.userns("") == gs.userns("host") == Userns()
    assert gs.userns("keep-id") == Userns(mode="keep-id", uid=me, gid=group)
    assert gs.userns("keep-id:uid=7") == Userns(mode="keep-id", uid=7, gid=group)
    assert gs.userns("keep-id:uid=7,gid=8") == Userns(mode="keep-id", uid=7, gid=8)


@pytest.mark.parametrize(
    "value",
    ["keepid", "keep-id:x=1", "keep-id:uid=-1", "keep-id:uid=4294967295", "host:1", "nomap:x", "auto:x=1"],
)
def test_userns_refuses(value):
    with pytest.raises(UsageError, match="--userns"):
        gs.userns(value)


def test_userns_without_the_caller():
    assert gs.userns("nomap") == Userns(mode="nomap")
    assert gs.userns("auto") == Userns(mode="auto")
    assert gs.userns("auto:size=7") == Userns(mode="auto", size=7)
    for value in ("auto:uidmapping=0:0:1", "auto:size=1,gidmapping=0:0:1"):
        with pytest.raises(Unsupported, match="one option"):
            gs.userns(value)


def test_id_maps():
    assert gs.id_maps("keep-id:uid=5,gid=6", [], []) == gs.userns("keep-id:uid=5,gid=6")
    both = gs.id_maps("", ["0:0:1", "1:1:999"], [])
    assert (both.mode, both.uids, both.gids) == ("map", ((0, 0, 1), (1, 1, 999)), ((0, 0, 1), (1, 1, 999)))
    assert gs.id_maps("", [], ["0:0"]).uids == ((0, 0, 1),)
    assert gs.id_maps("", ["0:0"], ["0:0:7"]).gids == ((0, 0, 7),)
    with pytest.raises(UsageError, match="exclude"):
        gs.id_maps("keep-id", ["0:0:1"], [])


@pytest.mark.parametrize("value", ["", "0", "0:0:0", "a:0:1", "0:-1:1", "0:0:1:1", "0:0:5000000000"])
def test_id_maps_that_are_none(value):
    with pytest.raises(UsageError, match="--uidmap"):
        gs.id_maps("", [value], [])


def test_namespace():
    assert gs.namespace("", "--pid") == gs.namespace("private", "--pid") == "private"
    assert gs.namespace("host", "--pid") == "host"
    assert gs.namespace("shareable", "--ipc") == "private"
    assert gs.namespace("none", "--ipc") == "none"
    with pytest.raises(UsageError, match="--pid"):
        gs.namespace("shareable", "--pid")
    assert gs.namespace("container:x", "--pid") == "container:x"
    assert gs.userns("ns:/x").mode == gs.namespace("ns:/x", "--uts") == "ns:/x"
    for value in ("container:", "ns:x", "ns:", "containers:x"):
        with pytest.raises(UsageError, match="--ipc"):
            gs.namespace(value, "--ipc")
    with pytest.raises(UsageError, match="--cgroupns"):
        gs.namespace("container:x", "--cgroupns")
