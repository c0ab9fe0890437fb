"""Unpacking: U-1 to U-15, U-20, U-21, U-29, each refusal with its positive twin.

The `layer` fixture checks after every test that the canary beside the root is as it was.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_archives import archive, directory, gnu_long, hardlink, member, pax, record, symlink
from unpacking import FULL, SINGLE, apply

from daemonless.errors import InvalidData
from daemonless.isolation.userns import IdMap
from daemonless.layers import trash
from daemonless.layers import unpack as unpack_module
from daemonless.layers.whiteout import is_whiteout

OPAQUE = "user.overlay.opaque"


def tree(root):
    """Return {path: what is there} of everything below `root`."""
    found = {}
    inside = ((parent, name) for parent, *lists in os.walk(root) for names in lists for name in names)
    for path in sorted(Path(parent) / name for parent, name in inside):
        status = path.lstat()
        if is_whiteout(status):
            what = "whiteout"
        elif stat.S_ISDIR(status.st_mode):
            what = "opaque" if OPAQUE in os.listxattr(path) else "dir"
        elif stat.S_ISLNK(status.st_mode):
            what = "-> " + os.readlink(path)
        elif stat.S_ISFIFO(status.st_mode):
            what = "fifo"
        else:
            what = path.read_bytes()
        found[str(path.relative_to(root))] = what
    return found


def file(name, data=b"x", **fields):
    return member(name, data, **fields)


f, d, ln, hl = file, directory, symlink, hardlink  # the tables below are long enough
FIFO = member(b"pipe", kind=b"6", mode=0o620)

# name: (members, the tree they give)
UNPACKED = {
    "U-1 slashes and dots": ([f(b"//x"), f(b"/a//b/./c")],
                             {"x": b"x", "a": "dir", "a/b": "dir", "a/b/c": b"x"}),
    "U-1 255 bytes": ([f(b"p/" + b"n" * 98), pax(path=b"n" * 255), f(b"f")],
                      {"p": "dir", "p/" + "n" * 98: b"x", "n" * 255: b"x"}),
    "U-1 dots in names": ([f(b"..."), f(b"..a"), f(b"a..")], {"...": b"x", "..a": b"x", "a..": b"x"}),
    "U-2 root directory": ([d(b"./"), f(b"./a")], {"a": b"x"}),
    "U-3 absolute link": ([ln(b"var", b"/run"), d(b"run"), f(b"var/x")],
                          {"var": "-> /run", "run": "dir", "run/x": b"x"}),
    "U-3 relative link": ([d(b"a"), ln(b"a/l", b"../b"), d(b"b"), f(b"a/l/x")],
                          {"a": "dir", "a/l": "-> ../b", "b": "dir", "b/x": b"x"}),
    "U-3 link upwards past the root": ([ln(b"up", b"../../../.."), f(b"up/canary")],
                                       {"up": "-> ../../../..", "canary": b"x"}),
    "U-3 chain of links": ([ln(b"l1", b"l2"), ln(b"l2", b"/l3"), ln(b"l3", b"d"), d(b"d"),
                            f(b"l1/x")],
                           {"l1": "-> l2", "l2": "-> /l3", "l3": "-> d", "d": "dir", "d/x": b"x"}),
    "U-4 file over link to the canary": ([ln(b"a", b"../canary"), f(b"a")], {"a": b"x"}),
    "U-4 file over absolute link": ([ln(b"a", b"/etc/passwd"), f(b"a")], {"a": b"x"}),
    "U-4 directory over link": ([d(b"d"), ln(b"a", b"d"), d(b"a"), f(b"a/x")],
                                {"d": "dir", "a": "opaque", "a/x": b"x"}),
    "U-4 directory over directory": ([d(b"a"), f(b"a/x"), d(b"a", mode=0o711)],
                                     {"a": "dir", "a/x": b"x"}),
    "U-4 link over full directory": ([d(b"a"), f(b"a/b/c"), ln(b"a", b"z")], {"a": "-> z"}),
    "U-5 targets verbatim": ([ln(b"a", b"/etc/../shadow//."), gnu_long(b"t" * 4000, b"K"), ln(b"b", b"")],
                             {"a": "-> /etc/../shadow//.", "b": "-> " + "t" * 4000}),
    "U-6 hard link": ([f(b"d/a"), hl(b"b", b"d/a")], {"d": "dir", "d/a": b"x", "b": b"x"}),
    "U-6 hard link, absolute": ([f(b"a"), hl(b"b", b"/a")], {"a": b"x", "b": b"x"}),
    "U-6 hard link to a link": ([ln(b"a", b"../canary"), hl(b"b", b"a")],
                                {"a": "-> ../canary", "b": "-> ../canary"}),
    "U-6 hard link through a link": ([d(b"d"), f(b"d/a"), ln(b"l", b"/d"), hl(b"b", b"l/a")],
                                     {"d": "dir", "d/a": b"x", "l": "-> /d", "b": b"x"}),
    "U-6 hard link twice": ([f(b"a"), hl(b"b", b"a"), hl(b"b", b"a")], {"a": b"x", "b": b"x"}),
    "U-8 whiteout": ([d(b"d"), f(b"d/.wh.gone", b"")], {"d": "dir", "d/gone": "whiteout"}),
    "U-8 whiteout before its sibling": ([f(b".wh.a", b""), f(b"a")], {"a": b"x"}),
    "U-8 whiteout after its sibling": ([f(b"a"), f(b".wh.a", b"")], {"a": b"x"}),
    "U-8 whiteout before its directory": ([f(b".wh.a", b""), d(b"a"), f(b"a/x")],
                                          {"a": "opaque", "a/x": b"x"}),
    "U-8 whiteout after its directory": ([d(b"a"), f(b"a/x"), f(b".wh.a", b"")],
                                         {"a": "opaque", "a/x": b"x"}),
    "U-8 whiteout before an implied directory": ([f(b".wh.a", b""), f(b"a/b/x")],
                                                 {"a": "opaque", "a/b": "dir", "a/b/x": b"x"}),
    "U-8 whiteout twice": ([f(b".wh.a", b""), f(b".wh.a", b"")], {"a": "whiteout"}),
    "U-8 whiteout as hard link": ([hl(b".wh.a", b".wh..wh.aufs")], {"a": "whiteout"}),
    "U-8 whiteout of dots": ([f(b".wh....", b"")], {"...": "whiteout"}),
    "U-9 whiteout below a link": ([ln(b"ln", b"/"), f(b"ln/.wh.canary", b"")],
                                  {"ln": "-> /", "canary": "whiteout"}),
    "U-9 whiteout below a link upwards": ([ln(b"ln", b".."), f(b"ln/.wh.canary", b"")],
                                          {"ln": "-> ..", "canary": "whiteout"}),
    "U-10 opaque first": ([d(b"a"), f(b"a/.wh..wh..opq", b""), d(b"a/b"), f(b"a/b/c")],
                          {"a": "opaque", "a/b": "dir", "a/b/c": b"x"}),
    "U-10 opaque last": ([d(b"a"), d(b"a/b"), f(b"a/b/c"), f(b"a/.wh..wh..opq", b"")],
                         {"a": "opaque", "a/b": "dir", "a/b/c": b"x"}),
    "U-10 opaque alone": ([f(b"a/.wh..wh..opq", b"")], {"a": "opaque"}),
    "U-10 opaque below a link": ([ln(b"ln", b"/d"), d(b"d"), f(b"ln/.wh..wh..opq", b"")],
                                 {"ln": "-> /d", "d": "opaque"}),
    "U-11 aufs": ([d(b".wh..wh.plnk"), f(b".wh..wh.plnk/1.2"), f(b".wh..wh.aufs"),
                   f(b"d/.wh..wh.orph"), f(b"a")], {"a": b"x"}),
    "U-12 file, link, through it": ([f(b"a"), ln(b"a", b"/d"), d(b"d"), f(b"a/x")],
                                    {"a": "-> /d", "d": "dir", "d/x": b"x"}),
    "U-12 directory, link, through it": ([d(b"a"), f(b"a/old"), d(b"d"), ln(b"a", b"d"),
                                          f(b"a/x")], {"a": "-> d", "d": "dir", "d/x": b"x"}),
    "U-12 directory, link, directory": ([d(b"a"), f(b"a/x"), ln(b"a", b".."), d(b"a"),
                                         f(b"a/y")], {"a": "opaque", "a/y": b"x"}),
    "U-12 link, through it, other link": ([d(b"d"), d(b"e"), ln(b"l", b"d"), f(b"l/x"), ln(b"l", b"e"),
                                           f(b"l/y")],
                                          {"d": "dir", "d/x": b"x", "e": "dir", "e/y": b"x", "l": "-> e"}),
    "U-12 link within its own path": ([d(b"a"), ln(b"a/l", b"/a"), f(b"a/l/l")],
                                      {"a": "dir", "a/l": b"x"}),
    "U-12 last wins": ([f(b"a", b"1"), FIFO, f(b"a", b"2"), f(b"pipe", b"3")], {"a": b"2", "pipe": b"3"}),
    "U-12 hard link over its name": ([f(b"a"), f(b"b", b"y"), hl(b"b", b"a")], {"a": b"x", "b": b"x"}),
    "U-12 rewritten hard link": ([f(b"a"), hl(b"b", b"a"), f(b"b", b"y")], {"a": b"x", "b": b"y"}),
    "U-13 fifo": ([FIFO], {"pipe": "fifo"}),
    "U-13 devices": ([member(b"dev/null", kind=b"3", major=1, minor=3), member(b"sda", kind=b"4", major=8)],
                     {"dev": "dir"}),
    "U-13 device over a file": ([f(b"a"), member(b"a", kind=b"3", major=1, minor=3)], {}),
    "U-20 bytes": ([f(b"\xff\xfe"), f("é".encode()), f("e\u0301".encode()), f(b"\xe9")],
                   {"\udcff\udcfe": b"x", "é": b"x", "e\u0301": b"x", "\udce9": b"x"}),
}  # fmt: skip


@pytest.mark.parametrize("case", UNPACKED)
def test_unpacks(case, layer):
    members, expected = UNPACKED[case]
    assert tree(layer(*members)) == expected


LOOP = [ln(b"l%d" % number, b"l%d" % (number + 1)) for number in range(41)]

# name: (members, part of the message)
REFUSED = {
    "U-1 upwards": ([f(b"../x")], '../x: the name has a ".."'),
    "U-1 upwards later": ([f(b"a/../../x")], 'the name has a ".."'),
    "U-1 upwards harmlessly": ([f(b"a/../x")], 'the name has a ".."'),
    "U-1 empty": ([f(b"")], "the name is empty"),
    "U-1 5000 bytes": ([pax(path=b"a/" * 2500 + b"f"), f(b"f")], "longer than 4096"),
    "U-1 256 bytes": ([pax(path=b"n" * 256), f(b"f")], "component longer than 255"),
    "U-2 root as link": ([ln(b".", b"/")], "can only be a directory"),
    "U-2 root as file": ([f(b"/")], "name of a directory"),
    "U-2 root as dotted file": ([f(b"./.")], "can only be a directory"),
    "U-2 root as hard link": ([f(b"a"), hl(b".", b"a")], "can only be a directory"),
    "U-2 root as fifo": ([member(b".", kind=b"6")], "can only be a directory"),
    "U-3 dangling": ([ln(b"l", b"nowhere"), f(b"l/x")], "l is not a directory, nor a link to one"),
    "U-3 file": ([f(b"a"), f(b"a/x")], "a is not a directory, nor a link to one"),
    "U-3 link to a file": ([f(b"a"), ln(b"l", b"a"), f(b"l/x")], "l is not a directory"),
    "U-3 loop": ([ln(b"a", b"b"), ln(b"b", b"a"), f(b"a/x")], "a/x: Too many levels"),
    "U-3 41 links": ([*LOOP, d(b"l41"), f(b"l0/x")], "l0/x: Too many levels"),
    "U-5 empty target": ([ln(b"a", b"")], "symbolic link to nothing"),
    "U-6 upwards": ([hl(b"a", b"../../canary")], 'the name has a ".."'),
    "U-6 through a link to the canary": ([ln(b"up", b".."), hl(b"a", b"up/canary")], "not in the layer"),
    "U-6 later member": ([hl(b"a", b"b"), f(b"b")], "not in the layer"),
    "U-6 itself": ([hl(b"a", b"a")], "not in the layer"),
    "U-6 itself, existing": ([f(b"a"), hl(b"a", b"a")], "hard link to itself"),
    "U-6 directory": ([d(b"d"), hl(b"a", b"d")], "not a file"),
    "U-6 root": ([hl(b"a", b"/")], "hard link to nothing"),
    "U-6 empty": ([hl(b"a", b"")], "hard link to nothing"),
    "U-6 a whiteout": ([f(b".wh.b", b""), hl(b"a", b"b")], "not a file"),
    "U-7 only in a lower layer": ([hl(b"a", b"usr/bin/true")], "not in the layer"),
    "U-8 of nothing": ([f(b".wh.", b"")], "whiteout of nothing"),
    "U-8 of dot": ([f(b".wh..", b"")], "whiteout of nothing"),
    "U-8 of dots": ([f(b"d/.wh...", b"")], "whiteout of nothing"),
    "U-8 as a directory": ([d(b".wh.a")], "must be a file"),
    "U-8 opaque as a directory": ([d(b"d/.wh..wh..opq")], "must be a file"),
    "U-8 as a link": ([ln(b".wh.a", b"/")], "must be a file"),
    "U-8 as a parent": ([f(b".wh.a/b")], "below a whiteout"),
    "U-9 through a loop": ([ln(b"a", b"a"), f(b"a/.wh.b", b"")], "Too many levels"),
    "U-13 character 0:0": ([member(b"a", kind=b"3")], "would hide a file"),
    "U-16 beyond 32 bits": ([pax(uid=b"4294967296"), f(b"a")], "no user and group"),
    "U-16 minus one": ([pax(gid=b"4294967295"), f(b"a")], "no user and group"),
    "U-23 depth": ([pax(path=b"d/" * 256 + b"f"), f(b"f")], "more than 256 directories deep"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case, base):
    members, message = REFUSED[case]
    with pytest.raises(InvalidData) as caught:
        apply(base, *members)
    assert message in caught.value.message
    assert caught.value.message.startswith("layer entry ")
    assert not (base / "root" / "x").exists()


def test_u1_nul_in_a_name_is_refused():
    """Headers end a name at a NUL and pax names with one are refused earlier, hence not by archive."""
    with pytest.raises(InvalidData, match="NUL"):
        unpack_module.normalise(b"a\0b")


def test_u3_forty_links_are_followed(layer):
    root = layer(*LOOP[2:], directory(b"l41"), file(b"l2/x"))
    assert (root / "l41/x").read_bytes() == b"x"


def test_u6_hard_link_shares_the_inode_and_its_metadata_is_ignored(layer):
    root = layer(file(b"a", mode=0o600, mtime=5), hardlink(b"b", b"a", mode=0o777, mtime=9))
    status = (root / "a").stat()
    assert status.st_ino == (root / "b").stat().st_ino
    assert (status.st_nlink, stat.S_IMODE(status.st_mode), status.st_mtime) == (2, 0o600, 5)


def test_u13_nothing_opens_a_fifo(layer):
    """A fifo in place of a file or parent would block whoever opened it."""
    root = layer(FIFO, member(b"pipe", kind=b"6"), hardlink(b"b", b"pipe"), file(b"pipe"))
    assert tree(root) == {"b": "fifo", "pipe": b"x"}


def test_u13_devices_are_reported(base):
    devices = [member(b"dev/%d" % number, kind=b"3", major=1, minor=3) for number in range(4)]
    assert apply(base, *devices).warnings == (
        "device nodes were left out: rootless containers cannot have them (dev/0 and 3 more)",
    )


@pytest.mark.parametrize("umask", [0, 0o77, 0o777])
def test_u14_modes_are_exact_whatever_the_umask(umask, base):
    parts = [
        directory(b"."),
        directory(b"d", mode=0o2775),
        file(b"d/setuid", mode=0o4755),
        file(b"d/open", mode=0o666),
        file(b"d/none", b"", mode=0),
        directory(b"ro", mode=0o555),
        file(b"ro/x"),
        directory(b"sticky", mode=0o1777),
        file(b"implied/x"),
        FIFO,
    ]
    for name in ("root", "attic"):
        (base / name).mkdir()
    before = os.umask(umask)
    try:
        apply(base, *parts)
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    modes = {
        ".": 0o755,
        "d": 0o2775,
        "d/setuid": 0o4755,
        "d/open": 0o666,
        "d/none": 0,
        "ro": 0o555,
        "sticky": 0o1777,
        "implied": 0o755,
        "pipe": 0o620,
    }
    assert {name: stat.S_IMODE((base / "root" / name).stat().st_mode) for name in modes} == modes
    (base / "root/ro").chmod(0o755)


def test_u14_the_directory_it_is_unpacked_in_hands_down_nothing(base):
    """Neither a setgid bit nor a default ACL (user::rwx, group::---, mask, other::---)."""
    (base / "root").mkdir()
    (base / "root").chmod(0o2700)
    acl = struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", tag, permissions, 0xFFFFFFFF) for tag, permissions in ((1, 7), (4, 0), (0x20, 0))
    )
    try:
        os.setxattr(base / "root", "system.posix_acl_default", acl)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
    apply(base, directory(b"d"), file(b"d/f", mode=0o666))
    modes = [stat.S_IMODE((base / "root" / name).stat().st_mode) for name in (".", "d", "d/f")]
    assert modes == [0o755, 0o755, 0o666]


def xattr(name, value, key=b"SCHILY.xattr."):
    return pax(record(key + name, value))


CAPABILITY_2 = struct.pack("<5I", 0x02000001, 0x400, 0, 0, 0)
CAPABILITY_3 = struct.pack("<6I", 0x03000001, 0x400, 0, 0, 0, 0)
KEPT_XATTRS = [(b"user.a", b"1"), (b"user.b", b"c=\0\n"), (b"user.empty", b""), (b"user.overlayed", b"1")]
DROPPED_XATTRS = [
    (b"user.overlay.opaque", b"y"),
    (b"user.overlay.redirect", b"/etc"),
    (b"user.overlay.whiteout", b"y"),
    (b"user.rootlesscontainers", b"x"),
    (b"trusted.overlay.opaque", b"y"),
    (b"security.selinux", b"x"),
    (b"security.ima", b"x"),
    (b"security.capability", b"short"),
    (b"security.capability", CAPABILITY_3[:20] + b"\1\0\0\0"),
    (b"system.posix_acl_access", b"x"),
    (b"user.", b"x"),
    (b"user.huge", b"x" * 65536),
]


@pytest.mark.parametrize(("name", "value"), KEPT_XATTRS, ids=[name.decode() for name, _ in KEPT_XATTRS])
@pytest.mark.parametrize("member_of", [file, directory])
def test_u15_keeps_user_attributes(name, value, member_of, base):
    result = apply(base, xattr(name, value), member_of(b"a"))
    assert os.getxattr(base / "root/a", name) == value
    assert result.warnings == ()


@pytest.mark.parametrize("index", range(len(DROPPED_XATTRS)))
@pytest.mark.parametrize("member_of", [file, directory])
def test_u15_drops_attributes_meant_for_the_host(index, member_of, base):
    name, value = DROPPED_XATTRS[index]
    result = apply(base, xattr(name, value), member_of(b"a"), xattr(name, value), member_of(b"b"))
    assert os.listxattr(base / "root/a") == []
    assert result.warnings == (f"the attribute {name.decode()} was dropped (a and 1 more)",)


def test_u15_links_have_no_attributes(base):
    assert apply(base, xattr(b"user.a", b"1"), symlink(b"l", b"canary")).warnings
    assert os.listxattr(base / "root/l", follow_symlinks=False) == []


def test_u15_value_beyond_the_kernels_limit_is_refused(base):
    with pytest.raises(InvalidData, match=r"the attribute user\.big is too large"):
        apply(base, xattr(b"user.big", b"x" * 70_000), file(b"a"))


def test_u15_capabilities_and_u16_owners(base, as_mapped_root):
    """Capabilities survive the change of owner; ids up to the end of the map can be given."""

    def run(id_map):
        last = sum(length for _, _, length in id_map.uids) - 1
        parts = [
            xattr(b"security.capability", CAPABILITY_2),
            file(b"v2", uid=last, gid=last, mode=0o4755),
            xattr(b"security.capability", CAPABILITY_3),
            file(b"v3"),
            symlink(b"link", b"canary", uid=1, gid=2),
            directory(b"d", uid=3, gid=4, mode=0o2750),
            file(b"d/f"),
            member(b"pipe", kind=b"6", uid=5, gid=6),
        ]
        apply(base, *parts, id_map=id_map)
        root = base / "root"
        for name, owner, mode in (
            ("v2", (last, last), 0o4755),
            ("v3", (0, 0), 0o644),
            ("link", (1, 2), 0o777),
            ("d", (3, 4), 0o2750),
            ("d/f", (0, 0), 0o644),
            ("pipe", (5, 6), 0o644),
        ):
            status = (root / name).lstat()
            assert ((status.st_uid, status.st_gid), stat.S_IMODE(status.st_mode)) == (owner, mode), name
        for name in ("v2", "v3"):
            assert os.getxattr(root / name, "security.capability")[4:8] == CAPABILITY_2[4:8]
        try:
            apply(base, file(b"beyond", uid=last + 1), id_map=id_map)
        except InvalidData as error:
            assert "beyond the ids" in error.message
            root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
            trash.empty(root_fd)  # nobody else may
            return len(os.listdir(root_fd))
        return 1

    assert as_mapped_root(run) == 0


@pytest.mark.parametrize(("uid", "gid"), [(65536, 0), (0, 65536), (4294967294, 0)])
def test_u16_owner_outside_the_map_is_refused(uid, gid, base):
    with pytest.raises(InvalidData, match="beyond the ids that you may use") as caught:
        apply(base, pax(uid=b"%d" % uid, gid=b"%d" % gid), file(b"a"), id_map=FULL)
    assert "/etc/subuid" in caught.value.hint


def test_u16_single_id_takes_all_with_one_warning(base):
    result = apply(
        base, file(b"mine"), file(b"a", uid=7), file(b"b", uid=0, gid=99), symlink(b"c", b"x", uid=1)
    )
    assert result.warnings == ("owners were lost, because only one user id is mapped (a and 2 more)",)
    assert {path.lstat().st_uid for path in (base / "root").iterdir()} == {os.geteuid()}


@pytest.mark.parametrize("mtime", [b"0", b"-1", b"1.5", b"2147483648", b"-99999999999999999999", b"9" * 40])
def test_u21_any_time_can_be_set(mtime, layer):
    root = layer(
        pax(mtime=mtime), file(b"a"), pax(mtime=mtime), directory(b"d"), pax(mtime=mtime), symlink(b"l", b"x")
    )
    times = {(root / name).lstat().st_mtime_ns for name in "adl"}
    assert len(times) == 1
    if len(mtime) < 6:
        assert times == {int(float(mtime) * 10**9)}


def test_u21_directory_times_survive_their_content(layer):
    root = layer(directory(b"d", mtime=5), directory(b"d/e", mtime=6), file(b"d/e/f"), file(b"d/g", mtime=7))
    assert [(root / name).stat().st_mtime for name in ("d", "d/e", "d/g")] == [5, 6, 7]


def test_metadata_of_a_replaced_directory_is_given_to_nothing(layer):
    root = layer(
        directory(b"victim", mode=0o755, mtime=1),
        directory(b"d", mode=0o777, mtime=2),
        symlink(b"d", b"victim"),
        directory(b"e", mode=0o777),
        symlink(b"e", b"../canary"),
    )
    status = (root / "victim").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime) == (0o755, 1)


def test_metadata_of_a_removed_directory_is_not_given_to_its_successor(layer):
    device = member(b"d", kind=b"4", major=8)
    assert (
        stat.S_IMODE((layer(directory(b"d", mode=0o700), device, file(b"d/x")) / "d").stat().st_mode) == 0o755
    )


def test_one_directory_under_two_names_keeps_the_last_metadata(layer):
    root = layer(directory(b"d", mode=0o700), symlink(b"l", b"/"), directory(b"l/d", mode=0o711))
    assert stat.S_IMODE((root / "d").stat().st_mode) == 0o711


def test_u23_entries_are_limited(base, monkeypatch):
    """The limit itself is lowered: a million entries would take half a minute."""
    monkeypatch.setattr(unpack_module, "MAX_ENTRIES", 3)
    assert apply(base, *[file(b"f%d" % number) for number in range(3)]).entries == 3
    with pytest.raises(InvalidData, match="more than 3 entries"):
        apply(base, *[file(b"g%d" % number) for number in range(4)])


def test_u23_bytes_are_limited(base):
    size = len(archive(file(b"a", b"x" * 1000)))
    assert apply(base, file(b"a", b"x" * 1000), budget=size).size == 1000
    with pytest.raises(InvalidData, match="claims 1000 bytes, more than may be unpacked"):
        apply(base, file(b"b", b"x" * 1000), budget=1000)


def test_u29_messages_are_printable_and_short(base):
    with pytest.raises(InvalidData) as caught:
        apply(base, pax(path=b"\x1b]0;evil\x07\n\xff\xe2\x80\xae" + b"x" * 3000), file(b"f"))
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400


NAMES = st.sampled_from([b"a", b"b", b"a/b", b"b/a", b"a/b/a", b"a/a/b", b".", b"../canary", b"a/canary"])
MEMBERS = st.one_of(
    st.builds(file, NAMES),
    st.builds(directory, NAMES),
    st.builds(symlink, NAMES, NAMES | st.sampled_from([b"/", b"..", b"/../../canary", b"../../canary"])),
    st.builds(hardlink, NAMES, NAMES),
    st.sampled_from([b".wh.a", b".wh.b", b"a/.wh.b", b"a/.wh..wh..opq", b"b/.wh.a"]).map(
        lambda n: file(n, b"")
    ),
    st.sampled_from([FIFO, member(b"a", kind=b"6"), member(b"a", kind=b"4", major=8)]),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(MEMBERS, min_size=2, max_size=9))
def test_no_sequence_of_members_leaves_the_root(parts):
    """Beside the root lie a file of the same name and a directory to be lost in."""
    with tempfile.TemporaryDirectory() as outside:
        base = Path(outside)
        (base / "canary").write_bytes(b"canary")
        before = (base / "canary").stat()
        try:
            apply(base, *parts)
        except InvalidData:
            pass
        after = (base / "canary").lstat()
        assert (after.st_nlink, after.st_ctime_ns, after.st_size) == (1, before.st_ctime_ns, 6)
        assert sorted(os.listdir(base)) == ["attic", "canary", "root"]


def test_more_directories_than_are_kept_open(layer):
    parts = []
    for number in range(200):
        parts += [directory(b"d%d" % number), file(b"d%d/f" % number)]
    parts += [file(b"d%d/g" % number) for number in range(200)]
    assert len(tree(layer(*parts))) == 600


@pytest.mark.parametrize("threaded", [False, True])
def test_the_result_describes_the_stream(threaded, base):
    data = archive(file(b"a", b"12345"), directory(b"d"), hardlink(b"b", b"a"), end=bytes(10240))
    result = apply(base, data=data, threaded=threaded, chunk=700)
    assert (result.size, result.entries, result.warnings) == (5, 3, ())
    assert result.diff_id == "sha256:" + __import__("hashlib").sha256(data).hexdigest()


def test_a_full_disk_is_not_the_archives_fault(base, monkeypatch):
    """The fault is provoked in the write: a full file system cannot be had without a mount."""

    def full(fd, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(unpack_module.os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        apply(base, file(b"a"))


def test_keep_id_map_has_no_root_of_its_own(base):
    """A map whose only id inside is 1000 gives everything to it, though 0 is not mapped."""
    id_map = IdMap(uids=((1000, os.geteuid(), 1),), gids=((1000, os.getegid(), 1),), key="keep-id")
    apply(base, file(b"a", uid=33), directory(b"d", uid=5), id_map=id_map)
    assert (base / "root/a").stat().st_uid == os.geteuid()
    assert SINGLE.is_single


def test_zeros_become_holes(layer):
    content = bytes(1 << 20) + b"data" + bytes(1 << 20)
    root = layer(member(b"f", content), member(b"zeros", bytes(300_000)), chunk=1 << 17)
    assert (root / "f").read_bytes() == content
    assert (root / "zeros").stat().st_size == 300_000 and not (root / "zeros").read_bytes().strip(b"\0")
    assert (root / "f").stat().st_blocks * 512 < 300_000
