"""ADD of archives: known by their content, unpacked into the destination."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile

import pytest
import zstandard
from copies import listing

from daemonless.errors import Conflict, InvalidData

COMPRESS = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
}


def tar(*members, **fields):
    """An archive of (name, content) and of TarInfo; what ends in a slash is a directory."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            name, content = member
            info = tarfile.TarInfo(name.rstrip("/"))
            info.mtime, info.mode = 5, 0o640
            info.uid, info.gid = os.geteuid(), os.getegid()
            if name.endswith("/"):
                info.type, info.mode = tarfile.DIRTYPE, 0o711
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content.encode()))
    return stream.getvalue()


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    info.uid, info.gid = os.geteuid(), os.getegid()
    return info


@pytest.fixture
def add(copy):
    return lambda *words, **fields: copy(*words, is_add=True, **fields)


@pytest.mark.parametrize("compression", COMPRESS)
def test_archives_are_known_by_their_content(context, root, add, copy, compression):
    data = tar(("d/", ""), ("d/f", "content"), link("d/l", "f"), link("d/h", "d/f", tarfile.LNKTYPE))
    (context / "no-suffix").write_bytes(COMPRESS[compression](data))
    add("no-suffix", "/x")
    assert listing(root / "x") == {"d": "/", "d/f": "content", "d/l": "-> f", "d/h": "content"}
    status = (root / "x" / "d" / "f").stat()
    assert (status.st_mode & 0o7777, status.st_mtime, status.st_nlink) == (0o640, 5, 2)
    assert (root / "x" / "d").stat().st_mode & 0o7777 == 0o711
    copy("no-suffix", "/copied")
    add("no-suffix", "/left", unpack=False)
    assert (root / "copied").read_bytes() == (root / "left").read_bytes() == COMPRESS[compression](data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        bytes(1024),
        bytes(10240),
        gzip.compress(b"no archive"),
        gzip.compress(b"x" * 5000),
        b"\x1f\x8b cut",
    ],
    ids=["empty", "text", "zeros", "more-zeros", "gzip", "long-gzip", "cut-gzip"],
)
@pytest.mark.parametrize("unpack", [None, True])
def test_other_files_are_copied(context, root, add, data, unpack):
    (context / "file.tar.gz").write_bytes(data)
    add("file.tar.gz", "/x/", unpack=unpack)
    assert (root / "x" / "file.tar.gz").read_bytes() == data


def test_archives_and_files_together(context, root, add):
    (context / "a.tar").write_bytes(tar(("a", "a"), ("both", "a")))
    (context / "b.tar").write_bytes(tar(("b", "b"), ("both", "b")))
    (context / "file").write_text("file")
    add("*.tar", "file", "/x/")
    assert listing(root / "x") == {"a": "a", "b": "b", "both": "b", "file": "file"}


def test_what_is_there_is_merged_or_replaced(context, root, add):
    (context / "a.tar").write_bytes(
        tar(("d/f", "new"), ("link", "new"), ("was-dir", "new"), ("was-file/x", "x"))
    )
    (root / "d").mkdir()
    (root / "d" / "old").write_text("old")
    (root / "link").symlink_to("d/old")
    (root / "was-dir" / "inner").mkdir(parents=True)
    add("a.tar", "/")
    assert listing(root) == {
        "d": "/",
        "d/old": "old",
        "d/f": "new",
        "link": "new",
        "was-dir": "new",
        "was-file": "/",
        "was-file/x": "x",
    }


def test_names_of_whiteouts_are_files(context, root, add):
    (context / "a.tar").write_bytes(tar((".wh.f", "x"), ("d/.wh..wh..opq", "")))
    (root / "f").write_text("stays")
    add("a.tar", "/")
    assert listing(root) == {"f": "stays", ".wh.f": "x", "d": "/", "d/.wh..wh..opq": ""}


@pytest.mark.parametrize("aim", ["..", "/..", "{base}", "../../.."])
def test_links_of_the_archive_lead_out_of_nowhere(base, context, root, add, aim):
    aim = aim.format(base=base)
    (context / "a.tar").write_bytes(tar(link("way", aim), ("way/canary", "changed")))
    try:
        add("a.tar", "/x")
    except (Conflict, InvalidData, FileNotFoundError):
        pass


@pytest.mark.parametrize("name", ["../canary", "/../canary", "a/../../canary"])
def test_names_that_lead_upwards_are_refused(context, add, name):
    (context / "a.tar").write_bytes(tar((name, "changed")))
    with pytest.raises(InvalidData, match=r"a\.tar: .*\.\."):
        add("a.tar", "/x")


@pytest.mark.parametrize("cut", [512 + 5, 700, 1024])
def test_a_bad_archive_is_told(context, add, cut):
    data = tar(("first", "x" * 100), ("second", "y"))
    (context / "a.tar").write_bytes(data[:cut])
    with pytest.raises(InvalidData, match=r"a\.tar: the archive ends too early"):
        add("a.tar", "/x")


def test_the_destination_must_be_a_directory(context, root, add):
    (context / "a.tar").write_bytes(tar(("f", "f")))
    (root / "file").touch()
    for destination in ("/file", "/file/"):
        with pytest.raises(Conflict, match=r"/file/? is not a directory"):
            add("a.tar", destination)


def test_a_link_to_an_archive_is_one(context, root, add):
    (context / "a.tar").write_bytes(tar(("f", "f")))
    (context / "link").symlink_to("a.tar")
    add("link", "/x")
    assert listing(root / "x") == {"f": "f"}
