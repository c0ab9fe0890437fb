"""Volumes out and in: what arrives, what is refused, and that the volume is left alone then."""

from __future__ import annotations

import io
import os
import stat
import tarfile

import pytest

from daemonless.errors import DaemonlessError, InvalidData, NotFound, Unsupported
from daemonless.isolation.task import mapped
from daemonless.isolation.userns import load_id_map
from daemonless.layers import trash
from daemonless.volumes import content
from daemonless.volumes.store import VolumeStore


@pytest.fixture
def volume(paths):
    """A volume with a file, a directory and a link."""
    id_map = load_id_map(os.getuid(), os.getgid())
    if id_map.is_single:
        pytest.skip("needs subordinate ids")
    with VolumeStore(paths).create("data", durable=False) as volume:
        pass
    os.mkdir(f"{volume.mountpoint}/dir")
    with open(f"{volume.mountpoint}/dir/old", "w") as file:
        file.write("old")
    os.symlink("/etc/passwd", f"{volume.mountpoint}/link")
    yield volume
    fd = os.open(paths.data, os.O_RDONLY)
    with mapped(lambda: trash.empty(fd), id_map) as task:  # much of it belongs to other ids
        task.wait()
    os.close(fd)


def made(*members: tuple[str, bytes, bytes | str, dict[str, object]]) -> bytes:
    """Return an archive of (name, type, data or link, attributes)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, data, attributes in members:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mtime = kind, 1_000_000_000.25
            if isinstance(data, str):
                entry.linkname = data
            else:
                entry.size = len(data)
            for key, value in attributes.items():
                setattr(entry, key, value)
            archive.addfile(entry, io.BytesIO(data) if isinstance(data, bytes) else None)
    return buffer.getvalue()


FILE, DIRECTORY, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def put(paths, volume, *members) -> list[str]:
    return content.import_archive(paths, volume, iter([made(*members)]))


def exported(volume) -> bytes:
    read_end, write_end = os.pipe()
    content.export(volume, write_end)  # all archives here fit a pipe
    os.close(write_end)
    with open(read_end, "rb") as file:
        return file.read()


def entries(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: member for member in archive}


def test_what_comes_out_goes_in_again(paths, volume):
    put(
        paths,
        volume,
        ("./", DIRECTORY, b"", {"mode": 0o2750, "uid": 33, "gid": 34}),
        ("own", FILE, b"x", {"uid": 5, "gid": 6, "mode": 0o4711}),
        ("hard", HARD, "own", {}),
        ("tagged", FILE, b"", {"pax_headers": {"SCHILY.xattr.user.tag": "yes"}}),
    )
    first = exported(volume)
    found = entries(first)
    assert list(found) == [".", "dir", "dir/old", "hard", "link", "own", "tagged"]
    top, own = found["."], found["own"]
    assert (top.mode, top.uid, top.gid, top.mtime) == (0o2750, 33, 34, 1_000_000_000.25)
    assert (own.islnk(), own.linkname) == (True, "hard")
    assert (found["hard"].uid, found["hard"].mode) == (5, 0o4711)
    assert found["tagged"].pax_headers["SCHILY.xattr.user.tag"] == "yes"
    assert found["link"].linkname == "/etc/passwd"
    store = VolumeStore(paths)
    with store.create("copy", durable=False) as copy:
        pass
    content.import_archive(paths, copy, iter([first]))
    assert exported(copy) == first
    assert not copy.needs_copy_up


def test_what_is_there_stays_unless_the_archive_has_it(paths, volume):
    put(
        paths,
        volume,
        ("dir/new", FILE, b"new", {}),  # the directory has no member: it keeps its attributes
        ("link", DIRECTORY, b"", {"mode": 0o700}),
        ("deep/er/file", FILE, b"", {}),
    )
    found = entries(exported(volume))
    assert {"dir/old", "dir/new", "link", "deep/er/file"} <= set(found)
    assert found["link"].isdir() and found["dir"].mode == stat.S_IMODE(
        os.stat(f"{volume.mountpoint}/dir").st_mode
    )
    assert found["deep"].mode == 0o755
    put(paths, volume, ("dir", LINK, "elsewhere", {}))
    assert entries(exported(volume))["dir"].issym()


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([("ok", FILE, b"x", {}), ("../out", FILE, b"x", {})], r'has a ".." in it'),
        ([("ok", FILE, b"x", {}), ("far", FILE, b"", {"uid": 4_000_000_000})], "belongs to 4000000000:0"),
        ([("ok", FILE, b"x", {}), ("hard", HARD, "nothing", {})], "is missing"),
        ([("ok", FILE, b"x", {}), (".", LINK, "/", {})], "can only be a directory"),
        ([("way", LINK, "nowhere", {}), ("way/in", FILE, b"x", {})], "way is not a directory"),
        ([("ok", FILE, b"x", {}), ("x" * 300, FILE, b"", {})], "longer than 255"),
    ],
)
def test_a_bad_archive_changes_nothing(paths, volume, members, said):
    before = exported(volume)
    with pytest.raises(DaemonlessError, match=said):
        put(paths, volume, *members)
    assert exported(volume) == before
    assert volume.needs_copy_up
    assert os.listdir(f"{paths.data}/tmp") == []


def test_a_broken_archive_changes_nothing(paths, volume):
    data = made(*((f"f{number}", FILE, bytes(2000), {}) for number in range(20)))
    before = exported(volume)
    for end in (0, 100, 512, 1024, 5000, len(data) // 2):
        with pytest.raises(InvalidData):
            content.import_archive(paths, volume, iter([data[:end]]))
        assert exported(volume) == before


def test_devices_are_left_out(paths, volume):
    [warning] = put(paths, volume, ("null", tarfile.CHRTYPE, b"", {"devmajor": 1, "devminor": 3}))
    assert "device nodes were left out" in warning
    assert "null" not in entries(exported(volume))


def test_links_of_the_volume_are_not_followed(paths, volume, tmp_path):
    (tmp_path / "host").mkdir()
    os.symlink(tmp_path / "host", f"{volume.mountpoint}/way")
    put(paths, volume, ("way/planted", FILE, b"x", {}), ("link", FILE, b"mine", {}))
    assert os.listdir(tmp_path / "host") == []
    assert entries(exported(volume))["way/planted"].isreg()


def test_volumes_that_are_no_directory_of_ours(paths):
    store = VolumeStore(paths)
    memory = store.create("memory", options={"type": "tmpfs"}, durable=False)
    bound = store.create("bound", options={"type": "none", "o": "bind", "device": "/srv"}, durable=False)
    for volume in (memory, bound):
        volume.release()
        with pytest.raises(Unsupported):
            content.export(volume, 1)
        with pytest.raises(Unsupported):
            content.import_archive(paths, volume, iter([b""]))


def test_a_volume_that_goes_meanwhile(paths, volume):
    def chunks():
        yield made(("f", FILE, b"x", {}))
        with volume:
            VolumeStore(paths).discard(volume)

    with pytest.raises(NotFound, match="no such volume: data"):
        content.import_archive(paths, volume, chunks())
    assert os.listdir(f"{paths.data}/tmp") == []
