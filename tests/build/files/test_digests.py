"""What the digest of a selection depends on, and what the index may remember."""

from __future__ import annotations

import os
import time

import pytest
from copies import work

from daemonless.build import digests, index
from daemonless.build.digests import digest_selection
from daemonless.build.index import ContentIndex, open_index
from daemonless.build.selection import select
from daemonless.errors import DaemonlessError


@pytest.fixture
def digest(tree):
    """Return the digest of what words of a COPY take."""

    def digest(*words, known=None, ignore=None, owners=False, **fields):
        what = work(*(words or (".", "/")), **fields)
        return digest_selection(select(tree(ignore, owners=owners), what), what, known or ContentIndex())

    return digest


def fill(directory, names):
    for name in names:
        path = directory / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(name)


NAMES = ["a", "b", "d/one", "d/two", "e/f/g"]


def test_times_and_the_order_of_making_do_not_count(context, digest):
    fill(context, NAMES)
    (context / "link").symlink_to("a")
    first = digest()
    (context / "link").unlink()
    for name in ("e/f/g", "d/two", "a"):
        (context / name).unlink()
    fill(context, ["a", "d/two", "e/f/g"])
    (context / "link").symlink_to("a")
    for path in context.rglob("*"):
        os.utime(path, ns=(5, 5), follow_symlinks=False)
    assert digest() == first
    assert digest("a", "b", "d", "/x/") == digest("/a", "./b", "d/", "/y/")


@pytest.mark.parametrize(
    "change",
    [
        lambda c: (c / "a").write_text("A"),
        lambda c: (c / "a").chmod(0o755),
        lambda c: (c / "d").chmod(0o700),
        lambda c: (c / "a").rename(c / "z"),
        lambda c: (c / "d" / "one").rename(c / "one"),
        lambda c: (c / "d" / "one").unlink(),
        lambda c: (c / "empty").mkdir(),
        lambda c: (c / "link").unlink() or (c / "link").symlink_to("b"),
        lambda c: (c / "link").unlink() or (c / "link").write_text("a"),
        lambda c: (c / "d" / "two").unlink() or os.mkfifo(c / "d" / "two"),
        lambda c: os.setxattr(c / "a", "user.x", b"1"),
        lambda c: os.setxattr(c / "d", "user.x", b"1"),
        lambda c: (c / "a").write_text("b") and (c / "b").write_text("a"),
    ],
)
def test_every_change_counts(context, digest, change):
    fill(context, NAMES)
    (context / "link").symlink_to("a")
    first = digest()
    change(context)
    assert digest() != first


def test_a_file_that_is_not_copied_does_not_count(context, digest):
    fill(context, NAMES)
    first = digest("d", "/x")
    (context / "a").write_text("changed")
    assert digest("d", "/x") == first != digest("e", "/x")


def test_modes_do_not_count_where_chmod_replaces_them(context, digest):
    fill(context, NAMES)
    octal, symbolic = digest(chmod="755"), digest(chmod="u+x")
    (context / "a").chmod(0o600)
    assert digest(chmod="755") == octal
    assert digest(chmod="u+x") != symbolic


def test_the_name_of_a_source_and_of_inline_files_counts(context, digest):
    (context / "x").write_text("same")
    (context / "y").write_text("same")
    assert digest("x", "/d/") != digest("y", "/d/")
    seen = {digest("/d/", inline=inline) for inline in ((("a", "b"),), (("ab", ""),), (("a", "c"),), ())}
    assert len(seen) == 4


def test_owners_count_where_they_are_kept(context, digest, monkeypatch):
    fill(context, NAMES)
    assert digest() == digest(owners=True, chown="5")
    if os.geteuid() or os.getegid():
        assert digest() != digest(owners=True)


def test_an_unreadable_file_is_told(context, digest):
    (context / "secret").write_text("x")
    (context / "secret").chmod(0)
    if os.geteuid():
        with pytest.raises(DaemonlessError, match="cannot read secret: Permission denied"):
            digest()


# --- the index --------------------------------------------------------------------------------


@pytest.fixture
def reads(monkeypatch):
    """The names of files that were read."""
    names = []
    read = digests._Digester._read

    def spy(self, dir_fd, directory, name, status):
        names.append(name)
        return read(self, dir_fd, directory, name, status)

    monkeypatch.setattr(digests._Digester, "_read", spy)
    return names


@pytest.fixture
def known(tmp_path, context):
    """Open the context's index, as every build does."""

    def known():
        fd = os.open(context, os.O_PATH)
        try:
            return open_index(str(tmp_path / "cache"), fd)
        finally:
            os.close(fd)

    return known


def test_what_has_not_changed_is_not_read_again(context, digest, reads, known):
    fill(context, NAMES)
    time.sleep(0.03)
    first_index = known()
    first = digest(known=first_index)
    assert len(reads) == len(NAMES)
    first_index.save()
    reads.clear()
    assert digest(known=known()) == first and not reads
    (context / "a").write_text("A")
    assert digest(known=known()) != first and reads == ["a"]


def test_a_change_that_keeps_size_and_time_is_seen(context, digest, known):
    fill(context, NAMES)
    time.sleep(0.03)
    first_index = known()
    first = digest(known=first_index)
    first_index.save()
    before = (context / "a").stat()
    (context / "a").write_text("z")
    os.utime(context / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert digest(known=known()) != first


def test_a_file_that_was_just_changed_is_not_remembered(context, digest, reads, known, monkeypatch):
    fill(context, ["a"])
    changed = (context / "a").stat().st_ctime_ns
    monkeypatch.setattr(index.time, "time_ns", lambda: changed + 10_000_000)
    one = known()
    digest(known=one)
    one.save()
    digest(known=known())
    assert reads == ["a", "a"]


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:-1] + b"?", lambda data: b""])
def test_a_damaged_index_is_as_none(context, digest, reads, known, tmp_path, damage):
    fill(context, NAMES)
    time.sleep(0.03)
    one = known()
    first = digest(known=one)
    one.save()
    (path,) = (tmp_path / "cache" / "contexts").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(damage(path.read_bytes()))
    assert digest(known=known()) == first
    assert len(reads) == 2 * len(NAMES)


def test_files_that_are_gone_are_forgotten(context, digest, known, tmp_path):
    fill(context, NAMES)
    time.sleep(0.03)
    one = known()
    digest(known=one)
    one.save()
    (path,) = (tmp_path / "cache" / "contexts").iterdir()
    (context / "a").unlink()
    sizes = [path.stat().st_size]
    for number in range(8):
        (context / "b").write_text(str(number))
        time.sleep(0.03)
        one = known()
        digest(known=one)
        one.save()
        sizes.append(path.stat().st_size)
    assert sizes[1] == sizes[0] and sizes[-1] < sizes[0]


def test_only_the_latest_contexts_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(index, "_MAX_CONTEXTS", 3)
    file = tmp_path / "f"
    file.write_text("x")
    for number in range(6):
        one = ContentIndex(f"{tmp_path}/contexts/{number}")
        status = file.stat()
        monkeypatch.setattr(index.time, "time_ns", lambda: 1 << 62)
        one.put(status, status, bytes(32))
        one.save()
        os.utime(f"{tmp_path}/contexts/{number}", (number, number))
    assert sorted(os.listdir(tmp_path / "contexts")) == ["3", "4", "5"]
