"""Digests as the only strings that reach paths and URLs (CVE-2024-3727), and verified reading."""

import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemonless.errors import InvalidData
from daemonless.oci.digest import Digest, VerifiedReader, chain_id, digest_of

EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_parts():
    digest = Digest(EMPTY)
    assert (digest.algorithm, digest.short) == ("sha256", "e3b0c44298fc")
    assert f"{digest.algorithm}:{digest.hex}" == digest == EMPTY
    assert Digest("sha512:" + "0" * 128).algorithm == "sha512"


@pytest.mark.parametrize(
    "text",
    [
        *("", "sha256", "sha256:", "sha256:../../x", "sha256:" + "A" * 64, "sha256:" + "0" * 63),
        *("sha256:" + "0" * 65, "md5:" + "0" * 32, "sha512:" + "0" * 64, "sha256:" + "0" * 63 + "?"),
        *("sha256:" + "0" * 63 + "#", "sha256:" + "٣" * 64, EMPTY + "\n", " " + EMPTY, "SHA256:" + "0" * 64),
    ],
)
def test_refused(text):
    with pytest.raises(InvalidData, match="is not a digest"):
        Digest(text)


@given(st.binary(max_size=3000), st.integers(1, 700))
def test_what_was_hashed_is_read(data, step):
    reader = VerifiedReader(io.BytesIO(data), digest_of(data), len(data))
    parts = []
    while part := reader.read(step):
        parts.append(part)
    assert b"".join(parts) == data
    assert reader.read(step) == b""


@given(st.binary(min_size=1, max_size=300), st.integers(0, 299))
def test_one_changed_byte_is_noticed(data, position):
    position %= len(data)
    changed = bytearray(data)
    changed[position] ^= 1
    with pytest.raises(InvalidData, match="corrupt"):
        VerifiedReader(io.BytesIO(changed), digest_of(data), len(data)).read_all()


def test_a_stream_that_never_ends_is_read_one_byte_too_far_at_most():
    class Endless:
        taken = 0

        def read(self, size):
            self.taken += size
            return bytes(size)

    stream = Endless()
    with pytest.raises(InvalidData, match="longer than"):
        VerifiedReader(stream, EMPTY, 10).read_all()
    assert stream.taken == 11


def test_a_stream_that_ends_early():
    with pytest.raises(InvalidData, match="ended after 3 of 4 bytes"):
        VerifiedReader(io.BytesIO(b"abc"), digest_of(b"abcd"), 4).read_all()


def test_chain_ids_follow_the_image_spec():
    first, second = digest_of(b"1"), digest_of(b"2")
    assert chain_id([first]) == first
    joined = hashlib.sha256(f"{first} {second}".encode()).hexdigest()
    assert chain_id((first, second)) == f"sha256:{joined}"
    with pytest.raises(InvalidData):
        chain_id([])
