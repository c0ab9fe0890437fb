"""Which files a COPY means: patterns, .dockerignore, --exclude and --parents."""

from __future__ import annotations

import os

import pytest
from copies import listing, work

from daemonless.build.selection import select
from daemonless.dockerfile.ignore import parse_ignore
from daemonless.errors import DaemonlessError, NotFound, UsageError

FILES = [
    *("a.txt", "b.txt", "c.md", "x/a.txt", "x/b.md", "x/y/a.txt", "x/y/z/deep.txt", "w/a.txt"),
    *("w/.hidden", "arr[0].txt", "ä.txt"),
]


@pytest.fixture(autouse=True)
def files(context):
    for name in FILES:
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text(name)
    (context / "empty").mkdir()
    return context


@pytest.fixture
def taken(root, copy):
    """Copy into /d/ and return the names of all that is there."""

    def taken(*sources, **fields):
        copy(*sources, "/d/", **fields)
        return set(listing(root / "d"))

    return taken


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("*.txt", {"a.txt", "b.txt", "arr[0].txt", "ä.txt"}),
        ("?.txt", {"a.txt", "b.txt", "ä.txt"}),
        ("[a-b].txt", {"a.txt", "b.txt"}),
        ("[^a].txt", {"b.txt", "ä.txt"}),
        ("arr[[]0].txt", {"arr[0].txt"}),
        ("arr\\[*", {"arr[0].txt"}),
        ("x/*.txt", {"a.txt"}),
        ("*/a.txt", {"a.txt"}),
        ("*/y/a.txt", {"a.txt"}),
        ("**/b.md", {"b.md"}),  # filepath.Match has no "**": it is one directory
        ("**.txt", {"a.txt", "b.txt", "arr[0].txt", "ä.txt"}),
        ("x/*", {"a.txt", "b.md", "z", "z/deep.txt"}),
        ("x/y/*/*", {"deep.txt"}),
        ("w/*", {"a.txt", ".hidden"}),
        ("./x/../x//b*", {"b.md"}),
        ("nothing*", set()),
        ("a.txt/*", set()),
    ],
)
def test_patterns(taken, root, source, expected):
    (root / "d").mkdir()
    assert taken(source) == expected


def test_a_pattern_that_matches_nothing_is_told(tree, copy):
    assert select(tree(), work("z*", "?.md", "/d/")).unmatched == ["z*"]
    assert copy("z*", "?.md", "/d/").warnings == ("z* matches no file",)


@pytest.mark.parametrize("source", ["[", "a[b-", "[]", "x/[a", "\\", "*\\"])
def test_bad_patterns(taken, source):
    with pytest.raises((UsageError, NotFound)):
        taken(source)


def test_no_link_is_followed_between_two_patterns(context, taken, root):
    (root / "d").mkdir()
    (context / "link").symlink_to("x")
    assert taken("link/*.txt") == {"a.txt"}
    assert taken("lin[k]/y/*.txt") == {"a.txt"}
    (root / "d" / "a.txt").unlink()
    assert taken("lin[k]/y/*.txt") == set()


IGNORE = b"""
# a comment
**/*.md
x/y
!x/y/z/deep.txt
**/.hidden
empty
"""


def test_ignored_files_are_not_there(taken):
    ignore = parse_ignore(IGNORE)
    everything = taken(".", ignore=ignore)
    assert everything == {
        *("a.txt", "b.txt", "arr[0].txt", "ä.txt", "x", "x/a.txt", "w", "w/a.txt"),
        *("x/y", "x/y/z", "x/y/z/deep.txt"),
    }


@pytest.mark.parametrize("source", ["c.md", "x/b.md", "x/y/a.txt", "empty", "w/.hidden", "link"])
def test_an_ignored_source_is_missing(context, taken, source):
    (context / "link").symlink_to("c.md")
    with pytest.raises(NotFound, match=r"no such file in the context: .* \(.dockerignore excludes it\)"):
        taken(source, ignore=parse_ignore(IGNORE))


def test_a_link_leads_to_no_ignored_file(context, taken):
    (context / "way").symlink_to("x/y")
    with pytest.raises(NotFound):
        taken("way/a.txt", ignore=parse_ignore(IGNORE))
    assert taken("way", ignore=parse_ignore(IGNORE)) == {"z", "z/deep.txt"}


def test_patterns_and_suggestions_do_not_show_what_is_ignored(taken, root):
    (root / "d").mkdir()
    assert taken("*.md", ignore=parse_ignore(IGNORE)) == set()
    with pytest.raises(NotFound) as told:
        taken("d.md", ignore=parse_ignore(IGNORE))
    assert "c.md" not in told.value.message


# --- --exclude --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sources", "exclude", "expected"),
    [
        (["x"], ["*.txt"], {"b.md", "y", "y/a.txt", "y/z", "y/z/deep.txt"}),
        (["x"], ["**/*.txt"], {"b.md", "y", "y/z"}),
        (["x"], ["y"], {"a.txt", "b.md"}),
        (["x"], ["y/**"], {"a.txt", "b.md", "y"}),
        (["x"], ["*", "!b.md"], {"b.md"}),
        (["x"], ["y", "!y/z/deep.txt"], {"a.txt", "b.md", "y", "y/z", "y/z/deep.txt"}),
        (["."], ["x/y", "w", "*.txt"], {"c.md", "x", "x/a.txt", "x/b.md", "empty"}),
        (["?.txt"], ["a*"], {"b.txt", "ä.txt"}),
        (["w", "c.md"], ["#x", ".hidden"], {"a.txt", "c.md"}),
        (["?"], ["x"], {"a.txt", ".hidden"}),
    ],
)
def test_exclude(taken, sources, exclude, expected):
    assert taken(*sources, exclude=tuple(exclude)) == expected


# --- --parents --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["x/a.txt", "w/a.txt"], {"x", "x/a.txt", "w", "w/a.txt"}),
        (["./x/a.txt"], {"x", "x/a.txt"}),
        (["/x/a.txt"], {"x", "x/a.txt"}),
        (["x/./y/a.txt"], {"y", "y/a.txt"}),
        (["x/./y"], {"y", "y/a.txt", "y/z", "y/z/deep.txt"}),
        (["x/y/z/"], {"x", "x/y", "x/y/z", "x/y/z/deep.txt"}),
        (["*/a.txt"], {"x", "x/a.txt", "w", "w/a.txt"}),
        (["**/a.txt"], {"a.txt", "x", "x/a.txt", "x/y", "x/y/a.txt", "w", "w/a.txt"}),
        (["x/**/*.txt"], {"x", "x/a.txt", "x/y", "x/y/a.txt", "x/y/z", "x/y/z/deep.txt"}),
        (["x/./**/deep.txt"], {"y", "y/z", "y/z/deep.txt"}),
        (["[wx]/./*.txt"], {"a.txt"}),
        (["[x-z]/./y/a.txt"], {"y", "y/a.txt"}),
        (["nothing*"], set()),
        (["empty"], {"empty"}),
        (["a.txt"], {"a.txt"}),
    ],
)
def test_parents(taken, root, sources, expected):
    (root / "d").mkdir()
    assert taken(*sources, parents=True) == expected


def test_parents_and_exclude(taken):
    assert taken("x", parents=True, exclude=("x/y",)) == {"x", "x/a.txt", "x/b.md"}


def test_parents_keep_their_attributes_and_those_that_are_there(context, copy, root):
    (context / "x").chmod(0o711)
    (root / "d" / "x" / "y").mkdir(parents=True)
    (root / "d" / "x").chmod(0o700)
    copy("x/y/a.txt", "w/a.txt", "/d/", parents=True)
    copy("x/y/a.txt", "/e/", parents=True)
    assert (root / "d" / "x").stat().st_mode & 0o777 == 0o700
    assert (root / "e" / "x").stat().st_mode & 0o777 == 0o711


def test_parents_need_a_source_that_is_named(context, taken):
    with pytest.raises(NotFound, match=r"did you mean 'x/a\.txt'"):
        taken("x/a.tx", parents=True)


def test_parents_do_not_follow_links(context, taken):
    (context / "link").symlink_to("x")
    assert taken("link", parents=True) == {"link"}
    with pytest.raises(NotFound):
        taken("link/a.txt", parents=True)


def test_what_is_hidden_is_not_even_listed(context, taken):
    (context / "secret").mkdir(mode=0o000)
    try:
        assert "a.txt" in taken(".", ignore=parse_ignore(b"secret\n"))
        if os.geteuid():
            with pytest.raises(DaemonlessError, match="cannot read secret: Permission denied"):
                taken(".")
    finally:
        (context / "secret").chmod(0o700)
