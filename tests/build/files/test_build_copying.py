"""COPY into a root filesystem: docker's rules for destinations, and what becomes of attributes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import time

import pytest
from copies import NOW, listing, work

from daemonless.build.copying import copy_into
from daemonless.build.digests import digest_selection
from daemonless.build.index import ContentIndex
from daemonless.build.selection import select
from daemonless.errors import Conflict, DaemonlessError, NotFound, UsageError


@pytest.fixture
def files(context):
    """A context with a file, a directory of files, and two that a pattern matches."""
    (context / "file").write_text("file")
    (context / "a.txt").write_text("a")
    (context / "b.txt").write_text("b")
    (context / "dir" / "sub").mkdir(parents=True)
    (context / "dir" / "one").write_text("one")
    (context / "dir" / "sub" / "two").write_text("two")
    return context


@pytest.fixture
def base_image(root):
    """A root filesystem with a directory, a file and links to both."""
    (root / "there").mkdir()
    (root / "there" / "old").write_text("old")
    (root / "taken").write_text("taken")
    (root / "to-there").symlink_to("/there")
    (root / "to-taken").symlink_to("taken")
    (root / "to-nothing").symlink_to("/new/place")
    return root


INSIDE = {"one": "one", "sub": "/", "sub/two": "two"}


def below(name, found):
    return {f"{name}/{path}": content for path, content in found.items()}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        # a file becomes the destination, or goes into it
        (["file", "/new"], {"new": "file"}),
        (["file", "/new/"], {"new": "/", "new/file": "file"}),
        (["file", "/a/b/c"], {"a": "/", "a/b": "/", "a/b/c": "file"}),
        (["file", "/there"], {"there/file": "file"}),
        (["file", "/there/"], {"there/file": "file"}),
        (["file", "/there/old"], {"there/old": "file"}),
        (["file", "/"], {"file": "file"}),
        (["file", "/taken"], {"taken": "file"}),
        # links of the destination are followed inside the root
        (["file", "/to-there"], {"there/file": "file"}),
        (["file", "/to-there/x"], {"there/x": "file"}),
        (["file", "/to-taken"], {"taken": "file"}),
        (["file", "/to-nothing"], {"new": "/", "new/place": "file"}),
        (["file", "/to-nothing/"], {"new": "/", "new/place": "/", "new/place/file": "file"}),
        # a directory is its content
        (["dir", "/new"], {"new": "/", **below("new", INSIDE)}),
        (["dir", "/new/"], {"new": "/", **below("new", INSIDE)}),
        (["dir/", "/new"], {"new": "/", **below("new", INSIDE)}),
        (["dir/.", "/new"], {"new": "/", **below("new", INSIDE)}),
        (["dir", "/there"], below("there", INSIDE)),
        (["dir", "/"], INSIDE),
        (["dir", "/to-there/"], below("there", INSIDE)),
        (["dir", "/to-nothing"], {"new": "/", "new/place": "/", **below("new/place", INSIDE)}),
        # several sources
        (["file", "dir", "/new/"], {"new": "/", "new/file": "file", **below("new", INSIDE)}),
        (["*.txt", "/new/"], {"new": "/", "new/a.txt": "a", "new/b.txt": "b"}),
        (["*.txt", "/there"], {"there/a.txt": "a", "there/b.txt": "b"}),
        (["a*.txt", "/new"], {"new": "a"}),
        (["d*", "/new/"], {"new": "/", **below("new", INSIDE)}),
        (["nothing*", "/new/"], {}),
        (["fil[e]", "nothing[x]", "/new/"], {"new": "/", "new/file": "file"}),
        # upwards is never above the context
        (["../../file", "/new"], {"new": "file"}),
        (["/file", "/new"], {"new": "file"}),
        (["dir/../file", "/new"], {"new": "file"}),
    ],
    ids=" ".join,
)
def test_destinations(files, base_image, copy, words, expected):
    before = listing(base_image)
    copy(*words)
    assert listing(base_image) == before | expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["file", "/taken/"], "not a directory"),
        (["file", "/taken/x"], "^/taken is not a directory$"),
        (["file", "/there/old/x/y"], "^/there/old is not a directory$"),
        (["dir", "/taken"], "^/taken is not a directory$"),
        (["dir", "/to-taken"], "^/taken is not a directory$"),
        (["*.txt", "/new"], "2 files cannot become the one file /new"),
        (["dir", "/clash"], "cannot take the place of the directory one"),
        (["dir", "/link"], "cannot take the place of /link/sub"),
    ],
    ids=" ".join,
)
def test_what_is_in_the_way(files, base_image, copy, words, message):
    (base_image / "clash" / "one").mkdir(parents=True)
    (base_image / "link").mkdir()
    (base_image / "link" / "sub").symlink_to("/there")
    with pytest.raises(Conflict, match=message):
        copy(*words)


def test_inline_files(root, copy):
    copy("/dir/", inline=(("a.sh", "#!/bin/sh\n"), ("b", "ä")))
    copy("/dir/c", inline=(("EOF", "one"),), chmod="755")
    assert listing(root / "dir") == {"a.sh": "#!/bin/sh\n", "b": "ä", "c": "one"}
    assert (root / "dir" / "a.sh").stat().st_mode == 0o100644
    assert (root / "dir" / "c").stat().st_mode == 0o100755
    assert (root / "dir" / "c").stat().st_mtime_ns == NOW
    assert (root / "dir").stat().st_mode == 0o40755
    with pytest.raises(Conflict, match="2 files cannot become"):
        copy("/x", inline=(("a", ""), ("b", "")))


def test_modes_and_times_are_kept(files, root, copy):
    (files / "file").chmod(0o4751)
    (files / "dir" / "sub").chmod(0o2711)
    os.utime(files / "file", ns=(1, 1_234_567_891))
    os.utime(files / "dir" / "sub", ns=(1, 5))
    copy(".", "/app/")
    status = (root / "app" / "file").stat()
    assert (status.st_mode, status.st_mtime_ns) == (0o104751, 1_234_567_891)
    status = (root / "app" / "dir" / "sub").stat()
    assert (status.st_mode, status.st_mtime_ns) == (0o42711, 5)
    assert (root / "app").stat().st_mode == 0o40755


def test_a_directory_that_nobody_may_write_to_is_filled(files, root, copy):
    (files / "dir" / "sub").chmod(0o500)
    (files / "file").chmod(0)
    (files / "file").chmod(0o400)
    copy(".", "/app/")
    assert stat.S_IMODE((root / "app" / "dir" / "sub").stat().st_mode) == 0o500
    for directory in (files, root / "app"):
        (directory / "dir" / "sub").chmod(0o700)


def test_merged_directories_take_over_attributes_but_not_the_destination(files, root, copy):
    (root / "app" / "sub").mkdir(parents=True)
    (root / "app" / "sub" / "kept").write_text("kept")
    (root / "app").chmod(0o751)
    (files / "dir").chmod(0o700)
    (files / "dir" / "sub").chmod(0o711)
    copy("dir", "/app")
    assert stat.S_IMODE((root / "app").stat().st_mode) == 0o751
    assert stat.S_IMODE((root / "app" / "sub").stat().st_mode) == 0o711
    assert listing(root / "app") == INSIDE | {"sub/kept": "kept"}


def test_the_umask_does_not_count(files, root, copy):
    (files / "file").chmod(0o666)
    before = os.umask(0o077)
    try:
        copy("file", "dir", "/x/y/")
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    assert (root / "x" / "y" / "file").stat().st_mode == 0o100666
    assert (root / "x").stat().st_mode == 0o40755


@pytest.mark.parametrize(
    ("chmod", "file", "directory"),
    [("644", 0o644, 0o644), ("0755", 0o755, 0o755), ("4755", 0o4755, 0o4755), ("u=rwX,go=rX", 0o644, 0o755)],
)
def test_chmod(files, root, copy, chmod, file, directory):
    (files / "file").chmod(0o600)
    copy(".", "/app/", chmod=chmod)
    assert stat.S_IMODE((root / "app" / "file").stat().st_mode) == file
    assert stat.S_IMODE((root / "app" / "dir").stat().st_mode) == directory
    (root / "app" / "dir").chmod(0o700)


def test_what_is_not_there(files, copy):
    (files / "Src").mkdir()
    (files / "dangling").symlink_to("nothing")
    for source, message in (
        ("fil", "no such file in the context: 'fil' .did you mean 'file'"),
        ("src", "did you mean 'Src'"),
        ("dir/sub/tow", "did you mean 'dir/sub/two'"),
        ("file/x", "no such file in the context: 'file/x'$"),
        ("dangling", "no such file in the context: 'dangling'"),
    ):
        with pytest.raises(NotFound, match=message):
            copy(source, "/")
    with pytest.raises(UsageError, match="syntax error in the pattern"):
        copy("a[", "/")


@pytest.mark.parametrize("words", [["fi\0le", "/x"], ["file", "/x\0y"], ["fi*\0", "/x/"], ["file", "/\0/"]])
def test_paths_with_a_nul(files, copy, root, words):
    try:
        copy(*words)
    except UsageError as error:
        assert "it has a NUL in it" in error.message
    assert not list(root.iterdir())


@pytest.mark.parametrize("name", ["x" * 256, "ä" * 128, "x/" * 2100])
def test_paths_that_are_too_long(files, copy, name):
    for words in ([name, "/x"], ["file", f"/{name}"], ["file", f"/{name}/"]):
        with pytest.raises(UsageError, match="is longer than a path can be"):
            copy(*words)


# --- files that are not plain -----------------------------------------------------------------


def test_links_below_a_source_are_copied_and_a_source_is_followed(context, root, copy):
    (context / "dir").mkdir()
    (context / "dir" / "file").write_text("file")
    (context / "dir" / "link").symlink_to("../../canary")
    (context / "dir" / "absolute").symlink_to("/etc/passwd")
    (context / "to-file").symlink_to("dir/file")
    (context / "to-dir").symlink_to("/dir")
    copy("dir", "/a/")
    copy("to-file", "/b/")
    copy("to-dir", "/c/")
    copy("to-*", "/d/")
    copy("to-dir/file", "/e")
    inside = {"file": "file", "link": "-> ../../canary", "absolute": "-> /etc/passwd"}
    assert listing(root / "a") == inside
    assert listing(root / "b") == {"to-file": "file"}
    assert listing(root / "c") == inside
    assert listing(root / "d") == inside | {"to-file": "file"}
    assert (root / "e").read_text() == "file"


@pytest.mark.parametrize("aim", ["../canary", "/../canary", "{base}/canary", "up/canary", "../../../canary"])
@pytest.mark.parametrize("source", ["link", "l*", "dir/link", "dir/./l*"])
def test_a_link_out_of_the_context_leads_nowhere(base, context, root, copy, aim, source):
    (context / "dir").mkdir()
    (context / "up").symlink_to("..")
    (context / "dir" / "up").symlink_to("../..")
    for place in (context, context / "dir"):
        (place / "link").symlink_to(aim.format(base=base))
    if "*" in source:
        assert copy(source, "/").changed == ()
        assert not list(root.iterdir())
        return
    with pytest.raises(NotFound, match="no such file"):
        copy(source, "/")


@pytest.mark.parametrize("way", ["{base}", "../", "/../../../../{base}", "loop"])
def test_links_of_the_image_lead_nowhere_else(base, context, root, copy, way):
    (context / "canary").write_text("changed")
    (context / "dir").mkdir()
    (context / "dir" / "canary").write_text("changed")
    (root / "loop").symlink_to("loop")
    (root / "way").symlink_to(way.format(base=base))
    (root / "file").symlink_to(f"{base}/canary")
    for words in (["canary", "/way/"], ["canary", "/way"], ["dir", "/way"], ["canary", "/file"]):
        try:
            copy(*words)
        except Conflict as error:
            assert "loop of links" in error.message


@pytest.mark.parametrize("swapped", ["d", "d/f"])
def test_what_is_swapped_for_a_link_is_not_followed(tmp_path, context, root, tree, swapped):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "f").write_text("canary")
    (context / "d").mkdir()
    (context / "d" / "f").write_text("inside")
    path = context / swapped
    aim = tmp_path / "outside" / swapped.removeprefix("d").removeprefix("/")
    pid = os.fork()
    if pid == 0:
        while True:
            path.rename(context / "away")
            path.symlink_to(aim)
            path.unlink()
            (context / "away").rename(path)
    try:
        what, files = work(".", "/"), tree()
        fd = os.open(root, os.O_PATH)
        outcomes = set()
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            try:
                copy_into(fd, select(files, what), what, now_ns=NOW, single_id=True)
                digest_selection(select(files, what), what, ContentIndex())
                outcomes.add("copied")
            except DaemonlessError as error:
                outcomes.add(type(error).__name__)
            assert "canary" not in {
                p.read_text() for p in root.rglob("*") if p.is_file() and not p.is_symlink()
            }
            shutil.rmtree(root / "d", ignore_errors=True)
            for left in (root / "d", root / "away"):
                if left.is_symlink() or left.is_file():
                    left.unlink()
        os.close(fd)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert "copied" in outcomes


def test_a_link_in_the_place_of_a_file_is_replaced(base, context, root, copy):
    (context / "dir").mkdir()
    (context / "dir" / "name").write_text("new")
    (root / "name").symlink_to(f"{base}/canary")
    copy("dir", "/")
    assert listing(root) == {"name": "new"}


def test_fifos_are_copied_and_never_waited_for(context, root, copy):
    os.mkfifo(context / "fifo", 0o640)
    (context / "f").write_text("f")
    begun = time.monotonic()
    copied = copy(".", "/app/")
    copy("fifo", "/one")
    assert time.monotonic() - begun < 5
    assert listing(root) == {"app": "/", "app/f": "f", "app/fifo": "fifo", "one": "fifo"}
    assert copied.warnings == ()


def test_sockets_are_left_out(context, root, copy, monkeypatch):
    monkeypatch.chdir(context)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert copy(".", "/app/").warnings == ("sockets were left out (socket)",)
        copy("socket", "/one")
    assert listing(root) == {"app": "/"}


def test_hard_links_stay_together(context, root, copy):
    (context / "a").write_text("a")
    (context / "d").mkdir()
    os.link(context / "a", context / "d" / "b")
    os.link(context / "a", context / "c")
    copy(".", "/x/")
    copy("a", "d", "/y/")
    copy("a", "a", "/z/")
    inodes = {(root / "x" / name).stat().st_ino for name in ("a", "d/b", "c")}
    assert len(inodes) == 1 and (root / "x" / "a").stat().st_nlink == 3
    assert (root / "y" / "a").stat().st_ino == (root / "y" / "b").stat().st_ino
    assert (root / "z" / "a").stat().st_nlink == 1


def test_holes_stay(context, root, copy):
    with open(context / "sparse", "wb") as file:
        file.seek(8 << 20)
        file.write(b"data" * 5000)
        file.truncate(32 << 20)
    copy("sparse", "/")
    assert (root / "sparse").read_bytes() == (context / "sparse").read_bytes()
    assert (root / "sparse").stat().st_blocks * 512 < 1 << 20


def test_a_large_file_is_copied_whole(context, root, copy):
    data = os.urandom(1 << 20) * 3 + b"end"
    (context / "large").write_bytes(data)
    copy("large", "/")
    assert (root / "large").read_bytes() == data


def test_extended_attributes(context, root, copy):
    (context / "d").mkdir()
    (context / "d" / "f").write_text("f")
    for path in (context / "d", context / "d" / "f"):
        os.setxattr(path, "user.mine", b"kept")
        os.setxattr(path, "user.overlay.opaque", b"y")  # would speak to this machine's kernel
    copy(".", "/x/")
    for name in ("d", "d/f"):
        assert os.listxattr(root / "x" / name) == ["user.mine"]
        assert os.getxattr(root / "x" / name, "user.mine") == b"kept"


@pytest.mark.parametrize("after", ["longer than before", "x", "same"])
def test_a_file_that_changes_is_told(context, root, tree, after):
    (context / "f").write_text("file")
    (context / "other").write_text("other")
    what = work(".", "/")
    selection = select(tree(), what)
    (context / "f").write_text(after)
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    copied = copy_into(fd, selection, what, now_ns=NOW, single_id=True)
    os.close(fd)
    assert copied.changed == ("f",)
    assert (root / "f").read_text() == after[:4]


def test_a_deep_tree(context, root, copy):
    here = os.open(context, os.O_RDONLY)
    for _ in range(600):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("f", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)
    copy(".", "/x/")
    assert os.path.exists(f"{root}/x/{'d/' * 600}f")
