"""Layers on disk, and the overlay mount made of them."""

from __future__ import annotations

import os

import pytest
from layer_archives import directory, member
from unpacking import apply

from daemonless import syscalls
from daemonless.errors import InvalidData, NotFound, SetupFailed
from daemonless.isolation.mounts import Options, new_filesystem
from daemonless.layers import trash
from daemonless.layers.overlay import MAX_LOWERS, rootfs_mount
from daemonless.layers.store import LayerStore

HEX = "ab" * 32
DIFF_ID = f"sha256:{HEX}"


@pytest.fixture
def store(tmp_path):
    return LayerStore(str(tmp_path), "default")


def put(store, text):
    directory = f"{store.directory}/{HEX}"
    os.makedirs(directory)
    with open(f"{directory}/layer.json", "w") as file:
        file.write(text)


def test_paths(store, tmp_path):
    assert store.path(DIFF_ID) == f"{tmp_path}/layers/default/{HEX}/diff"
    assert LayerStore(str(tmp_path), "single").path(DIFF_ID) == f"{tmp_path}/layers/single/{HEX}/diff"


def test_a_layer_is_there_with_its_record(store):
    assert not store.has(DIFF_ID)
    with pytest.raises(NotFound, match="is not unpacked"):
        store.size(DIFF_ID)
    put(store, '{"schema": 1, "size": 42}')
    assert store.has(DIFF_ID)
    assert store.size(DIFF_ID) == 42


@pytest.mark.parametrize(
    "text", ["", "\0\0\0", "[]", "{}", '{"schema":1,"size":"x"}', '{"schema":2,"size":1}']
)
def test_a_broken_record_is_an_error_of_ours(text, store):
    put(store, text)
    with pytest.raises(InvalidData):
        store.size(DIFF_ID)


@pytest.mark.parametrize("diff_id", ["", "latest", "sha256:../../etc", f"sha256:{HEX}/x", f"md5:{HEX}"])
def test_only_digests_become_paths(diff_id, store):
    for question in (store.path, store.has, store.size):
        with pytest.raises(InvalidData):
            question(diff_id)


def test_mount_has_one_option_for_each_layer():
    assert rootfs_mount(["/l/top:,\\", "/l/base"], "/c/upper", "/c/work") == {
        "destination": "/",
        "type": "overlay",
        "source": "overlay",
        "options": [
            "lowerdir+=/l/top:,\\",
            "lowerdir+=/l/base",
            "upperdir=/c/upper",
            "workdir=/c/work",
            "userxattr",
        ],
    }


def test_mount_refuses_what_the_kernel_would():
    lowers = [f"/l/{number}" for number in range(MAX_LOWERS)]
    assert len(rootfs_mount(lowers, "/u", "/w")["options"]) == MAX_LOWERS + 3
    with pytest.raises(SetupFailed, match="501 layers"):
        rootfs_mount([*lowers, "/l/more"], "/u", "/w")
    with pytest.raises(SetupFailed, match="no layers"):
        rootfs_mount([], "/u", "/w")
    assert rootfs_mount(["/" + "l" * 254], "/u", "/w")
    for paths in (
        (["/" + "l" * 255], "/u", "/w"),
        (["/l"], "/" + "u" * 255, "/w"),
        (["/l"], "/u", "/" + "ü" * 128),
    ):
        with pytest.raises(SetupFailed, match="longer than the 255 bytes"):
            rootfs_mount(*paths)


def test_mount_stops_at_a_layer_whose_root_is_opaque(tmp_path):
    lowers = [str(tmp_path / name) for name in ("top", "opaque", "hidden")]
    for lower in lowers:
        os.mkdir(lower)
    os.setxattr(lowers[1], "user.overlay.opaque", b"y")
    options = rootfs_mount(lowers, "/u", "/w")["options"]
    assert options[:3] == [f"lowerdir+={lowers[0]}", f"lowerdir+={lowers[1]}", "upperdir=/u"]


BASE = [
    *(directory(name) for name in (b"hidden", b"replaced", b"merged", b"gone")),
    *(
        member(name, b"base")
        for name in (b"hidden/f", b"replaced/f", b"merged/f", b"gone/f", b"file", b"kept")
    ),
]
TOP = [
    member(b".wh.gone"),
    member(b".wh.file"),
    member(b"merged/g", b"top"),
    member(b"hidden/g", b"top"),
    member(b"hidden/.wh..wh..opq"),
    member(b".wh.replaced"),
    member(b"replaced/g", b"top"),
]


def test_the_kernel_shows_what_the_layers_mean(base, as_mapped_root):
    """Whiteouts and opaque directories of the upper layer, as overlayfs reads them."""
    expected = ["hidden", "hidden/g", "kept", "merged", "merged/f", "merged/g", "replaced", "replaced/g"]

    def run(id_map):
        syscalls.unshare(syscalls.CLONE_NEWNS)
        for name, members in (("lower", BASE), ("top", TOP)):
            (base / "root" / name).mkdir(parents=True)
            apply(base / "root" / name, *members, id_map=id_map)
        for name in ("upper", "work"):
            (base / "root" / name).mkdir()
        lowers = [f"{base}/root/{name}/root" for name in ("top", "lower")]
        options = rootfs_mount(lowers, f"{base}/root/upper", f"{base}/root/work")["options"]
        root = new_filesystem("overlay", "overlay", Options(options))
        top = f"/proc/self/fd/{root}/"
        seen = sorted(
            os.path.join(parent, name).removeprefix(top)
            for parent, directories, files in os.walk(top)
            for name in directories + files
        )
        os.close(root)
        empty_fd = os.open(base / "root", os.O_RDONLY)
        trash.empty(empty_fd)
        os.close(empty_fd)
        return 0 if seen == expected else 1

    assert as_mapped_root(run) == 0


def test_a_layer_that_comes_twice_is_mounted_once():
    """The kernel refuses it (ELOOP); two commits without a change in between make such an image."""
    options = rootfs_mount(["/l/empty", "/l/a", "/l/empty", "/l/base"], "/u", "/w")["options"]
    assert options[:4] == ["lowerdir+=/l/empty", "lowerdir+=/l/a", "lowerdir+=/l/base", "upperdir=/u"]
