"""Decompression: U-24 and U-25, and damaged streams."""

from __future__ import annotations

import gzip
import hashlib
import os
import threading
import time
import zlib

import pytest
import zstandard

from daemonless.errors import InvalidData, Unsupported
from daemonless.layers.decompress import CHUNK, decompress, read_ahead

TEXT = b"".join(b"%d\n" % number for number in range(200_000))
NOISE = hashlib.shake_128(b"noise").digest(300_000)
GZIP = gzip.compress(TEXT, 1)
ZSTD = zstandard.ZstdCompressor(level=1, write_checksum=True).compress(TEXT)
SKIPPABLE = b"\x50\x2a\x4d\x18\x04\0\0\0skip"


@pytest.fixture
def run(tmp_path):
    """Decompress bytes, given as a file, and return all of the output."""

    def run(data, compression, limit=1 << 40):
        path = tmp_path / "blob"
        path.write_bytes(data)
        fd = os.open(path, os.O_RDONLY)
        try:
            chunks = list(decompress(fd, compression, limit))
        finally:
            os.close(fd)
        assert max(map(len, chunks), default=0) <= CHUNK
        return b"".join(chunks)

    return run


@pytest.mark.parametrize(
    ("data", "compression", "expected"),
    [
        (TEXT, "", TEXT),
        (GZIP, "gzip", TEXT),
        (GZIP + gzip.compress(b"more"), "gzip", TEXT + b"more"),
        (gzip.compress(b"") + GZIP, "gzip", TEXT),
        (GZIP + bytes(1), "gzip", TEXT),
        (GZIP + bytes(300_000), "gzip", TEXT),
        (gzip.compress(b"x") * 300, "gzip", b"x" * 300),
        (gzip.compress(NOISE, 0), "gzip", NOISE),
        (ZSTD, "zstd", TEXT),
        (ZSTD + zstandard.compress(b"more"), "zstd", TEXT + b"more"),
        (SKIPPABLE + ZSTD + SKIPPABLE, "zstd", TEXT),
        (b"", "", b""),
    ],
    ids=["plain", "gzip", "U-25 two members", "U-25 empty member", "U-25 zero", "U-25 zeros",
         "U-25 300 members", "stored", "zstd", "two frames", "skippable frames", "empty"],
)  # fmt: skip
def test_decompresses(data, compression, expected, run):
    assert run(data, compression) == expected


def damaged(data, position):
    return data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :]


@pytest.mark.parametrize(
    ("data", "compression", "message"),
    [
        (GZIP + b"junk", "gzip", "other bytes after"),
        (GZIP + b"\0\0junk", "gzip", "other bytes after"),
        (GZIP + bytes(200_000) + b"j", "gzip", "other bytes after"),
        (GZIP + b"\x1f", "gzip", "other bytes after"),
        (GZIP + GZIP[:5], "gzip", "ends too early"),
        (damaged(GZIP, len(GZIP) // 2), "gzip", "not valid gzip"),
        (damaged(GZIP, len(GZIP) - 6), "gzip", "not valid gzip"),
        (damaged(GZIP, len(GZIP) - 1), "gzip", "not valid gzip"),
        (ZSTD + b"junk", "zstd", "not valid zstd"),
        (damaged(ZSTD, len(ZSTD) // 2), "zstd", "not valid zstd"),
        (damaged(ZSTD, len(ZSTD) - 1), "zstd", "not valid zstd"),
        (GZIP, "zstd", "is gzip but its media type says zstd"),
        (ZSTD, "gzip", "is zstd but its media type says gzip"),
        (GZIP, "", "is gzip but its media type says plain tar"),
        (TEXT, "gzip", "is not compressed but its media type says gzip"),
        (b"", "gzip", "is not compressed but its media type says gzip"),
        (b"\x1f", "gzip", "is not compressed but its media type says gzip"),
    ],
    ids=["junk", "junk after zeros", "junk in the next read", "half a magic", "cut second member",
         "damaged gzip", "gzip crc", "gzip size", "junk after zstd", "damaged zstd", "zstd checksum",
         "gzip as zstd", "zstd as gzip", "gzip as plain", "plain as gzip", "empty as gzip",
         "one byte as gzip"],
)  # fmt: skip
def test_u25_refuses(data, compression, message, run):
    with pytest.raises(InvalidData, match=message):
        run(data, compression)


@pytest.mark.parametrize("size", [2, 5, 11, 1000, len(GZIP) - 9, len(GZIP) - 8, len(GZIP) - 1])
def test_cut_gzip_is_an_error(size, run):
    with pytest.raises(InvalidData, match="ends too early"):
        run(GZIP[:size], "gzip")


@pytest.mark.parametrize("data", [TEXT, GZIP, ZSTD], ids=["", "gzip", "zstd"])
def test_u24_output_is_limited(data, run, request):
    compression = request.node.callspec.id
    assert run(data, compression, len(TEXT)) == TEXT
    with pytest.raises(InvalidData, match="more than the"):
        run(data, compression, len(TEXT) - 1)


def zeros_in_zstd(megabytes):
    compressor = zstandard.ZstdCompressor(level=1).compressobj()
    parts = [compressor.compress(bytes(1 << 20)) for _ in range(megabytes)]
    return b"".join(parts) + compressor.flush()


def test_u24_ratio_alarm(run):
    """100 MB of zeros are well within gzip's reach and alarming in zstd; 50 MB are nobody's bomb."""
    compressor = zlib.compressobj(1, wbits=31)
    ordinary = b"".join(compressor.compress(bytes(1 << 20)) for _ in range(70)) + compressor.flush()
    assert len(run(ordinary, "gzip")) == 70 << 20
    assert len(run(zeros_in_zstd(50), "zstd")) == 50 << 20
    began = time.monotonic()
    with pytest.raises(InvalidData, match="decompression bomb"):
        run(zeros_in_zstd(100), "zstd")
    assert time.monotonic() - began < 5


def test_u24_memory_stays_flat(tmp_path):
    """A chunk of output costs no more than a chunk, however much its input stands for."""
    path = tmp_path / "blob"
    path.write_bytes(zeros_in_zstd(60))
    fd = os.open(path, os.O_RDONLY)
    try:
        assert {len(chunk) for chunk in decompress(fd, "zstd", 1 << 40)} == {CHUNK}
    finally:
        os.close(fd)


def zstd_with_window(log, data=b"x"):
    """A frame whose header claims a window of 2**log bytes (RFC 8878, 3.1.1.1.2) and one raw block."""
    block = (len(data) << 3 | 1).to_bytes(3, "little") + data
    return b"\x28\xb5\x2f\xfd\x00" + bytes([log - 10 << 3]) + block


def test_u24_zstd_window(run):
    assert run(zstd_with_window(27), "zstd") == b"x"
    with pytest.raises(Unsupported, match="window is larger"):
        run(zstd_with_window(28), "zstd")


def test_u24_zstd_dictionary_is_refused(run):
    dictionary = zstandard.train_dictionary(4096, [b"%d" % n * 20 for n in range(2000)])
    data = zstandard.ZstdCompressor(dict_data=dictionary).compress(b"1" * 100)
    with pytest.raises(InvalidData, match="not valid zstd"):
        run(data, "zstd")


def test_read_ahead_passes_on_chunks_and_errors():
    assert list(read_ahead(iter([b"a", b"b"]))) == [b"a", b"b"]

    def broken():
        yield b"a"
        raise InvalidData("broken")

    chunks = read_ahead(broken())
    assert next(chunks) == b"a"
    with pytest.raises(InvalidData, match="broken"):
        next(chunks)


def test_read_ahead_runs_a_bounded_way_ahead_and_ends_when_abandoned():
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield b"x"

    before = threading.active_count()
    chunks = read_ahead(endless(), depth=3)
    next(chunks)
    time.sleep(0.05)
    assert len(taken) <= 6
    chunks.close()
    assert threading.active_count() == before
