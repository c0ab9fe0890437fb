from __future__ import annotations

import gzip
import hashlib
import os
import threading

from daemonless.layers.compress import compress


def compressed(data: bytes, piece: int):
    """Compress what arrives through a pipe in pieces."""
    read_end, write_end = os.pipe()

    def feed() -> None:
        for start in range(0, len(data), piece):
            os.write(write_end, data[start : start + piece])
        os.close(write_end)

    thread = threading.Thread(target=feed)
    thread.start()
    parts: list[bytes] = []
    result = compress(read_end, parts.append)
    thread.join()
    os.close(read_end)
    return b"".join(parts), result


def test_both_digests_and_the_size():
    data = os.urandom(1000) * 3000
    packed, result = compressed(data, 4096)
    assert gzip.decompress(packed) == data
    assert result.size == len(packed)
    assert result.digest == "sha256:" + hashlib.sha256(packed).hexdigest()
    assert result.diff_id == "sha256:" + hashlib.sha256(data).hexdigest()


def test_the_bytes_do_not_depend_on_how_they_arrived():
    data = os.urandom(1000) * 3000
    assert compressed(data, 4096)[0] == compressed(data, 1001)[0]


def test_nothing():
    packed, _ = compressed(b"", 1)
    assert gzip.decompress(packed) == b""
