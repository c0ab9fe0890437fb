from __future__ import annotations

import pytest
from e2b_dockerfile_utils import PatternMatcher
from hypothesis import given, settings
from hypothesis import strategies as st

from daemonless.dockerfile.ignore import parse_ignore
from daemonless.errors import UsageError


@pytest.mark.parametrize(
    ("text", "left_out", "taken"),
    [
        ("a", ["a", "a/b", "a/b/c"], ["b/a", "ab"]),
        ("/a/", ["a", "a/b"], ["b/a"]),
        ("./a/../b", ["b"], ["a"]),
        ("*.pyc", ["x.pyc"], ["d/x.pyc"]),
        ("**/*.pyc", ["x.pyc", "d/x.pyc", "d/e/x.pyc"], ["x.py"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b/c"], ["a/xb", "b"]),
        ("a/**", ["a/b", "a/b/c"], ["a"]),
        ("**", ["a", "a/b"], []),
        ("a/a", ["/".join("a" * 1500)], ["a"]),
        ("?[a-c]", ["xa", "xc/d"], ["xd", "a"]),
        ("[^a]x", ["bx"], ["ax"]),
        ("\\*x \n", ["*x"], ["ax"]),
        ("*\n!keep", ["a", "a/b"], ["keep", "keep/c"]),
        ("*\n!a/b", ["a", "a/c"], ["a/b", "a/b/c"]),
        ("a\n!a/b\na", ["a", "a/c"], ["a/b"]),
        ("# a\n #a\n\n  b  ", ["#a", "b"], ["a", "# a"]),
        ("\ufeffa", ["a"], []),
        (".\n/\n..", [], ["a"]),
        ("a\r\nb\r\n", ["a", "b"], []),
        ("! a\nb", ["b"], ["a"]),
    ],
)
def test_rules(text, left_out, taken):
    matcher = parse_ignore(text.encode())
    assert [path for path in left_out + taken if matcher.excludes(path)] == left_out


@pytest.mark.parametrize(
    ("pattern", "directory", "expected"),
    [
        ("!a/b", "a", True),
        ("!a/b", "c", False),
        ("!a/b", "a/b", False),
        ("!a/*/c", "a/x", True),
        ("!**/c", "x/y", True),
        ("!*.md", "docs", False),
        ("!d?/c", "dx", True),
        ("!d?/c", "e", False),
        ("a/b", "a", False),
    ],
)
def test_what_may_be_taken_below(pattern, directory, expected):
    assert parse_ignore(pattern.encode()).may_reinclude_below(directory) is expected


@pytest.mark.parametrize("line", ["[", "[a", "[]a]", "[a-]", "a\\", "!", "[-a]"])
def test_mistakes_name_their_line(line):
    with pytest.raises(UsageError, match=r"^x:2: .* is not a pattern$"):
        parse_ignore(f"good\n{line}\n".encode(), "x")


PARTS = st.sampled_from(["a", "b", "ab", "*", "?", "a*", "[ab]", "**", "?b"])
LINES = st.lists(st.tuples(st.sampled_from(["", "!"]), st.lists(PARTS, min_size=1, max_size=3)), max_size=5)
NAMES = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None)
@given(LINES, st.lists(NAMES, min_size=1, max_size=8))
def test_as_e2b_has_it(lines, paths):
    lines = [sign + "/".join(parts) for sign, parts in lines]
    ours, theirs = parse_ignore("\n".join(lines).encode()), PatternMatcher(lines)
    for path in map("/".join, paths):
        assert ours.excludes(path) == theirs.matches(path), path


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes(text):
    try:
        parse_ignore(text).excludes("a/b")
    except UsageError:
        pass
