"""Changes of a layer, made by hand as overlayfs makes them."""

from __future__ import annotations

import os
import shutil

import pytest

from daemonless.isolation.task import mapped
from daemonless.isolation.userns import load_id_map
from daemonless.layers import whiteout
from daemonless.layers.changes import find_changes, left_by_mounts


@pytest.fixture
def below(tmp_path):
    below = tmp_path / "below"
    for directory in ("etc", "bin", "var/lib", "tmp"):
        (below / directory).mkdir(parents=True)
    for file in ("etc/passwd", "bin/sh", "bin/ls", "var/lib/x", "var/log", "file"):
        (below / file).write_text(file)
    return below


@pytest.fixture
def top(tmp_path, below):
    """A writable layer in which nothing has changed."""
    return make(tmp_path / "top")


def make(path):
    path.mkdir()
    return path


def copied_up(below, top, name):
    """Bring a directory up, as overlayfs does before it changes something inside."""
    (top / name).mkdir(parents=True)
    shutil.copystat(below / name, top / name)
    return top / name


def found(top, below, debris=frozenset()) -> list[str]:
    fds = [os.open(top, os.O_PATH), os.open(below, os.O_PATH) if below else -1]
    result = find_changes(*fds, debris)
    for fd in fds:
        if fd >= 0:
            os.close(fd)
    return [f"{kind} {path}" for kind, path in result]


def hide(path) -> None:
    fd = os.open(path.parent, os.O_PATH)
    whiteout.make_whiteout(fd, path.name.encode())
    os.close(fd)


def make_opaque(path) -> None:
    fd = os.open(path, os.O_RDONLY)
    whiteout.make_opaque(fd)
    os.close(fd)


def test_nothing(top, below):
    copied_up(below, top, "etc")
    assert found(top, below) == []


def test_added_changed_deleted_and_their_parents(top, below):
    (top / "new" / "deep").mkdir(parents=True)
    (top / "new" / "deep" / "file").touch()
    copied_up(below, top, "etc")
    (top / "etc" / "passwd").write_text("etc/passwd")  # a file that was copied up counts
    copied_up(below, top, "bin")
    hide(top / "bin" / "sh")
    (top / "tmp").mkdir(mode=0o700)
    assert found(top, below) == [
        *("C /bin", "D /bin/sh", "C /etc", "C /etc/passwd", "A /new", "A /new/deep", "A /new/deep/file"),
        "C /tmp",
    ]


def test_a_parent_stands_before_names_that_sort_before_a_slash(top, below):
    (top / "a").mkdir()
    (top / "a" / "x").touch()
    (top / "a-b").touch()
    (top / "a.c").touch()
    assert found(top, below) == ["A /a", "A /a/x", "A /a-b", "A /a.c"]


def test_an_opaque_directory_hides_what_it_does_not_replace(top, below):
    copied_up(below, top, "var")
    make_opaque(top / "var")
    (top / "var" / "log").write_text("new")
    (top / "var" / "new").touch()
    assert found(top, below) == ["C /var", "D /var/lib", "C /var/log", "A /var/new"]


def test_a_file_for_a_directory_and_the_other_way_round(top, below):
    (top / "var").touch()
    (top / "file").mkdir()
    (top / "file" / "inner").touch()
    assert found(top, below) == ["C /file", "A /file/inner", "C /var", "D /var/lib", "D /var/log"]


def test_links_of_the_layers_below_are_not_followed(top, below, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").touch()
    (below / "link").symlink_to(tmp_path / "outside")
    (top / "link").mkdir()
    (top / "link" / "x").touch()
    assert found(top, below) == ["C /link", "A /link/x"]


def test_whiteouts_of_nothing_are_no_changes(top, below):
    hide(top / "ghost")
    assert found(top, below) == []


def test_the_first_layer_is_all_new(below):
    assert found(below, None)[:3] == ["A /bin", "A /bin/ls", "A /bin/sh"]


def test_what_mounts_need_is_no_change(top, below):
    copied_up(below, top, "etc")
    copied_up(below, top, "var")
    for file in ("etc/hosts", "etc/hostname", "run/.containerenv"):
        (top / file).parent.mkdir(exist_ok=True)
        (top / file).touch(mode=0o644)
    (top / "proc").mkdir()
    (top / "etc" / "hostname").write_text("changed by hand")
    (top / "var" / "mine").mkdir()
    make_opaque(top / "var" / "mine")  # as the kernel marks all that is new

    def work():
        fds = [os.open(path, os.O_PATH) for path in (top, below)]
        points = ["/etc/hosts", "/etc/hostname", "/proc", "/run/.containerenv", "/var/mine/deep", "/tmp"]
        debris = left_by_mounts(*fds, points)
        return [sorted(map(os.fsdecode, debris)), find_changes(*fds, debris)]

    with mapped(work, load_id_map(os.geteuid(), os.getegid())) as task:  # files are to be root's
        debris, changes = task.wait()
    assert debris == ["etc/hosts", "proc", "run", "run/.containerenv", "var", "var/mine"]
    assert changes == [["C", "/etc"], ["A", "/etc/hostname"]]
