"""The archive reader: U-16 to U-23, and agreement with other readers on good archives."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_archives import archive, base256, chunks, gnu_long, header, member, pax, record

from daemonless.errors import DaemonlessError, InvalidData, Unsupported
from daemonless.layers.tar import MAX_EXTENDED_HEADER, TarReader
from daemonless.layers.tar_header import parse_header, parse_pax


def entries(data, chunk=1 << 16, budget=1 << 40):
    result = []
    for entry in (reader := TarReader(chunks(data, chunk), budget)):
        result.append((entry, b"".join(reader.data())))
    return result


def only(*parts):
    [(entry, data)] = entries(archive(*parts))
    return entry, data


LONG = b"d/" * 60 + b"name"

ACCEPTED = {
    "plain": ([member(b"a", b"data", mode=0o4755, uid=7, gid=8, mtime=9)], "name", b"a"),
    "U-17 base-256 size": ([member(b"a", b"data", size=base256(4, 12))], "size", 4),
    "U-17 size by pax": (
        [pax(size=b"4"), member(b"a", b"data", size=0)[:512] + member(b"a", b"data")[512:]],
        "size",
        4,
    ),
    "U-17 size with spaces": ([member(b"a", b"data", size=b"          4 ")], "size", 4),
    "U-16 base-256 uid": ([member(b"a", uid=base256(70000, 8))], "uid", 70000),
    "U-16 uid by pax": ([pax(uid=b"3000000"), member(b"a")], "uid", 3000000),
    "U-19 long name by pax": ([pax(path=LONG), member(b"a")], "name", LONG),
    "U-19 long name by gnu": ([gnu_long(LONG), member(b"a", magic=b"ustar  \0")], "name", LONG),
    "U-19 long name and link": (
        [gnu_long(LONG), gnu_long(b"t" * 200, b"K"), member(b"a", kind=b"2", link=b"x")],
        "link",
        b"t" * 200,
    ),
    "U-19 prefix": ([member(b"a", prefix=b"p/q")], "name", b"p/q/a"),
    "U-19 no prefix in gnu": ([member(b"a", prefix=b"p/q", magic=b"ustar  \0")], "name", b"a"),
    "U-19 global comment": ([pax(kind=b"g", comment=b"0123"), member(b"a")], "name", b"a"),
    "U-19 unknown key": ([pax(record(b"VENDOR.x", b"y")), member(b"a")], "name", b"a"),
    "U-19 empty value": ([pax(path=b""), member(b"a")], "name", b"a"),
    "U-19 largest": ([pax(path=b"a", comment=b"c" * (MAX_EXTENDED_HEADER - 40)), member(b"b")], "name", b"a"),
    "U-20 invalid utf-8": ([member(b"\xff\xfe")], "name", b"\xff\xfe"),
    "U-20 nfd": ([pax(path="e\u0301".encode()), member(b"a")], "name", "e\u0301".encode()),
    "U-21 fraction": ([pax(mtime=b"1.25"), member(b"a")], "mtime_ns", 1_250_000_000),
    "U-21 negative": ([pax(mtime=b"-1.25"), member(b"a")], "mtime_ns", -1_250_000_000),
    "U-21 far future": ([pax(mtime=b"9" * 30), member(b"a")], "mtime_ns", ((1 << 63) - 1) * 10**9),
    "U-21 far past": ([member(b"a", mtime=base256(-(1 << 80), 12))], "mtime_ns", -(1 << 63) * 10**9),
    "xattr with = and newline": (
        [pax(record(b"SCHILY.xattr.user.a", b"b=c\n")), member(b"a")],
        "xattrs",
        {b"user.a": b"b=c\n"},
    ),
    "v7 directory": ([member(b"d/", kind=b"\0", magic=b"")], "kind", ord("5")),
    "v7 file": ([member(b"f", kind=b"\0", magic=b"")], "kind", ord("0")),
    "contiguous file": ([member(b"f", b"x", kind=b"7")], "kind", ord("0")),
}


@pytest.mark.parametrize("case", ACCEPTED)
@pytest.mark.parametrize("chunk", [100, 1 << 16])
def test_accepts(case, chunk):
    parts, field, expected = ACCEPTED[case]
    [(entry, _)] = entries(archive(*parts), chunk)
    assert getattr(entry, field) == expected


REFUSED = {
    "U-16 negative uid": ([member(b"a", uid=base256(-1, 8))], "uid is negative"),
    "U-16 uid with a sign": ([member(b"a", uid=b"-1")], "uid is not an octal number"),
    "U-16 uid by pax": ([pax(uid=b"-1"), member(b"a")], "uid is not a decimal number"),
    "U-17 negative size": ([member(b"a", size=base256(-16, 12))], "size is negative"),
    "U-17 2^63": ([member(b"a", size=base256(1 << 63, 12))], "more than may be unpacked"),
    "U-17 pax -1": ([pax(size=b"-1"), member(b"a")], "size is not a decimal number"),
    "U-17 pax 1e3": ([pax(size=b"1e3"), member(b"a")], "size is not a decimal number"),
    "U-17 pax 0x10": ([pax(size=b"0x10"), member(b"a")], "size is not a decimal number"),
    "U-17 octal 0o7": ([member(b"a", size=b"0o7")], "size is not an octal number"),
    "U-17 octal 1_0": ([member(b"a", size=b"1_0")], "size is not an octal number"),
    "U-17 octal 9": ([member(b"a", size=b"9")], "size is not an octal number"),
    "U-17 bits between": ([member(b"a", size=b"\x81" + bytes(10) + b"\x01")], "size is out of range"),
    "U-17 link with data": ([member(b"a", b"data", kind=b"2", link=b"b")], "has data but is not a file"),
    "U-17 directory with data": ([member(b"a/", b"data", kind=b"5")], "has data but is not a file"),
    "U-18 old gnu sparse": ([member(b"a", kind=b"S")], "sparse"),
    "U-18 pax sparse 0.1": ([pax(record(b"GNU.sparse.map", b"0,1")), member(b"a")], "sparse"),
    "U-18 pax sparse 1.0": ([pax(record(b"GNU.sparse.major", b"1")), member(b"a")], "sparse"),
    "U-19 path twice": ([pax(record(b"path", b"a"), record(b"path", b"b")), member(b"a")], "path twice"),
    "U-19 path in two headers": ([gnu_long(b"a"), pax(path=b"b"), member(b"c")], "path in two"),
    "U-19 path with NUL": ([pax(path=b"a\0b"), member(b"a")], "NUL in a name"),
    "U-19 key with NUL": ([pax(record(b"a\0b", b"c")), member(b"a")], "NUL in a key"),
    "U-19 two pax headers": ([pax(path=b"a"), pax(path=b"b"), member(b"c")], "too many extended headers"),
    "U-19 three headers": (
        [pax(comment=b"a"), gnu_long(b"b"), gnu_long(b"c", b"K"), member(b"d", kind=b"2", link=b"e")],
        "too many extended headers",
    ),
    "U-19 3000 headers": ([pax(kind=b"x", path=b"a") * 3000, member(b"c")], "too many extended headers"),
    "U-19 global path": ([pax(kind=b"g", path=b"x"), member(b"a")], "global extended header sets path"),
    "U-19 too large": ([pax(path=b"x" * MAX_EXTENDED_HEADER), member(b"a")], "too large"),
    "U-19 no member": ([pax(path=b"x")], "no member after"),
    "U-19 zero length": ([pax(b"0 path=a\n"), member(b"a")], "without a length"),
    "U-19 short length": ([pax(b"8 path=a\n"), member(b"a")], "wrong length"),
    "U-19 long length": ([pax(b"99 path=a\n"), member(b"a")], "wrong length"),
    "U-19 signed length": ([pax(b"+9 path=a\n"), member(b"a")], "without a length"),
    "U-19 length within itself": ([pax(b"2 =a\n"), member(b"a")], "wrong length"),
    "U-19 no equals": ([pax(b"7 path\n"), member(b"a")], "wrong length"),
    "U-19 no key": ([pax(b"5 =a\n"), member(b"a")], "wrong length"),
    "U-21 NaN": ([pax(mtime=b"nan"), member(b"a")], "time is not a decimal number"),
    "U-22 checksum of entry 2": ([member(b"a"), header(b"b", checksum=b"000001\0 ")], "checksum is wrong"),
    "U-22 checksum no number": ([header(b"b", checksum=b"?" * 8)], "checksum is not an octal number"),
    "U-22 entry after the end": ([member(b"a"), bytes(1024), member(b"b")], "after its end marker"),
    "U-22 one zero block": ([member(b"a"), bytes(512), member(b"b")], "one block of zeros"),
    "unknown type": ([member(b"a", kind=b"Z")], "unknown type"),
    "file named as a directory": ([member(b"a/")], "name of a directory"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("chunk", [100, 1 << 16])
def test_refuses(case, chunk):
    parts, message = REFUSED[case]
    began = time.monotonic()
    with pytest.raises((InvalidData, Unsupported)) as caught:
        entries(archive(*parts), chunk)
    assert message in caught.value.message
    assert time.monotonic() - began < 1


def test_u17_size_within_and_beyond_the_budget():
    data = archive(member(b"a", b"x" * 100))
    assert len(entries(data, budget=len(data))) == 1
    with pytest.raises(InvalidData, match="more than may be unpacked"):
        entries(data, budget=611)


def test_u22_cut_at_every_block_is_an_error():
    data = archive(pax(path=b"long"), member(b"a", b"x" * 1000), gnu_long(b"y"), member(b"b", b"z"))
    assert len(entries(data)) == 2
    for size in range(0, len(data), 512):
        with pytest.raises(InvalidData, match="ends too early"):
            entries(data[:size])


def test_u22_zeros_may_follow_the_end():
    assert len(entries(archive(member(b"a"), end=bytes(10240)))) == 1


def test_data_that_is_not_taken_is_skipped():
    data = archive(member(b"a", b"x" * 3000), member(b"b", b"y"))
    for chunk in (100, 1000, 1 << 16):
        assert [entry.name for entry in TarReader(chunks(data, chunk))] == [b"a", b"b"]


def test_checksum_counts_every_byte():
    good = header(b"a" * 100, uid=b"\xff" * 8)
    assert sum(good) > 1 << 13
    for position in (0, 99, 107, 147, 156, 255, 256, 511):
        bad = bytearray(good)
        bad[position] ^= 1
        with pytest.raises(InvalidData, match="checksum"):
            parse_header(bytes(bad))


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=512, max_size=512), st.booleans())
def test_any_block_is_a_header_or_an_error(block, repaired):
    if repaired:  # with a right checksum the other fields are reached
        block = bytearray(block)
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        block = bytes(block)
    try:
        entry = parse_header(block)
    except InvalidData:
        return
    assert 0 <= entry.mode <= 0o7777
    assert min(entry.uid, entry.gid, entry.size, entry.major, entry.minor) >= 0
    assert b"\0" not in entry.name
    assert b"\0" not in entry.link


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_pax_records_or_an_error(data):
    try:
        records = parse_pax(data)
    except InvalidData:
        return
    assert b"".join(record(key, value) for key, value in records.items()) == data


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.binary(min_size=1).filter(lambda key: not {0, ord("=")} & set(key)), st.binary(), max_size=5
    )
)
def test_pax_records_round_trip(records):
    assert parse_pax(b"".join(record(key, value) for key, value in records.items())) == records


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=3000), st.integers(0, 4000), st.binary(min_size=1, max_size=8))
def test_damaged_archives_end_in_our_errors(data, position, damage):
    whole = bytearray(archive(pax(path=b"p"), member(b"a", data), member(b"b", data)))
    position %= len(whole)
    whole[position : position + len(damage)] = damage
    try:
        entries(bytes(whole))
    except DaemonlessError:
        pass


# --- the same archives as other programs read them ---------------------------------------------


def good_tree(path):
    deep = path / ("d" * 60) / ("e" * 60) / ("f" * 60)
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"deep")
    (path / "empty").touch()
    (path / ("n" * 200)).write_bytes(b"x" * 513)
    (path / "grüße €").write_bytes(b"y" * 512)
    (path / "link").symlink_to("t" * 150)
    (path / "hard").hardlink_to(path / "empty")
    (path / "exec").write_bytes(b"#!")
    (path / "exec").chmod(0o4755)


def listing_of_tarfile(data):
    rows = []
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for info in tar:
            content = tar.extractfile(info).read() if info.isreg() else b""
            kind = "0" if info.isreg() else info.type.decode()
            rows.append((info.name.strip("./"), kind, info.mode & 0o7777, info.uid, content, info.linkname))
    return sorted(rows)


def listing_of_ours(data):
    return sorted(
        (
            entry.name.decode().strip("./"),
            chr(entry.kind),
            entry.mode,
            entry.uid,
            content,
            entry.link.decode() if entry.kind in b"12" else "",
        )
        for entry, content in entries(data, 1000)
    )


WRITERS = {
    "gnu": ["tar", "--format=gnu"],
    "pax": ["tar", "--format=pax"],
    "v7 within its limits": ["tar", "--format=v7", "--exclude=n*", "--exclude=d*", "--exclude=link"],
    "bsdtar pax": ["bsdtar", "--format=pax"],
    "bsdtar ustar": ["bsdtar", "--format=ustar", "--exclude=n*", "--exclude=link"],
}


@pytest.mark.parametrize("writer", WRITERS)
def test_agrees_with_tarfile(writer, tmp_path):
    command = WRITERS[writer]
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    good_tree(tmp_path / "tree")
    data = subprocess.run(
        [*command, "-cf", "-", "-C", str(tmp_path / "tree"), "."], check=True, capture_output=True
    ).stdout
    ours = listing_of_ours(data)
    assert ours == listing_of_tarfile(data)
    assert len(ours) >= 5


@pytest.mark.parametrize("reader", ["tar", "bsdtar"])
def test_agrees_with_other_listings(reader, tmp_path):
    if not shutil.which(reader):
        pytest.skip(f"{reader} is not installed")
    good_tree(tmp_path / "tree")
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        tar.add(tmp_path / "tree", "root")
    quoting = ["--quoting-style=literal"] if reader == "tar" else []
    listed = subprocess.run(
        [reader, *quoting, "-tf", str(path)], check=True, capture_output=True, env={"LC_ALL": "C.UTF-8"}
    )
    ours = [entry.name.rstrip(b"/") for entry, _ in entries(path.read_bytes())]
    assert ours == [line.rstrip(b"/") for line in listed.stdout.splitlines()]
    assert len(ours) == 11
