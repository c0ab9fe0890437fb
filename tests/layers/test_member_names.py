"""Names of members: U-1, and U-8 and U-11 for the names of whiteouts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemonless.errors import InvalidData
from daemonless.layers.names import normalise
from daemonless.layers.whiteout import HIDES_CONTENT, HIDES_NAME, IGNORED, PLAIN, classify


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (b"a", b"a"),
        (b"/a", b"a"),
        (b"./a/", b"a"),
        (b"//a///b/./c", b"a/b/c"),
        (b".", b""),
        (b"/", b""),
        (b"...", b"..."),
        (b"a/" * 255 + b"a", b"a/" * 255 + b"a"),
        (b"n" * 255, b"n" * 255),
    ],
)
def test_normalises(name, path):
    assert normalise(name) == path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (b"", "is empty"),
        (b"..", '".."'),
        (b"/../a", '".."'),
        (b"a/..", '".."'),
        (b"a\0", "NUL"),
        (b"a" * 256, "component longer"),
        (b"a/" * 256 + b"a", "256 directories deep"),
        (b"a" * 200 + b"/" * 4000, "longer than 4096"),
    ],
)
def test_refuses(name, message):
    with pytest.raises(InvalidData, match=message):
        normalise(name)


PARTS = st.sampled_from([b"", b".", b"..", b"...", b"a", b".wh.a", b"\xff", b"n" * 255, b"n" * 256, b"\0"])


@settings(max_examples=300, deadline=None)
@given(st.lists(PARTS, max_size=300).map(b"/".join) | st.binary(max_size=300))
def test_a_path_only_goes_down_and_is_its_own_normal_form(name):
    try:
        path = normalise(name)
    except InvalidData:
        return
    parts = path.split(b"/") if path else []
    assert not {b"", b".", b".."} & set(parts)
    assert b"\0" not in path
    assert len(parts) <= 256
    assert all(len(part) <= 255 for part in parts)
    assert [part for part in name.split(b"/") if part not in (b"", b".")] == parts
    if path:
        assert normalise(path) == path


@pytest.mark.parametrize(
    ("path", "meaning"),
    [
        (b"a/b", (PLAIN, b"a/b")),
        (b"a.wh.b", (PLAIN, b"a.wh.b")),
        (b".wh.a", (HIDES_NAME, b"a")),
        (b"d/.wh.a", (HIDES_NAME, b"d/a")),
        (b"d/.wh.a.wh.b", (HIDES_NAME, b"d/a.wh.b")),
        (b".wh..wh..opq", (HIDES_CONTENT, b"")),
        (b"d/.wh..wh..opq", (HIDES_CONTENT, b"d")),
        (b".wh..wh.plnk", (IGNORED, b".wh..wh.plnk")),
        (b".wh..wh.plnk/1.2", (IGNORED, b".wh..wh.plnk/1.2")),
        (b"d/.wh..wh.aufs", (IGNORED, b"d/.wh..wh.aufs")),
        (b".wh..wh..opqx", (IGNORED, b".wh..wh..opqx")),
    ],
)
def test_meaning_of_names(path, meaning):
    assert classify(path) == meaning


@pytest.mark.parametrize("path", [b".wh.", b".wh..", b".wh...", b"d/.wh..", b".wh.a/b"])
def test_whiteouts_of_nothing_are_refused(path):
    with pytest.raises(InvalidData, match="whiteout"):
        classify(path)
