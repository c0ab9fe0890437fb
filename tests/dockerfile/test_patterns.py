"""Patterns of paths, and that no pattern takes long."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemonless.dockerfile.patterns import compiled, is_pattern


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", False),
        ("*", True),
        ("a?", True),
        ("[a]", True),
        (r"\*", False),
        (r"\\*", True),
        (r"a\[b", False),
        ("", False),
    ],
)
def test_what_is_a_pattern(text, expected):
    assert is_pattern(text) == expected


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        # the table of Go's path/filepath/match_test.go, in the part that has no errors
        ("abc", "abc", True),
        ("*", "abc", True),
        ("*c", "abc", True),
        ("a*", "a", True),
        ("a*", "ab/c", False),
        ("a*/b", "abc/b", True),
        ("a*/b", "a/c/b", False),
        ("a*b*c*d*e*/f", "axbxcxdxe/f", True),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/f", True),
        ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", False),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", False),
        ("a*b?c*x", "abxbbxdbxebxczzx", True),
        ("a*b?c*x", "abxbbxdbxebxczzy", False),
        ("ab[c]", "abc", True),
        ("ab[b-d]", "abc", True),
        ("ab[e-g]", "abc", False),
        ("ab[^c]", "abc", False),
        ("ab[^b-d]", "abc", False),
        ("ab[^e-g]", "abc", True),
        ("a\\\\*b", "a*b", False),
        (r"a\*b", "a*b", True),
        (r"a\*b", "ab", False),
        ("a?b", "a☺b", True),
        ("a[^a]b", "a☺b", True),
        ("a???b", "a☺b", False),
        ("[a-ζ]*", "α", True),
        ("*[a-ζ]", "A", False),
        ("a?b", "a/b", False),
        ("a*b", "a/b", False),
        (r"[\]a]", "]", True),
        (r"[\-]", "-", True),
        (r"[x\-]", "x", True),
        (r"[\-x]", "a", False),
        ("*x", "xxx", True),
        ("**x", "a/x", False),
        ("**", "a", True),
        ("***a", "ba", True),
    ],
)
def test_matches(pattern, path, expected):
    assert compiled(pattern, deep=False)(path) == expected


def plain(pattern: str) -> str:
    """The obvious translation of a pattern of letters, "*" and "?"."""
    return "".join({"*": "[^/]*", "?": "[^/]"}.get(char, char) for char in pattern)


@settings(max_examples=300, deadline=None)
@given(st.text("ab*?/", max_size=9), st.text("ab/", max_size=9))
def test_the_first_place_is_as_good_as_any(pattern, path):
    expected = re.fullmatch(plain(pattern), path) is not None
    assert compiled(pattern, deep=False)(path) == expected
    if "**" not in pattern:
        assert compiled(pattern)(path) == expected


@pytest.mark.parametrize("pattern", ["*a" * 40 + "b", "*" * 100 + "b", "*?" * 100 + "b", "a*" * 100 + "[b]"])
def test_no_pattern_takes_long(pattern):
    match = compiled(pattern, deep=False)
    begun = time.process_time()
    assert not match("a" * 255)
    assert time.process_time() - begun < 0.5
