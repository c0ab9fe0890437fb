"""Throwing away and deleting: only below trash/, whatever is in it, by a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from daemonless import syscalls
from daemonless.layers import trash


@pytest.fixture
def data(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    return data


def fill(path):
    """A tree with everything that deleting could stumble over."""
    path.mkdir()
    (path / "file").write_bytes(b"x")
    (path / "dir").mkdir()
    (path / "dir" / "file").touch()
    (path / "dir" / "empty").mkdir()
    (path / "link").symlink_to("/etc/passwd")
    (path / "up").symlink_to("../../..")
    (path / "loop").symlink_to("loop")
    os.mkfifo(path / "fifo")
    os.mknod(path / "whiteout", 0o20000)
    (path / os.fsdecode(b"\xff\n")).touch()


def empty(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        trash.empty(fd)
    finally:
        os.close(fd)


def test_discard_makes_the_directory_and_moves(data):
    fill(data / "victim")
    (data / "file").touch()
    trash.discard(str(data), f"{data}/victim")
    trash.discard(str(data), f"{data}/file")
    assert {path.name for path in data.iterdir()} == {"trash"}
    assert len(list((data / "trash").iterdir())) == 2
    assert (data / "trash").stat().st_mode & 0o777 == 0o700


def test_discard_says_that_there_is_nothing(data):
    with pytest.raises(FileNotFoundError):
        trash.discard(str(data), f"{data}/missing")


def test_empty_deletes_everything_and_follows_nothing(data):
    outside = data / "outside"
    fill(outside)
    before = sorted(outside.rglob("*"))
    fill(data / "victim")
    (data / "victim" / "out").symlink_to(outside)
    trash.discard(str(data), f"{data}/victim")
    (data / "trash" / "out").symlink_to(outside)
    empty(data / "trash")
    assert list((data / "trash").iterdir()) == []
    assert sorted(outside.rglob("*")) == before


def test_empty_copes_with_trees_deeper_than_any_recursion(data):
    (data / "trash").mkdir()
    fd = os.open(data / "trash", os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d", dir_fd=fd)
        deeper = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    os.close(fd)
    empty(data / "trash")
    assert list((data / "trash").iterdir()) == []


def test_empty_leaves_what_it_may_not_delete(data, monkeypatch):
    """The refusal is made up: root may delete everything."""
    (data / "trash").mkdir()
    for name in ("a", "b"):
        (data / "trash" / name).touch()
    unlink = os.unlink

    def refuse(name, **options):
        if name == "a":
            raise PermissionError(1, "Operation not permitted")
        unlink(name, **options)

    monkeypatch.setattr(os, "unlink", refuse)
    empty(data / "trash")
    assert [path.name for path in (data / "trash").iterdir()] == ["a"]


def test_empty_does_not_enter_another_file_system(data, as_mapped_root):
    """What somebody has mounted below trash/ is theirs."""

    def run(_id_map):
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.mount(None, b"/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
        mountpoint = data / "trash" / "mountpoint"
        mountpoint.mkdir(parents=True)
        syscalls.mount(b"tmpfs", bytes(mountpoint), b"tmpfs", 0)
        (mountpoint / "theirs").touch()
        (data / "trash" / "ours").touch()
        empty(data / "trash")
        return 0 if os.listdir(data / "trash") == ["mountpoint"] and (mountpoint / "theirs").exists() else 1

    assert as_mapped_root(run) == 0


def wait_until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


BACKGROUND = """
import os, sys
from daemonless import syscalls
from daemonless.layers import trash
held = os.open("/dev/null", os.O_RDONLY)
trash.discard(sys.argv[1], sys.argv[1] + "/victim")
trash.empty_in_background(sys.argv[1])
"""


def test_background_empties_and_holds_nothing_of_the_caller(data):
    """The caller's output ends with the caller, though the trash is still being emptied."""
    victim = data / "victim"
    victim.mkdir()
    for number in range(500):
        (victim / f"{number}").touch()
    done = subprocess.run(
        [sys.executable, "-c", BACKGROUND, data],
        capture_output=True,
        timeout=20,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    wait_until(lambda: not list((data / "trash").iterdir()))


def test_background_has_nothing_to_do_without_trash(data, monkeypatch):
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("forked for nothing"))
    trash.empty_in_background(str(data))
    (data / "trash").mkdir()
    trash.empty_in_background(str(data))


def test_a_caller_in_the_background_leaves_no_child(data):
    fill(data / "victim")
    trash.discard(str(data), f"{data}/victim")
    trash.empty_in_background(str(data))
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    wait_until(lambda: not list((data / "trash").iterdir()))


def test_directories_without_permissions_are_deleted_by_their_owner(data):
    """What overlayfs leaves in a work directory: nobody but their owner can open them, after a chmod."""
    (data / "victim" / "incompat" / "volatile").mkdir(parents=True)
    (data / "victim" / "work").mkdir()
    (data / "victim" / "work").chmod(0)
    (data / "victim" / "incompat").chmod(0)
    trash.discard(str(data), f"{data}/victim")
    empty(data / "trash")
    assert list((data / "trash").iterdir()) == []
