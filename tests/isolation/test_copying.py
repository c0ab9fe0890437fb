"""Copies of trees: what is kept, and what is never followed."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from daemonless.isolation.copying import copy_content


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "source"
    directory.mkdir()
    return directory


@pytest.fixture
def target(tmp_path: Path) -> Path:
    directory = tmp_path / "target"
    directory.mkdir()
    return directory


def copy(source: Path, target: Path) -> None:
    fds = [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in (source, target)]
    try:
        copy_content(*fds)
    finally:
        for fd in fds:
            os.close(fd)


def test_content_modes_and_times(source: Path, target: Path) -> None:
    (source / "sub").mkdir()
    (source / "sub" / "file").write_bytes(b"content")
    (source / "sub" / "file").chmod(0o4751)
    (source / "empty").touch()
    os.mkfifo(source / "fifo", 0o640)
    (source / "sub").chmod(0o2700)
    for path in (source / "sub" / "file", source / "sub", source / "fifo"):
        os.utime(path, ns=(1_500_000_000_123_456_789, 1_000_000_000_123_456_789))
    copy(source, target)
    for name in ("sub", "sub/file", "empty", "fifo"):
        statuses = [(directory / name).lstat() for directory in (source, target)]
        assert len({(status.st_mode, status.st_size, status.st_mtime_ns) for status in statuses}) == 1, name
    assert (target / "sub" / "file").read_bytes() == b"content"


def test_links_are_copied_and_never_followed(source: Path, target: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "file").write_text("secret")
    (source / "absolute").symlink_to(secret)
    (source / "upward").symlink_to("../secret/file")
    (source / "dangling").symlink_to("nowhere")
    copy(source, target)
    for name in ("absolute", "upward", "dangling"):
        assert os.readlink(target / name) == os.readlink(source / name)


def test_hard_links_stay_hard_links(source: Path, target: Path) -> None:
    (source / "b").mkdir()
    (source / "b" / "file").write_text("x")
    (source / "a").hardlink_to(source / "b" / "file")
    (source / "c").hardlink_to(source / "a")
    copy(source, target)
    assert len({(target / name).stat().st_ino for name in ("a", "b/file", "c")}) == 1
    assert (target / "a").stat().st_nlink == 3
    assert (target / "a").stat().st_ino != (source / "a").stat().st_ino


def test_extended_attributes(source: Path, target: Path) -> None:
    (source / "file").touch()
    try:
        os.setxattr(source / "file", "user.tag", b"\0value")
    except OSError:
        pytest.skip("this filesystem keeps no attributes")
    copy(source, target)
    assert os.getxattr(target / "file", "user.tag") == b"\0value"


def test_holes_stay_holes(source: Path, target: Path) -> None:
    with open(source / "file", "wb") as file:
        for offset in (1 << 20, 30 << 20):
            file.seek(offset)
            file.write(b"data")
        file.truncate(64 << 20)
    copy(source, target)
    copied = (target / "file").stat()
    assert copied.st_size == 64 << 20
    assert copied.st_blocks * 512 < 1 << 20
    with open(source / "file", "rb") as old, open(target / "file", "rb") as new:
        while chunk := old.read(1 << 20):
            assert new.read(1 << 20) == chunk


def test_a_deep_tree_is_no_recursion(source: Path, target: Path) -> None:
    limit = sys.getrecursionlimit()
    here = source
    for _ in range(150):
        here = here / "d"
    here.mkdir(parents=True)
    (here / "file").write_text("deep")
    sys.setrecursionlimit(120)
    try:
        copy(source, target)
    finally:
        sys.setrecursionlimit(limit)
    assert (target / here.relative_to(source) / "file").read_text() == "deep"


def test_sockets_are_left_out(source: Path, target: Path) -> None:
    here = os.getcwd()
    os.chdir(source)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("socket")
            copy(source, target)
    finally:
        os.chdir(here)
    assert os.listdir(target) == []


def test_what_is_there_is_never_overwritten(source: Path, target: Path) -> None:
    (source / "file").write_text("new")
    (target / "file").symlink_to("/dev/null")
    with pytest.raises(FileExistsError):
        copy(source, target)
