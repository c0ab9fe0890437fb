import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemonless import jsonio
from daemonless.errors import InvalidData

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values)
@settings(max_examples=60, deadline=None)
def test_agrees_with_the_standard_library(value):
    assert json.loads(jsonio.dumps(value)) == value
    assert jsonio.loads(json.dumps(value)) == value
    assert jsonio.loads(json.dumps(value, indent=3).encode()) == value


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"  ",
        b'{"a":1,"a":2}',
        b'[{"x":{"b":1,"b":1}}]',
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"[]x",
        b"[] []",
        b"{'a':1}",
        b'{"a":1,}',
        b'"\x01"',
        b"\xff",
        b"[" * 65 + b"]" * 65,
        b"[" * 100_000,
        b"9" * 5000,
        b'{"a"',
    ],
)
def test_refuses(text):
    with pytest.raises(InvalidData, match="thing is not valid JSON"):
        jsonio.loads(text, what="thing")


def test_depth_limit_counts_nesting_not_brackets():
    assert jsonio.loads(b"[" * 64 + b"]" * 64)
    many = jsonio.loads(json.dumps([["[[["] for _ in range(200)]))
    assert len(many) == 200
    escaped = jsonio.loads(json.dumps([["\\", '"[[[[', '\\"{{{{'] for _ in range(200)]))
    assert len(escaped) == 200
    with pytest.raises(InvalidData, match="nested deeper than 64"):
        jsonio.loads(b'["]",' * 65 + b"1" + b"]" * 65)
    with pytest.raises(InvalidData, match="nested deeper than 64"):
        jsonio.loads(rb'["\\", "\"]",' * 65 + b"1" + b"]" * 65)


def test_size_limit():
    assert jsonio.loads(b'"abc"', limit=5) == "abc"
    with pytest.raises(InvalidData, match="larger than 4 bytes"):
        jsonio.loads(b'"abc"', limit=4)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"x", object()])
def test_writes_only_json(value):
    with pytest.raises((TypeError, ValueError)):
        jsonio.dumps(value)


BAD = ["{", "[1,", '{"a"', '{"a":}', '"x', "[}", "nul", "\\"]


@pytest.mark.parametrize("text", BAD)
def test_refuses_without_the_json_package_in_memory(text):
    program = (
        "import sys; sys.path[:0] = [sys.argv[1]]\n"
        "from daemonless import errors, jsonio\n"
        "try: jsonio.loads(sys.argv[2])\n"
        "except errors.InvalidData: sys.exit(0 if 'json' not in sys.modules else 3)\n"
    )
    root = jsonio.__file__.rpartition("/daemonless/")[0]
    done = subprocess.run([sys.executable, "-ISEc", program, root, text], timeout=20)
    assert done.returncode == 0
