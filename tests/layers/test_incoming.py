"""Archives from a pipe, in any compression: the whole of them or an error."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import threading

import pytest
import zstandard

from daemonless.errors import InvalidData
from daemonless.layers.compression import detect
from daemonless.layers.incoming import decompressed, reader

TEXT = b"".join(b"%d\n" % number for number in range(100_000))
COMPRESS = {
    "": lambda data: data,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
}


def through_a_pipe(data: bytes, piece: int = 5000) -> bytes:
    """Feed `data` in pieces to a pipe, and return what comes out at the other end."""
    read_end, write_end = os.pipe()

    def feed() -> None:
        try:
            for start in range(0, len(data), piece):
                os.write(write_end, data[start : start + piece])
        except BrokenPipeError:
            pass  # refused before the end
        finally:
            os.close(write_end)

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        return b"".join(decompressed(reader(read_end)))
    finally:
        os.close(read_end)
        thread.join()


@pytest.mark.parametrize("kind", COMPRESS)
def test_each_is_recognised(kind):
    data = COMPRESS[kind](TEXT)
    assert detect(data) == kind
    assert through_a_pipe(data) == TEXT
    assert through_a_pipe(data, piece=1 if len(data) < 60_000 else 1000) == TEXT


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstd"])
def test_several_members_are_one_stream(kind):
    compress = COMPRESS[kind]
    assert through_a_pipe(compress(TEXT) + compress(b"") + compress(b"more")) == TEXT + b"more"


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz"])
def test_what_is_cut_or_followed_by_something_is_refused(kind):
    data = COMPRESS[kind](TEXT)
    with pytest.raises(InvalidData, match=f"not valid {kind}: it ends too early"):
        through_a_pipe(data[:-1])
    with pytest.raises(InvalidData, match=f"other bytes after its {kind} stream"):
        through_a_pipe(data + b"more")
    assert through_a_pipe(data + bytes(700)) == TEXT


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstd"])
def test_what_is_damaged_is_refused(kind):
    data = bytearray(COMPRESS[kind](TEXT))
    data[8 : len(data) // 2] = bytes(len(data) // 2 - 8)
    with pytest.raises(InvalidData, match=f"not valid {kind}"):
        through_a_pipe(bytes(data))


def test_an_xz_dictionary_beyond_all_measure_is_refused():
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 28}]
    data = lzma.LZMACompressor(filters=filters)
    with pytest.raises(InvalidData, match="not valid xz"):
        through_a_pipe(data.compress(b"x") + data.flush())


def test_short_input_is_itself():
    assert through_a_pipe(b"") == b""
    assert through_a_pipe(b"\x1f") == b"\x1f"
