from __future__ import annotations

import os
import subprocess

import pytest

from daemonless.errors import DaemonlessError
from daemonless.layers.walk import OPEN_DIRECTORY, walk


def seen(directory, meanwhile=lambda path: None) -> list[bytes]:
    found = []

    def visit(dir_fd, name, path):
        found.append(path)
        meanwhile(path)
        try:
            return os.open(name, OPEN_DIRECTORY, dir_fd=dir_fd)
        except NotADirectoryError:
            return -1

    before = os.listdir("/proc/self/fd")
    try:
        walk(os.open(directory, OPEN_DIRECTORY), visit)
    finally:
        assert os.listdir("/proc/self/fd") == before
    return found


def deepen(directory, depth: int) -> None:
    fd = os.open(directory, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=fd)
        os.close(os.open("e", os.O_CREAT, dir_fd=fd))
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)


def test_in_order_and_links_are_not_followed(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x").touch()
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "c").touch()
    assert seen(tmp_path) == [b"a", b"b", b"b/x", b"c"]


def test_any_depth(tmp_path):
    deepen(tmp_path, 1000)
    found = seen(tmp_path)
    assert len(found) == 2000
    assert found[-1] == b"e" and found[999] == b"/".join([b"d"] * 1000)
    subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)


def test_a_directory_that_moves_is_not_followed(tmp_path):
    """Its parent is then another: nothing outside of the tree may be read."""
    tree = tmp_path / "tree"
    tree.mkdir()
    deepen(tree, 200)

    def move(path: bytes) -> None:
        if path.count(b"/") == 199 and not (tmp_path / "outside").exists():
            os.rename(tree / "d" / "d", tmp_path / "outside")

    with pytest.raises(DaemonlessError, match="was moved while it was being read"):
        seen(tree, move)
