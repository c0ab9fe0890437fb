"""A writable layer becomes an archive, and the archive a layer again."""

from __future__ import annotations

import os

import pytest
from unpacking import apply

from daemonless.layers import whiteout
from daemonless.layers.layer_archive import LayerWriter
from daemonless.layers.tar import TarReader


def hide(path) -> None:
    fd = os.open(path.parent, os.O_PATH)
    whiteout.make_whiteout(fd, path.name.encode())
    os.close(fd)


def make_opaque(path) -> None:
    fd = os.open(path, os.O_RDONLY)
    whiteout.make_opaque(fd)
    os.close(fd)


@pytest.fixture
def top(tmp_path):
    top = tmp_path / "top"
    below = tmp_path / "below"
    for directory in ("etc", "var/lib"):
        (below / directory).mkdir(parents=True)
    (below / "etc" / "passwd").touch()
    (below / "file").touch()
    (top / "etc").mkdir(parents=True)
    hide(top / "etc" / "passwd")
    hide(top / "etc" / "never-was")
    (top / "var").mkdir()
    make_opaque(top / "var")
    (top / "var" / "new").write_text("new")
    (top / "fresh").mkdir()
    make_opaque(top / "fresh")  # as the kernel marks all that is new
    (top / "mount").mkdir()
    (top / ".wh.odd").touch()
    return top


def written(top) -> tuple[bytes, tuple[str, ...]]:
    parts: list[bytes] = []
    fds = [os.open(path, os.O_PATH) for path in (top, top.parent / "below")]
    writer = LayerWriter(parts.append, *fds, frozenset((b"mount",)))
    writer.write()
    for fd in fds:
        os.close(fd)
    return b"".join(parts), writer.omitted.lines()


def test_whiteouts_and_opaque_directories(top):
    data, told = written(top)
    names = [entry.name for entry in TarReader(iter([data]))]
    if names[0] == b"./":  # the owner of a layer's root is root, or there is an entry
        del names[0]
    assert names == [b"etc/", b"etc/.wh.passwd", b"fresh/", b"var/", b"var/.wh..wh..opq", b"var/new"]
    assert told == ("files were left out whose names mean deletion in a layer (.wh.odd)",)


def test_nothing_of_overlayfs_is_in_the_archive(top):
    assert b"overlay" not in written(top)[0]


def test_unpacking_gives_the_layer_again(top, base):
    top.chmod(0o1777)
    data, _ = written(top)
    apply(base, data=data)
    root = base / "root"
    assert whiteout.is_whiteout((root / "etc" / "passwd").lstat())
    assert os.getxattr(root / "var", "user.overlay.opaque") == b"y"
    assert (root / "var" / "new").read_text() == "new"
    assert root.stat().st_mode & 0o7777 == 0o1777
    assert (root / "etc").stat().st_mtime_ns == (top / "etc").stat().st_mtime_ns
