"""Filling a new volume from a root filesystem, and giving files away."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daemonless.isolation import volumes
from daemonless.isolation.volumes import Owed, Source


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root filesystem with something to copy at /srv."""
    (tmp_path / "root" / "srv" / "sub").mkdir(parents=True)
    (tmp_path / "root" / "srv" / "file").write_text("of the image")
    (tmp_path / "root" / "srv").chmod(0o1750)
    (tmp_path / "root" / "link").symlink_to("srv")
    (tmp_path / "root" / "out").symlink_to("/../../../etc")
    return tmp_path / "root"


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A new volume, prepared for a start that shall fill it."""
    (tmp_path / "volume" / "_data").mkdir(parents=True)
    (tmp_path / "volume" / "_new").mkdir(mode=0o700)
    return tmp_path / "volume"


def fill(root: Path, volume: Path, destination: str = "/srv", **options: bool) -> bool:
    root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    data = os.open(volume / "_data", os.O_RDONLY | os.O_DIRECTORY)
    source = Source(volume=str(volume), fill=True, **options)  # type: ignore[arg-type]
    try:
        return volumes._fill(root_fd, os.fsencode(destination), source, data)
    finally:
        os.close(root_fd)
        os.close(data)


@pytest.mark.parametrize("destination", ["/srv", "/link", "/../srv"])
def test_a_new_volume_is_filled(root: Path, volume: Path, destination: str) -> None:
    assert not fill(root, volume, destination)
    assert sorted(os.listdir(volume / "_data")) == ["file", "sub"]
    assert (volume / "_data").stat().st_mode & 0o7777 == 0o1750
    assert os.listdir(volume) == ["_data"]


@pytest.mark.parametrize("destination", ["/out", "/missing", "/srv/file", "/missing/deep"])
def test_what_the_image_lacks_is_left_to_the_user(root: Path, volume: Path, destination: str) -> None:
    assert fill(root, volume, destination)
    assert os.listdir(volume / "_data") == []
    assert os.listdir(volume) == ["_data"]


def test_a_volume_with_content_is_left_alone(root: Path, volume: Path) -> None:
    (volume / "_data" / "mine").write_text("mine")
    (volume / "_data").chmod(0o711)
    assert not fill(root, volume)
    assert os.listdir(volume / "_data") == ["mine"]
    assert (volume / "_data").stat().st_mode & 0o7777 == 0o711
    assert os.listdir(volume) == ["_data"]


def test_without_preparation_nothing_is_filled(root: Path, volume: Path) -> None:
    """A restart by the supervisor holds no lock, and comes with the same orders as the first start."""
    (volume / "_new").rmdir()
    assert not fill(root, volume)
    assert os.listdir(volume / "_data") == []


def test_nocopy_takes_over_the_owner_and_the_mode(root: Path, volume: Path) -> None:
    assert not fill(root, volume, copy=False)
    assert os.listdir(volume / "_data") == []
    assert (volume / "_data").stat().st_mode & 0o7777 == 0o1750


def test_a_complete_copy_is_moved_on(root: Path, volume: Path) -> None:
    """What a start that was killed in the middle of moving has left."""
    (volume / "_full").mkdir()
    (volume / "_full" / "second").write_text("of the image")
    (volume / "_full" / "taken").write_text("of the image")
    (volume / "_data" / "first").write_text("of the image")
    (volume / "_data" / "taken").write_text("of another container")
    assert not fill(root, volume)
    assert sorted(os.listdir(volume / "_data")) == ["first", "second", "taken"]
    assert (volume / "_data" / "taken").read_text() == "of another container"
    assert os.listdir(volume / "_full") == ["taken"]


def test_giving_away_never_follows_links(tmp_path: Path) -> None:
    """With the ids the files have already; the ids of others need a namespace (integration)."""
    given: list[tuple[str, bool]] = []
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").touch()
    (tmp_path / "link").symlink_to("/etc")
    chown = os.chown

    def note(name: str, uid: int, gid: int, *, dir_fd: int | None, follow_symlinks: bool) -> None:
        given.append((os.path.basename(str(name)), follow_symlinks))

    os.chown = note  # type: ignore[assignment]
    try:
        Owed(fd=os.open(tmp_path, os.O_PATH), recursive=True).give(54321, 54321)
    finally:
        os.chown = chown
    top, *rest = given
    assert top[1] and sorted(rest) == [("file", False), ("link", False), ("sub", False)]
