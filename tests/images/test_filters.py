"""`images --filter` and its patterns."""

import pytest

from daemonless.actions.image_filters import Filters, glob, matches_reference
from daemonless.actions.image_names import split_name
from daemonless.errors import UsageError

NAME = "docker.io/library/busybox:1.36"


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("", "", True),
        ("a", "a", True),
        ("a", "ab", False),
        ("*", "anything", True),
        ("*", "a/b", False),
        ("a/*", "a/b", True),
        ("*/*", "a/b", True),
        ("a*c", "abbc", True),
        ("a*c*e", "abcde", True),
        ("a*c", "abcd", False),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("**", "ab", True),
        ("*a", "", False),
    ],
)
def test_glob(pattern, text, expected):
    assert glob(pattern, text) is expected


@pytest.mark.parametrize(
    "pattern",
    ["busybox", "busybox:1.36", "library/busybox", "docker.io/library/busybox", NAME, "busy*", "busybox:1.*"],
)
def test_references_that_match(pattern):
    assert matches_reference(pattern, NAME)


@pytest.mark.parametrize("pattern", ["busy", "box", "busybox:1.3", "docker.io/busybox", "*busybox:2", "x/*"])
def test_references_that_do_not_match(pattern):
    assert not matches_reference(pattern, NAME)


def test_names_with_ports_and_digests():
    assert matches_reference("localhost:5000/app", "localhost:5000/app:1")
    assert matches_reference("app", "localhost:5000/app@sha256:" + "0" * 64)
    assert split_name("localhost:5000/app:1") == ("localhost:5000/app", "1")
    assert split_name("localhost:5000/app@sha256:" + "0" * 64) == ("localhost:5000/app", "<none>")
    assert split_name("") == ("<none>", "<none>")


@pytest.mark.parametrize("text", ["dangling", "dangling=perhaps", "unknown=1", "until=never"])
def test_bad_filters(text):
    with pytest.raises(UsageError):
        Filters([text], None, None, None)
