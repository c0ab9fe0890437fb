"""The reference grammar, also against distribution's own regular expressions (R-1)."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemonless.errors import UsageError
from daemonless.oci.reference import Reference, parse_reference

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"

# distribution/reference regexp.go, anchored; docker's default domain is added by the caller.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
ANCHORED = re.compile(
    rf"((?:{_DOMAIN}/)?{_COMPONENT}(?:/{_COMPONENT})*)(?::([\w][\w.-]{{0,127}}))?(?:@(sha256:[0-9a-f]{{64}}))?",
    re.ASCII,
)


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("centos:6", "docker.io/library/centos:6", "centos:6"),
        ("user/app", "docker.io/user/app:latest", "user/app:latest"),
        ("docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("index.docker.io/library/a", "docker.io/library/a:latest", "a:latest"),
        ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest", "localhost:5000/app:latest"),
        ("127.0.0.1:5000/a/b:t", "127.0.0.1:5000/a/b:t", "127.0.0.1:5000/a/b:t"),
        ("[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest"),
        ("Registry.Example/app", "registry.example/app:latest", "registry.example/app:latest"),
        (f"app@{DIGEST}", f"docker.io/library/app@{DIGEST}", f"app@{DIGEST}"),
        (f"app:1@{DIGEST}", f"docker.io/library/app:1@{DIGEST}", f"app:1@{DIGEST}"),
        ("a__b.c-d---e", "docker.io/library/a__b.c-d---e:latest", "a__b.c-d---e:latest"),
    ],
)
def test_normalised(text, full, familiar):
    reference = parse_reference(text)
    assert (str(reference), reference.familiar) == (full, familiar)
    assert parse_reference(full) == reference


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "/",
            "a/",
            "/a",
            "a//b",
            "A",
            "App",
            "user/App",
            "User/app",
            "a:",
            "a:-t",
            "a:" + "t" * 129,
            "a:b:c",
        ),
        *("a..b", "a___b", "a.-b", "-a", "a-", ".a", "_a", "a\n", "a\0", "ä", "٣", "a b", "a/../b", "../a"),
        *("a@", "a@sha256:", "a@sha256:" + "A" * 64, "a@md5:" + "0" * 32, f"a@{DIGEST}x", "a@b@" + DIGEST),
        *(HEX, "registry.example:port/a", "registry..example/a", "-r.example/a", "r.example:/a", "[::1/a"),
        *(
            "r.example:123456/a",
            "https://r.example/a",
            "user:pw@r.example/a",
            "a" * 256,
            "r.example/" + "a" * 250,
        ),
    ],
)
def test_refused(text):
    with pytest.raises(UsageError) as caught:
        parse_reference(text)
    assert "\n" not in caught.value.message
    assert "\0" not in caught.value.message


_PIECES = st.sampled_from([*"aZ0./:@-_[]", "__", "//", "..", "localhost", DIGEST, "a.b", "tag", ":5000", " "])


@settings(max_examples=300)
@given(st.lists(_PIECES, max_size=9).map("".join))
def test_accepts_only_what_distribution_accepts(text):
    try:
        reference = parse_reference(text)
    except UsageError:
        return
    assert ANCHORED.fullmatch(text), text
    assert parse_reference(str(reference)) == reference
    assert parse_reference(reference.familiar) == reference


_RUN = st.text(alphabet="az09", min_size=1, max_size=4)
_SEPARATOR = st.sampled_from([".", "_", "__", "-", "--", "/"])


@given(_RUN, st.lists(st.tuples(_SEPARATOR, _RUN), max_size=6))
def test_accepts_every_path_of_distribution(first, rest):
    path = first + "".join(separator + run for separator, run in rest)
    assert parse_reference(f"r.example/{path}") == Reference(domain="r.example", path=path, tag="latest")
