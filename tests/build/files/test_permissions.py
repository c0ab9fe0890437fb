"""--chmod and --chown."""

from __future__ import annotations

import os
import subprocess

import pytest

from daemonless.build.owners import resolve_owner
from daemonless.build.permissions import parse_mode
from daemonless.errors import SetupFailed, UsageError

MODES = ["0644", "0755", "0600", "04755", "02711", "01777", "0000"]
TEXTS = [
    *("u+x", "+x", "a+x", "go-rwx", "u=rwX,go=rX", "g=u", "o=g", "a=r", "u+s", "g+s", "+t", "o+t", "a-s"),
    *("u=rw,g=r,o=", "ug+w-x", "=rx", "a+X", "u-w+x", "g=o,o=u", "+w", "u+t", "o=rwx,a-w", "ugo=rw"),
]


@pytest.mark.parametrize("text", TEXTS)
def test_symbolic_modes_are_those_of_chmod(tmp_path, text):
    file = tmp_path / "file"
    file.touch()
    for before in MODES:
        file.chmod(int(before, 8))
        subprocess.run(["sh", "-c", 'umask 022; chmod -- "$1" "$2"', "sh", text, file], check=True)
        assert parse_mode(text)(0o100000 | int(before, 8), False) == file.stat().st_mode & 0o7777, before


def test_a_directory_is_what_can_be_executed():
    assert parse_mode("u=rwX,go=rX")(0o40600, True) == 0o755
    assert parse_mode("u=rwX,go=rX")(0o100600, False) == 0o644


@pytest.mark.parametrize("text", ["0", "7", "644", "0644", "7777", "07777"])
def test_octal_modes(text):
    assert parse_mode(text)(0o104711, False) == int(text, 8)


@pytest.mark.parametrize(
    "text",
    ["8", "778", "10000", "-1", "", "u", "u+", "x+u,", ",", "u+q", "+x ", "0o644", "٣", "u+x,z=r", "=="],
)
def test_bad_modes(text):
    if text in ("u+", "=="):
        parse_mode(text)  # as chmod: nothing is added
        return
    with pytest.raises(UsageError, match="invalid --chmod"):
        parse_mode(text)


@pytest.fixture
def image(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "passwd").write_text("root:x:0:0::/root:\nbuild:x:1000:1001::/home:\n")
    (tmp_path / "etc" / "group").write_text("root:x:0:\nstaff:x:50:build\n")
    fd = os.open(tmp_path, os.O_PATH)
    yield fd
    os.close(fd)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("build", (1000, 1001)),
        ("build:", (1000, 1001)),
        ("build:staff", (1000, 50)),
        ("build:7", (1000, 7)),
        ("1000", (1000, 1000)),  # docker: the same number
        ("55:staff", (55, 50)),
        ("55:66", (55, 66)),
        ("0", (0, 0)),
        ("root:root", (0, 0)),
    ],
)
def test_owners(image, text, expected):
    assert resolve_owner(image, text) == expected


@pytest.mark.parametrize(
    "text", ["nobody", "build:nogroup", "4294967295", "4294967296", "-1", "0x0", "a:b:c"]
)
def test_unknown_owners(image, text):
    with pytest.raises(SetupFailed, match="unable to find"):
        resolve_owner(image, text)
