"""USER and groups against passwd and group files, honest and hostile."""

import os
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemonless.errors import InvalidData, SetupFailed
from daemonless.isolation.identity import MAX_ID, MAX_LINE, Identity, resolve

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
app:x:1000:1001:App,,,:/home/app:/bin/sh
twin:x:1000:1002::/home/twin:/bin/sh
short:x:7:8
nohome:x:9:9::relative/path:/bin/sh
4000:x:5:5::/home/digits:/bin/sh
badid:x:zero:0::/:/bin/sh
huge:x:4294967296:0::/:/bin/sh
negative:x:-1:0::/:/bin/sh
+nis::::::
#off:x:66:66::/:/bin/sh
colonless
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
"""
GROUP = """\
root:x:0:
daemon:x:1:root
app:x:1001:
audio:x:29:app,other
video:x:44:other,app,root
apps:x:50:application
4242:x:5:
badid:x:x:app
staff:x:50000:app
+::root
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/group").write_text(GROUP)
    return tmp_path


def look_up(root, user, *groups):
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        return resolve(fd, user, list(groups))
    finally:
        os.close(fd)


ROOT = Identity(uid=0, gid=0, groups=(0, 1, 44), home="/root")
APP = Identity(uid=1000, gid=1001, groups=(1001, 29, 44, 50000), home="/home/app")


@pytest.mark.parametrize(
    ("user", "identity"),
    [
        ("", ROOT),
        ("0", ROOT),
        ("000", ROOT),
        ("root", ROOT),
        ("app", APP),
        ("1000", APP),  # of two entries the first counts
        ("twin", Identity(uid=1000, gid=1002, groups=(1002,), home="/home/twin")),
        ("2000", Identity(uid=2000, gid=0, groups=(0,), home="/")),
        ("4000", Identity(uid=4000, gid=0, groups=(0,), home="/")),  # digits are never a name
        ("short", Identity(uid=7, gid=8, groups=(8,), home="/")),
        ("nohome", Identity(uid=9, gid=9, groups=(9,), home="/")),
        ("66", Identity(uid=66, gid=0, groups=(0,), home="/")),
        ("www-data", Identity(uid=33, gid=33, groups=(33,), home="/var/www")),
        ("0:0", Identity(uid=0, gid=0, groups=(0,), home="/root")),
        (":1", Identity(uid=0, gid=1, groups=(1,), home="/root")),
        ("app:audio", Identity(uid=1000, gid=29, groups=(29,), home="/home/app")),
        ("app:4242", Identity(uid=1000, gid=4242, groups=(4242,), home="/home/app")),
        ("1:50000", Identity(uid=1, gid=50000, groups=(50000,), home="/usr/sbin")),
        (f"{MAX_ID}:{MAX_ID}", Identity(uid=MAX_ID, gid=MAX_ID, groups=(MAX_ID,), home="/")),
    ],
)
def test_user_and_group(root, user, identity):
    assert look_up(root, user) == identity


@pytest.mark.parametrize(
    ("groups", "result"),
    [
        (("audio",), (1001, 29, 44, 50000)),
        (("99", "root"), (1001, 29, 44, 50000, 99, 0)),
        (("1001", "99", "99"), (1001, 29, 44, 50000, 99)),
    ],
)
def test_further_groups(root, groups, result):
    assert look_up(root, "app", *groups).groups == result


def test_an_explicit_group_is_the_only_one_but_for_those_added(root):
    assert look_up(root, "app:1001", "video").groups == (1001, 44)


@pytest.mark.parametrize(
    "user",
    [
        *("4294967295", "4294967296", "18446744073709551616", "9" * 5000),
        *("-1", "+0", "0x0", " 0", "0 ", "٣", "²", "1e3", "1_000", "0b1", "#x", "\udcff\udcfe"),
    ],
)
@pytest.mark.parametrize("form", ["{}", "{}:0", "0:{}", "root:{}"])
def test_what_only_looks_like_a_number_never_becomes_root(root, user, form):
    line = os.fsencode(user) + b":x:0:0::/root:/bin/sh\n"
    for name in ("passwd", "group"):
        (root / "etc" / name).write_bytes(line + b"root:x:0:0::/root:/bin/sh\n")
    with pytest.raises(SetupFailed, match=r"unable to find (user|group)") as caught:
        look_up(root, form.format(user))
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    "user",
    [
        *("nobody", "App", "badid", "huge", "negative", "colonless", "#off", "+nis", "+", "0\n", "root\0"),
        *(":", "root:", "root:nogroup", "root:badid", "root:0:0", "root: 0", "root:0\n"),
    ],
)
def test_unknown_and_malformed_users_are_refused(root, user):
    with pytest.raises(SetupFailed, match=r"unable to find (user|group)") as caught:
        look_up(root, user)
    assert caught.value.message.isprintable()


def test_messages_are_podmans(root):
    with pytest.raises(SetupFailed) as caught:
        look_up(root, "nobody")
    assert caught.value.message == "unable to find user nobody: no matching entries in passwd file"
    with pytest.raises(SetupFailed) as caught:
        look_up(root, "root", "wheel")
    assert caught.value.message == "unable to find group wheel: no matching entries in group file"


@settings(database=None)
@given(st.integers(0, MAX_ID), st.integers(0, MAX_ID))
def test_numbers_stand_for_themselves(tmp_path_factory, uid, gid):
    empty = tmp_path_factory.getbasetemp()
    assert look_up(empty, f"{uid}:{gid}") == Identity(uid=uid, gid=gid, groups=(gid,))


def test_an_image_without_the_files_has_numbers_only(tmp_path):
    for user in ("", "0", "5"):
        assert look_up(tmp_path, user) == Identity(uid=int(user or 0), gid=0, groups=(0,), home="/")
    with pytest.raises(SetupFailed, match="no matching entries"):
        look_up(tmp_path, "root")
    (tmp_path / "etc").write_text("not a directory")
    assert look_up(tmp_path, "").home == "/"


# --- hostile files (CVE-2024-9676, CVE-2026-47262) ---------------------------------------------


@pytest.fixture
def canary(tmp_path_factory):
    path = tmp_path_factory.mktemp("host") / "passwd"
    path.write_text("canary:x:0:0::/canary:/bin/sh\nroot:x:0:0::/canary:/bin/sh\n")
    return path


@pytest.mark.parametrize("name", ["passwd", "group"])
@pytest.mark.parametrize("climb", ["{canary}", "../../../../../../../../../..{canary}"])
def test_links_stay_in_the_root(root, canary, name, climb):
    (root / f"etc/{name}").unlink()
    (root / f"etc/{name}").symlink_to(climb.format(canary=canary))
    assert look_up(root, "0").home in ("/", "/root")
    with pytest.raises(SetupFailed, match="no matching entries"):
        look_up(root, "canary", "canary")


def test_links_within_the_root_are_followed(root):
    (root / "usr").mkdir()
    (root / "etc").rename(root / "usr/etc")
    (root / "etc").symlink_to("/usr/etc")
    assert look_up(root, "app") == APP


def replace_by_fifo(path):
    os.mkfifo(path)


def replace_by_directory(path):
    path.mkdir()


def replace_by_a_gigabyte(path):
    with path.open("wb") as file:
        file.truncate(1 << 30)


def replace_by_a_long_line(path):
    path.write_bytes(b"root:x:0:0:" + b"x" * MAX_LINE + b":/root:/bin/sh\n")


def replace_by_a_loop(path):
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    "replace",
    [
        replace_by_fifo,
        replace_by_directory,
        replace_by_a_gigabyte,
        replace_by_a_long_line,
        replace_by_a_loop,
    ],
)
@pytest.mark.parametrize("name", ["passwd", "group"])
def test_what_is_no_small_file_is_refused_at_once(root, name, replace):
    path = root / "etc" / name
    path.unlink()
    replace(path)
    began = time.monotonic()
    with pytest.raises((InvalidData, SetupFailed), match=f"the container's /etc/{name}"):
        look_up(root, "app")
    assert time.monotonic() - began < 1


def test_a_full_file_of_long_lines_is_read_in_time(root):
    line = b"x" * 30 + b":x:1:1:" + b"y" * (MAX_LINE - 100) + b":/:/\n"
    (root / "etc/passwd").write_bytes(line * ((1 << 20) // len(line)))
    (root / "etc/group").write_bytes(b"a:x:1:,,,,,,,\n" * 70000)
    began = time.monotonic()
    assert look_up(root, "0", "99").groups == (0, 99)
    assert time.monotonic() - began < 1


def test_a_home_is_an_absolute_path_or_the_root(root):
    for home, shown in ((b"/a\0b", "/"), (b"", "/"), (b"x", "/"), (b"/h\xff", "/h\udcff"), (b"/a b", "/a b")):
        (root / "etc/passwd").write_bytes(b"root:x:0:0::" + home + b":/bin/sh\n")
        assert look_up(root, "").home == shown
