import os
import select
import signal
import time

import pytest

from daemonless.errors import SetupFailed
from daemonless.isolation import userns
from daemonless.isolation.idmaps import unmapped_id_map
from daemonless.isolation.userns import IdMap, keep_id_map

DEFAULT = IdMap(uids=((0, 1000, 1), (1, 100000, 65536)), gids=((0, 1000, 1), (1, 100000, 65536)))
TWO_RANGES = IdMap(
    uids=((0, 1000, 1), (1, 100000, 500), (501, 900000, 1000)),
    gids=((0, 1000, 1), (1, 100000, 500), (501, 900000, 1000)),
)


def test_translates_both_ways():
    assert DEFAULT.to_outside(0) == 1000
    assert DEFAULT.to_outside(33) == 100032
    assert DEFAULT.to_inside(100032) == 33
    assert DEFAULT.to_outside(65537) is None
    assert DEFAULT.to_inside(0) is None


@pytest.mark.parametrize("default", [DEFAULT, TWO_RANGES])
@pytest.mark.parametrize("kept", [0, 1, 499, 500, 501, 1000, 1499, 1500])
def test_keep_id_maps_the_caller_and_loses_no_id(default, kept):
    kept_map = keep_id_map(default, kept, kept)
    assert kept_map.to_outside(kept) == 1000
    outside = [kept_map.to_outside(inside) for inside in range(1501)]
    assert None not in outside
    assert len(set(outside)) == 1501
    total = sum(length for _, _, length in kept_map.uids)
    assert total == sum(length for _, _, length in default.uids)


def test_maps_without_the_caller():
    assert unmapped_id_map(DEFAULT).uids == ((0, 100000, 65536),)
    assert unmapped_id_map(TWO_RANGES).uids == ((0, 100000, 500), (500, 900000, 1000))
    assert unmapped_id_map(TWO_RANGES, 400, 200).gids == ((0, 100400, 100), (100, 900000, 100))
    assert unmapped_id_map(TWO_RANGES, 1000, 500).uids == ((0, 900500, 500),)
    with pytest.raises(SetupFailed, match="fewer than 1501"):
        unmapped_id_map(TWO_RANGES, 1000, 501)
    single = IdMap(uids=((0, 1000, 1),), gids=((0, 1000, 1),), reason="there is no newuidmap")
    with pytest.raises(SetupFailed, match="no newuidmap"):
        unmapped_id_map(single)


def test_our_own_tasks_have_the_caller_as_well():
    id_map = unmapped_id_map(TWO_RANGES)
    assert not id_map.has(1000, 1000) and TWO_RANGES.has(1000, 1000)
    reaching = id_map.with_own(1000, 1000)
    assert reaching.uids == (*id_map.uids, (1500, 1000, 1)) and reaching.has(1000, 1000)
    assert TWO_RANGES.with_own(1000, 1000) == TWO_RANGES


def test_keep_id_beyond_the_range_is_refused():
    with pytest.raises(SetupFailed, match="beyond the 65536 subordinate ids"):
        keep_id_map(DEFAULT, 65537, 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dev:100000:65536\n", [(100000, 65536)]),
        ("dev:100000:65536\nother:1:1\n1000:300000:10\n", [(100000, 65536), (300000, 10)]),
        ("dev:100000:65536  \n  dev:7:7", [(100000, 65536), (7, 7)]),
        ("dev:x:1\ndev:1\ndev:1:-1\ndev:4294967295:2\ndev:1:0\n# dev:1:1\n", []),
        ("", []),
    ],
)
def test_subordinate_ranges(tmp_path, text, expected):
    (tmp_path / "subuid").write_text(text)
    assert userns._subordinate(str(tmp_path / "subuid"), ["dev", "1000"]) == expected


def test_a_user_without_ranges_gets_one_id_and_the_reason(monkeypatch):
    monkeypatch.setattr(userns, "_subordinate", lambda _path, _names: [])
    alone = userns.load_id_map(os.getuid(), os.getgid())
    assert alone.is_single
    assert alone.key == "single"
    assert "/etc/subuid has no range" in alone.reason
    assert "usermod --add-subuids" in alone.reason


def test_a_missing_newuidmap_is_named(monkeypatch):
    monkeypatch.setattr(userns, "NEWUIDMAP", "/nonexistent/newuidmap")
    monkeypatch.setattr(userns, "_subordinate", lambda _path, _names: [(100000, 65536)])
    alone = userns.load_id_map(os.getuid(), os.getgid())
    assert alone.is_single
    assert "apt-get install uidmap" in alone.reason


def test_start_mapped_runs_as_root_of_its_own_namespace():
    alone = IdMap(uids=((0, os.getuid(), 1),), gids=((0, os.getgid(), 1),), key="single")
    pid = userns.start_mapped(lambda: 7 if (os.getuid(), os.getgid()) == (0, 0) else 1, alone)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


def test_an_interrupt_as_it_begins_ends_the_child_that_waits_for_us(monkeypatch):
    alone = IdMap(uids=((0, os.getuid(), 1),), gids=((0, os.getgid(), 1),), key="single")
    ours, _ours_too = os.pipe()
    write = os.write

    def interrupted(fd: int, data: bytes) -> int:
        count = write(fd, data)
        if data == b"!":
            raise KeyboardInterrupt
        return count

    monkeypatch.setattr(os, "write", interrupted)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        userns.start_mapped(lambda: len(select.select([ours], [], [], 20)), alone)
    assert time.monotonic() - started < 10
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_child_gets_ready_with_our_own_ids_until_it_is_told_to_go():
    id_map = userns.keep_id_map(userns.load_id_map(os.getuid(), os.getgid()), 1000, 1000)
    read_end, write_end = os.pipe()
    child = userns.MappedChild(
        lambda: 3 if os.getuid() == 0 else 4,
        id_map,
        prepare=lambda: os.write(write_end, b"%d" % os.getuid()),
    )
    assert os.read(read_end, 10) in (b"65534", b"1000")  # before and after it is mapped
    assert os.waitpid(child.pid, os.WNOHANG) == (0, 0)
    child.go()
    assert os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1]) == 3
    child.kill()  # does nothing any more
    os.close(read_end)
    os.close(write_end)


def test_a_child_that_is_not_needed_leaves_nothing():
    before = os.listdir("/proc/self/fd")
    child = userns.MappedChild(lambda: 3, userns.load_id_map(os.getuid(), os.getgid()), prepare=signal.pause)
    child.kill()
    child.kill()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert os.listdir("/proc/self/fd") == before


def test_a_child_that_fails_to_get_ready_is_an_error():
    def prepare():
        raise ImportError("no module")

    child = userns.MappedChild(lambda: 3, userns.load_id_map(os.getuid(), os.getgid()), prepare=prepare)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(SetupFailed, match="ended before its time"):
        child.go()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
