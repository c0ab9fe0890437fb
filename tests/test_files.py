import errno
import multiprocessing
import os
import resource
import tracemalloc

import pytest

from daemonless import files
from daemonless.errors import InvalidData


def test_write_atomic_replaces_and_leaves_nothing_else(tmp_path):
    target = tmp_path / "state.json"
    files.write_atomic(str(target), b"one")
    files.write_atomic(str(target), b"two", durable=False)
    assert target.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["state.json"]
    assert target.stat().st_mode & 0o777 == 0o600


def _write_too_much(path):
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
    try:
        files.write_atomic(path, b"x" * 100)
    except OSError as error:
        os._exit(0 if error.errno == errno.EFBIG else 1)
    os._exit(2)


def test_failed_write_keeps_the_old_file_and_no_temporary(tmp_path):
    target = tmp_path / "state.json"
    files.write_atomic(str(target), b"old")
    child = multiprocessing.get_context("fork").Process(target=_write_too_much, args=(str(target),))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["state.json"]


def test_read_file_needs_the_memory_of_the_file_only(tmp_path):
    (tmp_path / "a").write_bytes(b"a" * 300_000)
    tracemalloc.start()
    try:
        files.read_file(str(tmp_path / "a"), 1 << 30)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_read_file_is_bounded_and_reads_regular_files_only(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert files.read_file(str(tmp_path / "a"), 5) == b"12345"
    with pytest.raises(InvalidData, match="larger than 4 bytes"):
        files.read_file(str(tmp_path / "a"), 4)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InvalidData, match="not a regular file"):
        files.read_file(str(tmp_path / "fifo"))
    with pytest.raises(InvalidData, match="not a regular file"):
        files.read_file("/dev/zero")


def _hold(path, ready, done):
    with files.Lock(path):
        ready.set()
        done.wait(10)


def test_lock_is_seen_without_being_taken_and_ends_with_its_holder(tmp_path):
    path = str(tmp_path / "lock")
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    assert not files.lock_is_held(path)
    holder = context.Process(target=_hold, args=(path, ready, done))
    holder.start()
    assert ready.wait(10)
    assert files.lock_is_held(path)
    assert not files.Lock(path).try_acquire()
    holder.kill()
    holder.join()
    assert not files.lock_is_held(path)
    assert files.Lock(path).try_acquire()


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a" / "file").write_text("inside")
    (tmp_path / "canary").write_text("outside")
    (root / "absolute").symlink_to("/a/file")
    (root / "up").symlink_to("../../../../canary")
    (root / "escape").symlink_to(str(tmp_path / "canary"))
    fd = os.open(root, os.O_PATH)
    yield fd
    os.close(fd)


def test_open_in_root_reads_absolute_links_inside(tree):
    fd = files.open_in_root(tree, b"absolute", os.O_RDONLY)
    assert os.read(fd, 100) == b"inside"
    os.close(fd)


@pytest.mark.parametrize("path", [b"up", b"escape", b"../canary", b"/../canary"])
def test_open_in_root_never_leaves(tree, path):
    with pytest.raises(FileNotFoundError):
        files.open_in_root(tree, path, os.O_RDONLY)


@pytest.mark.parametrize("path", [b"absolute", b"up", b"escape", b"../canary", b"/a/file", b"a/../../canary"])
def test_open_beneath_refuses_every_way_out(tree, path):
    with pytest.raises(OSError, match="Invalid cross-device link"):
        files.open_beneath(tree, path, os.O_RDONLY)


def test_open_beneath_opens_what_is_below(tree):
    fd = files.open_beneath(tree, b"a/file", os.O_RDONLY)
    assert os.read(fd, 100) == b"inside"
    os.close(fd)


def test_magic_links_are_not_followed(tmp_path):
    proc = os.open("/proc/self", os.O_PATH)
    with pytest.raises(OSError, match=r"Too many levels|Operation not permitted"):
        files.open_in_root(proc, b"fd/0", os.O_RDONLY)
    os.close(proc)
