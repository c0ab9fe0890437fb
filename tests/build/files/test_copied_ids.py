"""Owners of what COPY and ADD put into an image, as root of the user's own id map."""

from __future__ import annotations

import io
import os
import shutil
import tarfile

import pytest
from copies import NOW, work
from runs import as_root, tree

from daemonless.build.copying import copy_into
from daemonless.build.digests import digest_selection
from daemonless.build.index import ContentIndex
from daemonless.build.selection import select
from daemonless.build.trees import Tree
from daemonless.errors import InvalidData, SetupFailed

CAPABILITY = b"\x01\0\0\x02" + b"\0\4\0\0" + bytes(12)  # revision 2: cap_net_bind_service


@pytest.fixture
def place(scratch):
    """`context` of the caller; `root` and `stage` with several owners, as images have them."""
    (scratch / "context").mkdir()
    (scratch / "context" / "f").write_text("f")
    (scratch / "context" / "d").mkdir()
    (scratch / "context" / "d" / "g").write_text("g")
    (scratch / "context" / "l").symlink_to("f")

    def make():
        for name in ("root", "stage"):
            os.makedirs(scratch / name / "etc")
            (scratch / name / "etc" / "passwd").write_text("root:x:0:0::/:\nme:x:1000:1001::/:\n")
            (scratch / name / "etc" / "group").write_text("root:x:0:\nstaff:x:50:\n")
        (scratch / "stage" / "dir").mkdir()
        (scratch / "stage" / "dir" / "file").write_text("file")
        (scratch / "stage" / "dir" / "link").symlink_to("file")
        os.mkfifo(scratch / "stage" / "dir" / "fifo")
        for name in ("dir", "dir/file", "dir/link", "dir/fifo"):
            os.chown(scratch / "stage" / name, 1000, 1001, follow_symlinks=False)
        (scratch / "stage" / "dir" / "file").chmod(0o4755)
        os.setxattr(
            scratch / "stage" / "dir" / "file",
            "security.capability",
            b"\x01\0\0\x02" + b"\0\4\0\0" + bytes(12),
        )
        (scratch / "root" / "shared").mkdir()
        os.chown(scratch / "root" / "shared", 0, 50)
        (scratch / "root" / "shared").chmod(0o2775)

    as_root(make)
    return scratch


@pytest.fixture
def copy(place):
    def copy(*words, source="context", **fields):
        what = work(*words, **fields)

        def run():
            root_fd = os.open(place / "root", os.O_PATH)
            files = Tree(fd=os.open(place / source, os.O_PATH), owners=source == "stage")
            selection = select(files, what)
            digest = digest_selection(selection, what, ContentIndex())
            copied = copy_into(root_fd, selection, what, now_ns=NOW)
            return [digest, *copied.warnings]

        return as_root(run)

    return copy


def owners(place, name):
    return {path: text.split(" ")[1] for path, text in tree(f"{place}/root/{name}").items()}


def test_files_of_a_context_become_roots(place, copy):
    copy(".", "/a/b/")
    assert owners(place, "a") == dict.fromkeys(("b", "b/f", "b/d", "b/d/g", "b/l"), "0:0")


@pytest.mark.parametrize(
    ("chown", "expected"), [("me", "1000:1001"), ("7", "7:7"), ("7:staff", "7:50"), ("me:9", "1000:9")]
)
def test_chown(place, copy, chown, expected):
    copy(".", "/a/b/", chown=chown, inline=(("inline", "x"),))
    names = ("b", "b/f", "b/d", "b/d/g", "b/l", "b/inline")  # the parents, too, as BuildKit does
    assert owners(place, "a") == dict.fromkeys(names, expected)


def test_an_owner_that_the_image_does_not_know(copy):
    with pytest.raises(SetupFailed, match="unable to find user nobody"):
        copy(".", "/a", chown="nobody")


def test_files_of_a_stage_keep_owners_capabilities_and_setuid(place, copy):
    assert copy("dir", "/a/b", source="stage")[1:] == []
    assert tree(f"{place}/root/a") == {
        "b": "drwxr-xr-x 0:0",  # the destination is made, and a directory is its content
        "b/file": "-rwsr-xr-x 1000:1001 file",
        "b/link": "lrwxrwxrwx 1000:1001 file",
        "b/fifo": "prw-r--r-- 1000:1001",
    }
    copy("dir", "/c/", source="stage", chown="0", chmod="700")
    assert set(owners(place, "c").values()) == {"0:0"}
    capability = as_root(
        lambda: list(os.getxattr(place / "root" / "a" / "b" / "file", "security.capability"))
    )
    assert bytes(capability[4:8]) == b"\0\4\0\0"


def test_owners_of_a_stage_are_in_the_digest(place, copy):
    first = copy("dir", "/a", source="stage")[0]
    given = copy("dir", "/a", source="stage", chown="5")[0]
    as_root(lambda: os.chown(place / "stage" / "dir" / "link", 1, 1, follow_symlinks=False))
    assert copy("dir", "/a", source="stage")[0] != first
    assert copy("dir", "/a", source="stage", chown="5")[0] == given


def test_the_group_of_a_directory_is_not_inherited(place, copy):
    copy("f", "d", "/shared/new/", inline=(("inline", "x"),))
    copy("f", "/shared/")
    assert owners(place, "shared") == dict.fromkeys(("new", "new/f", "new/g", "new/inline", "f"), "0:0")
    assert tree(f"{place}/root/shared")["new"].startswith("drwxr-xr-x ")


def archive(*owned):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, uid, gid in owned:
            info = tarfile.TarInfo(name)
            info.uid, info.gid = uid, gid
            tar.addfile(info)
    return stream.getvalue()


def test_members_of_an_archive_keep_their_owners(place, copy):
    (place / "context" / "a.tar").write_bytes(archive(("x", 5, 6), ("y", 0, 0), ("dir/z", 7, 7)))
    copy("a.tar", "/a/", is_add=True)
    copy("a.tar", "/b/", is_add=True, chown="me")
    assert owners(place, "a") == {"x": "5:6", "y": "0:0", "dir": "0:0", "dir/z": "7:7"}
    assert owners(place, "b") == {"x": "1000:1001", "y": "1000:1001", "dir": "0:0", "dir/z": "1000:1001"}


def test_an_owner_beyond_the_map_is_told(place, copy):
    (place / "context" / "a.tar").write_bytes(archive(("x", 4_000_000_000, 6)))
    with pytest.raises(InvalidData, match=r"a\.tar: x belongs to 4000000000:6, which containers do not have"):
        copy("a.tar", "/a/", is_add=True)
    copy("a.tar", "/a/", is_add=True, chown="1")


def test_an_unreadable_directory_is_no_obstacle_for_root(place, copy):
    os.chmod(place / "context" / "d", 0o300)
    copy(".", "/a/")
    assert tree(f"{place}/root/a")["d/g"].endswith(" g")
    shutil.rmtree(place / "context", ignore_errors=True)
