"""The archive writer against four readers: our own, tarfile, GNU tar and bsdtar."""

from __future__ import annotations

import io
import os
import socket
import stat
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unpacking import SINGLE

from daemonless.errors import DaemonlessError
from daemonless.layers.archive import ArchiveWriter
from daemonless.layers.tar import TarReader
from daemonless.layers.tar_header import FIFO, REGULAR, Entry, format_headers
from daemonless.layers.unpack import unpack


def written(directory, **options) -> tuple[bytes, tuple[str, ...]]:
    """Archive the content of a directory; return the bytes and what was told about them."""
    parts: list[bytes] = []
    writer = ArchiveWriter(parts.append, **options)
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    before = os.listdir("/proc/self/fd")
    writer.add_content(fd)
    writer.finish()
    assert os.listdir("/proc/self/fd") == before
    os.close(fd)
    return b"".join(parts), writer.omitted.lines()


def members(data: bytes) -> dict[bytes, tuple[Entry, bytes]]:
    reader = TarReader(iter([data]))
    return {entry.name: (entry, b"".join(reader.data())) for entry in reader}


@pytest.fixture
def tree(tmp_path):
    """One of everything that a container's tree can hold without privileges."""
    tree = tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (tree / "empty").touch(mode=0o600)
    (tree / "setuid").touch()
    (tree / "setuid").chmod(0o4755)
    (tree / "sticky").mkdir()
    (tree / "sticky").chmod(0o1777)
    (tree / "unreadable").mkdir()
    (tree / "link").symlink_to("etc/passwd")
    (tree / "dangling").symlink_to("/no/" + "x" * 200)
    (tree / ("long" * 30)).mkdir()
    (tree / ("long" * 30) / ("name" * 30)).write_text("long")
    (tree / "grüße").write_text("utf-8")
    os.link(tree / "etc" / "passwd", tree / "zz-passwd")
    os.mkfifo(tree / "fifo", 0o644)
    os.setxattr(tree / "empty", "user.colour", b"blue\0\n=")
    os.setxattr(tree / "etc", "user.kind", b"directory")
    os.utime(tree / "empty", ns=(0, 1_234_567_890_123_456_789))
    os.utime(tree / "setuid", ns=(0, -1_500_000_000))
    os.utime(tree / "link", ns=(0, 7), follow_symlinks=False)
    with open(tree / "sparse", "wb") as sparse:
        sparse.truncate(5 << 20)
        sparse.seek(3 << 20)
        sparse.write(b"data")
    return tree


def test_members_are_sorted_and_the_bytes_depend_on_the_tree_alone(tree, tmp_path):
    data, told = written(tree)
    names = list(members(data))
    assert names[:4] == [b"dangling", b"empty", b"etc/", b"etc/passwd"]
    assert not told
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-a", tree, copy], check=True)
    assert written(copy)[0] == data


def test_our_reader_finds_everything(tree):
    found = members(written(tree)[0])
    assert found[b"etc/passwd"][1] == b"root:x:0:0::/:/bin/sh\n"
    link = found[b"zz-passwd"][0]
    assert (link.kind, link.link) == (ord("1"), b"etc/passwd")
    assert found[b"dangling"][0].link == b"/no/" + b"x" * 200
    assert found[b"empty"][0].xattrs == {b"user.colour": b"blue\0\n="}
    assert found[b"etc/"][0].xattrs == {b"user.kind": b"directory"}
    assert found[b"empty"][0].mtime_ns == 1_234_567_890_123_456_789
    assert found[b"setuid"][0].mtime_ns == -1_500_000_000
    assert found[b"link"][0].mtime_ns == 7
    assert found[b"setuid"][0].mode == 0o4755
    assert found[b"sticky/"][0].mode == 0o1777
    assert found[b"fifo"][0].kind == FIFO
    assert found[b"sparse"][1] == bytes(3 << 20) + b"data" + bytes((2 << 20) - 4)
    assert found["grüße".encode()][1] == b"utf-8"
    assert (found[b"empty"][0].uid, found[b"empty"][0].gid) == (os.geteuid(), os.getegid())


def test_what_is_unpacked_is_what_was_archived(tree, tmp_path):
    for name in ("root", "attic"):
        (tmp_path / name).mkdir()
    fds = [os.open(tmp_path / name, os.O_RDONLY) for name in ("root", "attic")]
    unpack(iter([written(tree)[0]]), *fds, SINGLE, budget=1 << 40, threaded=False)
    for fd in fds:
        os.close(fd)
    root = tmp_path / "root"
    for path in sorted(tree.rglob("*")):
        copy = root / path.relative_to(tree)
        ours, theirs = path.lstat(), copy.lstat()
        for field in ("st_mode", "st_size", "st_mtime_ns", "st_nlink"):
            assert stat.S_ISDIR(ours.st_mode) or getattr(ours, field) == getattr(theirs, field), (path, field)
        if stat.S_ISREG(ours.st_mode):
            assert path.read_bytes() == copy.read_bytes()
            assert os.listxattr(path) == os.listxattr(copy)


@pytest.mark.parametrize("program", ["tar", "bsdtar"])
def test_other_readers_agree(tree, tmp_path, program):
    data, _ = written(tree)
    listed = subprocess.run([program, "-tf", "-"], input=data, capture_output=True, check=True)
    assert not listed.stderr
    inside = sorted(
        str(path.relative_to(tree)) + "/" * (path.is_dir() and not path.is_symlink())
        for path in tree.rglob("*")
    )
    quoting = ["--quoting-style=literal"] if program == "tar" else []
    listed = subprocess.run(
        [program, *quoting, "-tf", "-"],
        input=data,
        capture_output=True,
        check=True,
        env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
    )
    assert sorted(listed.stdout.decode().splitlines()) == inside
    out = tmp_path / program
    out.mkdir()
    attributes = ["--xattrs"]
    subprocess.run([program, *attributes, "-C", out, "-xpf", "-"], input=data, check=True)
    assert (out / "sparse").read_bytes() == (tree / "sparse").read_bytes()
    assert (out / "zz-passwd").stat().st_ino == (out / "etc" / "passwd").stat().st_ino
    assert (out / "empty").stat().st_mtime_ns == 1_234_567_890_123_456_789
    assert os.getxattr(out / "empty", "user.colour") == b"blue\0\n="


def test_python_agrees(tree):
    with tarfile.open(fileobj=io.BytesIO(written(tree)[0])) as archive:
        for member in archive:
            status = (tree / member.name).lstat()
            assert member.mode == stat.S_IMODE(status.st_mode)
            assert member.mtime == pytest.approx(status.st_mtime)
        file = archive.extractfile("long" * 30 + "/" + "name" * 30)
        assert file is not None and file.read() == b"long"


def test_one_entry_under_another_name(tree):
    parts: list[bytes] = []
    writer = ArchiveWriter(parts.append)
    fd = os.open(tree, os.O_RDONLY)
    writer.add(fd, b"etc", b"renamed")
    writer.add(fd, b"link", b"pointer")
    writer.add(fd, b"zz-passwd", b"again")
    with pytest.raises(FileNotFoundError):
        writer.add(fd, b"nothing", b"nothing")
    writer.finish()
    os.close(fd)
    found = members(b"".join(parts))
    assert list(found) == [b"renamed/", b"renamed/passwd", b"pointer", b"again"]
    assert found[b"again"][0].link == b"renamed/passwd"


def test_names_that_are_no_utf8(tmp_path):
    name = b"caf\xe9"
    os.close(os.open(os.fsencode(tmp_path) + b"/" + name, os.O_CREAT))
    os.close(os.open(os.fsencode(tmp_path) + b"/" + name * 30, os.O_CREAT))
    data, _ = written(tmp_path)
    assert list(members(data)) == [name, name * 30]
    for program in ("tar", "bsdtar"):
        out = tmp_path / program
        out.mkdir()
        subprocess.run([program, "-C", out, "-xf", "-"], input=data, check=True, capture_output=True)
        assert sorted(os.listdir(os.fsencode(out))) == [name, name * 30]


# --- what must not happen -------------------------------------------------------------------


def test_sockets_are_left_out_and_told(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{os.open(tmp_path, os.O_PATH)}/socket")
    data, told = written(tmp_path)
    assert not members(data)
    assert told == ("sockets were left out (socket)",)


class Meddler:
    """A sink that does something to the tree when the first bytes arrive."""

    def __init__(self, action) -> None:
        self.parts: list[bytes] = []
        self._action = action

    def __call__(self, data: bytes) -> None:
        if not self.parts:
            self._action()
        self.parts.append(data)


def meddled(directory, action) -> tuple[dict[bytes, tuple[Entry, bytes]], tuple[str, ...]]:
    """Archive a directory while `action` happens in it: when the first file is being read."""
    sink = Meddler(action)
    writer = ArchiveWriter(sink)
    fd = os.open(directory, os.O_RDONLY)
    writer.add_content(fd)
    writer.finish()
    os.close(fd)
    return members(b"".join(sink.parts)), writer.omitted.lines()


LARGE = 1 << 20  # more than the writer collects before it calls the sink


def test_a_file_that_shrinks_is_filled_up(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * LARGE)
    (tmp_path / "b").write_bytes(b"after")
    found, told = meddled(tmp_path, lambda: os.truncate(tmp_path / "a", 10))
    content = found[b"a"][1]
    assert len(content) == LARGE and content[0] == ord("x") and content[-1] == 0
    assert not content.strip(b"x").strip(b"\0")
    assert found[b"b"][1] == b"after"
    assert "shrank" in told[0]


def test_a_file_that_grows_is_cut(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * LARGE)
    (tmp_path / "b").write_bytes(b"after")
    found, told = meddled(tmp_path, lambda: os.truncate(tmp_path / "a", 2 * LARGE))
    assert found[b"a"][1] == b"x" * LARGE
    assert found[b"b"][1] == b"after"
    assert "grew" in told[0]


def test_a_file_that_vanishes_is_left_out(tmp_path):
    (tmp_path / "a").write_bytes(bytes(range(256)) * (LARGE >> 8))
    for name in "bc":
        (tmp_path / name).write_bytes(name.encode())
    found, told = meddled(tmp_path, lambda: os.unlink(tmp_path / "b"))
    assert list(found) == [b"a", b"c"]
    assert "vanished" in told[0]


def test_a_file_that_becomes_a_link_or_a_fifo_is_never_followed(tmp_path, monkeypatch):
    """Between lstat and open: the one moment in which a swap could matter."""
    (tmp_path / "secret").write_bytes(b"secret")
    tree = tmp_path / "tree"
    tree.mkdir()
    names = ("a-link", "b-fifo", "c-directory")
    for name in names[:2]:
        (tree / name).write_bytes(b"plain")
    (tree / names[2]).mkdir()
    real = os.lstat

    def lstat(path, *, dir_fd=None):
        status = real(path, dir_fd=dir_fd)
        name = os.fsdecode(path)
        if name in names:
            (tree / name).rmdir() if name == names[2] else (tree / name).unlink()
            if name == names[1]:
                os.mkfifo(tree / name)
            else:
                (tree / name).symlink_to(tmp_path if name == names[2] else tmp_path / "secret")
        return status

    monkeypatch.setattr(os, "lstat", lstat)
    data, told = written(tree)
    monkeypatch.undo()
    assert not members(data)
    assert b"secret" not in data
    assert told == (f"files were replaced while being read, and left out ({names[0]} and 2 more)",)


def test_trees_of_any_depth(tmp_path):
    depth = 700  # more than the descriptors a process usually may have
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=fd)
        os.close(os.open("after", os.O_CREAT, dir_fd=fd))
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    data, told = written(tmp_path)
    assert not told
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = archive.getnames()
    assert len(names) == 2 * depth
    assert max(name.count("/") for name in names) == depth - 1
    subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)


def test_a_file_that_may_not_be_read_is_an_error(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (tmp_path / "secret").touch(mode=0)
    with pytest.raises(DaemonlessError, match="cannot read secret: Permission denied"):
        written(tmp_path)


# --- any tree ---------------------------------------------------------------------------------

components = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="/\0\n\\"), min_size=1, max_size=40
).filter(lambda name: name not in (".", "..") and len(name.encode()) < 200)
contents = st.one_of(
    st.binary(max_size=2000),
    st.tuples(st.just("link"), components),
    st.tuples(st.just("hard"), st.integers(0, 100)),
    st.just("fifo"),
)
trees = st.recursive(contents, lambda inner: st.dictionaries(components, inner, max_size=5), max_leaves=12)


def plant(path, content, files) -> None:
    """Make a file, link, FIFO or directory of what hypothesis drew."""
    if isinstance(content, dict):
        path.mkdir()
        for name, inner in content.items():
            plant(path / name, inner, files)
    elif isinstance(content, bytes):
        path.write_bytes(content)
        files.append(path)
    elif content == "fifo":
        os.mkfifo(path)
    elif content[0] == "link":
        path.symlink_to(content[1])
    elif files:
        os.link(files[content[1] % len(files)], path)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(components, trees, max_size=5))
def test_any_tree_is_read_back_by_all(content):
    with tempfile.TemporaryDirectory() as directory:
        tree = Path(directory) / "tree"
        plant(tree, content, [])
        paths = {str(path.relative_to(tree)): path for path in tree.rglob("*")}
        data, told = written(tree)
        assert not told
        ours = {os.fsdecode(name).rstrip("/"): entry for name, (entry, _) in members(data).items()}
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            theirs = {entry.name: entry for entry in archive}
        assert set(ours) == set(theirs) == set(paths)
        for name, path in paths.items():
            status = path.lstat()
            assert ours[name].mtime_ns == status.st_mtime_ns
            assert ours[name].mode == theirs[name].mode == stat.S_IMODE(status.st_mode)
            if path.is_symlink():
                assert os.fsdecode(ours[name].link) == theirs[name].linkname == os.readlink(path)
        if paths:
            for program in (["tar", "--quoting-style=literal"], ["bsdtar"]):
                listed = subprocess.run(
                    [*program, "-tf", "-"],
                    input=data,
                    capture_output=True,
                    check=True,
                    env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
                )
                assert listed.stdout.count(b"\n") == len(paths)


# --- headers --------------------------------------------------------------------------------

names = st.binary(min_size=1, max_size=300).filter(lambda name: b"\0" not in name and not name.endswith(b"/"))
keys = st.binary(min_size=1, max_size=20).filter(lambda key: b"\0" not in key and b"=" not in key)


@st.composite
def entries(draw) -> Entry:
    entry = Entry()
    entry.name = draw(names)
    entry.kind = draw(st.sampled_from(b"012356"))
    entry.mode = draw(st.integers(0, 0o7777))
    entry.uid, entry.gid = draw(st.integers(0, 2**32 - 2)), draw(st.integers(0, 2**32 - 2))
    entry.size = draw(st.integers(0, 2**50)) if entry.kind == REGULAR else 0
    entry.mtime_ns = draw(st.integers(-(2**62), 2**70))
    entry.link = draw(names) if entry.kind in b"12" else b""
    entry.major = entry.minor = 0
    entry.xattrs = draw(st.dictionaries(keys, st.binary(max_size=100), max_size=3))
    return entry


@given(entries())
def test_headers_are_read_back_as_they_were_written(entry):
    found = next(iter(TarReader(iter([format_headers(entry)]))))
    for field in Entry.__slots__:
        assert getattr(found, field) == getattr(entry, field), field
