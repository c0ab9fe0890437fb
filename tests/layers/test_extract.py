"""Extracting into a directory that is in use; the canary of `base` lies beside it."""

from __future__ import annotations

import os

import pytest
from layer_archives import archive, chunks, directory, hardlink, member, symlink

from daemonless.errors import Conflict, InvalidData
from daemonless.files import open_beneath
from daemonless.layers.extract import Extractor
from daemonless.layers.tar import TarReader


@pytest.fixture
def extracted(base):
    """Extract members into base/root and return it."""
    root = base / "root"
    root.mkdir()

    def extracted(*members, chunk=700, **options):
        top = os.open(root, os.O_PATH | os.O_DIRECTORY)

        def open_parent(path: bytes) -> int:
            return open_beneath(top, path or b".", os.O_PATH | os.O_DIRECTORY)

        extractor = Extractor(open_parent, owner_of=lambda entry: None, **options)
        reader = TarReader(chunks(archive(*members), chunk))
        try:
            for entry in reader:
                extractor.add(entry.name, entry, reader)
            extractor.finish()
        finally:
            extractor.close()
            os.close(top)
        return root

    return extracted


def test_what_is_there_stays_and_what_comes_replaces(base, extracted):
    (base / "root" / "d").mkdir(parents=True, exist_ok=True)
    (base / "root" / "d" / "old").write_text("old")
    (base / "root" / "d" / "f").symlink_to("old")
    root = extracted(directory(b"d", mode=0o750, mtime=5), member(b"d/f", b"new"), hardlink(b"d/g", b"d/f"))
    assert (root / "d" / "old").read_text() == "old"
    assert (root / "d" / "f").read_text() == "new" and not (root / "d" / "f").is_symlink()
    assert (root / "d" / "g").stat().st_ino == (root / "d" / "f").stat().st_ino
    assert (root / "d").stat().st_mode & 0o7777 == 0o750 and (root / "d").stat().st_mtime == 5


def test_a_directory_without_permissions_is_filled_first(extracted):
    root = extracted(directory(b"d", mode=0), member(b"d/f", b"x"))
    assert (root / "d").stat().st_mode & 0o7777 == 0
    (root / "d").chmod(0o700)


def test_setuid_is_kept_or_not(extracted):
    kept = extracted(member(b"f", mode=0o4755)) / "f"
    dropped = extracted(member(b"g", mode=0o4755), mode_mask=0o777) / "g"
    assert [path.stat().st_mode & 0o7777 for path in (kept, dropped)] == [0o4755, 0o755]


@pytest.mark.parametrize("aim", ["..", "../canary", "{base}"])
def test_links_never_lead_out(base, extracted, aim):
    with pytest.raises(Conflict):
        extracted(symlink(b"way", aim.format(base=base).encode()), member(b"way/canary", b"changed"))


def test_kinds_are_not_mixed(base, extracted):
    (base / "root" / "dir").mkdir()
    (base / "root" / "file").touch()
    with pytest.raises(Conflict, match="cannot overwrite directory dir with a non-directory"):
        extracted(member(b"dir", b"x"))
    with pytest.raises(Conflict, match="cannot overwrite non-directory file with a directory"):
        extracted(directory(b"file"))


def test_names_are_checked(extracted):
    with pytest.raises(InvalidData):
        extracted(member(b"../x", b"x"))
    with pytest.raises(InvalidData, match="which is missing"):
        extracted(hardlink(b"a", b"nothing"))


@pytest.mark.parametrize("data", [bytes(1 << 20), bytes(1 << 20) + b"end", b"x" + bytes(1 << 20) + b"y"])
def test_zeros_become_holes(extracted, data):
    root = extracted(member(b"f", data), chunk=1 << 16)
    assert (root / "f").read_bytes() == data
    assert (root / "f").stat().st_blocks * 512 < 1 << 18


def test_the_top_gets_its_own_attributes_if_wanted(base, extracted):
    before = (base / "root").stat().st_mode
    extracted(directory(b"./", mode=0o2711, mtime=7), member(b"f"))
    assert (base / "root").stat().st_mode == before
    root = extracted(directory(b"./", mode=0o2711, mtime=7), member(b"f"), keep_top=False)
    assert (root.stat().st_mode & 0o7777, root.stat().st_mtime) == (0o2711, 7)
    with pytest.raises(InvalidData, match="only be a directory"):
        extracted(symlink(b".", b"/"))
