"""The pool of unpackers: U-26 to U-28, S-4, and what remains when somebody is killed."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import resource
import signal
import socket
import sys
import threading
import time

import pytest
import zstandard
from layer_archives import archive, directory, member
from unpacking import SINGLE

from daemonless import syscalls
from daemonless.errors import DaemonlessError, InvalidData, SetupFailed, Unsupported
from daemonless.isolation.userns import keep_id_map, load_id_map, start_mapped
from daemonless.layers import server, staging, trash
from daemonless.layers.store import LayerStore
from daemonless.layers.worker import UnpackPool
from daemonless.oci.digest import Digest

PLAIN = "application/vnd.oci.image.layer.v1.tar"
TYPES = {"": PLAIN, "gzip": PLAIN + "+gzip", "zstd": PLAIN + "+zstd"}
COMPRESS = {"": bytes, "gzip": gzip.compress, "zstd": zstandard.compress}


def digest(data):
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


@pytest.fixture(scope="session")
def id_map():
    """The user's id map, if user namespaces can be had at all."""
    id_map = load_id_map(os.geteuid(), os.getegid())
    try:
        os.waitpid(start_mapped(lambda: 0, id_map), 0)
    except SetupFailed as error:
        pytest.skip(f"needs user namespaces: {error}")
    return id_map


@pytest.fixture
def data(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    open_before = len(os.listdir("/proc/self/fd"))
    yield data
    assert len(os.listdir("/proc/self/fd")) == open_before


def layer(content=b"x", compression="gzip"):
    """Return (blob, diff_id, media type) of a small layer."""
    plain = archive(directory(b"d"), member(b"d/f", content))
    return COMPRESS[compression](plain), digest(plain), TYPES[compression]


def submit(pool, tmp_path, blob, diff_id, media_type):
    path = tmp_path / f"blob{os.urandom(4).hex()}"
    path.write_bytes(blob)
    return pool.submit(str(path), diff_id, media_type)


def leftovers(data):
    return [path.name for path in (data / "tmp").iterdir()]


def visible(data):
    return [path.name for path in (data / "layers").glob("*/*")]


@pytest.mark.parametrize("compression", TYPES)
def test_unpacks_every_kind(compression, data, tmp_path, id_map):
    blob, diff_id, media_type = layer(b"content", compression)
    with UnpackPool(str(data), id_map) as pool:
        submit(pool, tmp_path, blob, diff_id, media_type)
        pool.wait()
        store = LayerStore(str(data), id_map.key)
        assert store.has(diff_id)
        assert store.size(diff_id) == 7
        with open(f"{store.path(diff_id)}/d/f", "rb") as file:
            assert file.read() == b"content"
    assert leftovers(data) == []
    assert os.lstat(store.path(diff_id)).st_uid == os.geteuid()
    assert sorted(os.listdir(os.path.dirname(store.path(diff_id)))) == ["diff", "layer.json"]


def test_many_layers_from_many_threads(data, tmp_path, id_map):
    layers = [layer(b"%d" % number) for number in range(12)]
    with UnpackPool(str(data), id_map) as pool:
        threads = [threading.Thread(target=submit, args=(pool, tmp_path, *each)) for each in layers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pool.wait()
    assert sorted(visible(data)) == sorted(diff_id.hex for _, diff_id, _ in layers)
    assert leftovers(data) == []


def test_the_same_layer_twice_at_once_is_one_layer(data, tmp_path, id_map):
    with UnpackPool(str(data), id_map) as pool, UnpackPool(str(data), id_map) as other:
        for each in (pool, other, pool):
            submit(each, tmp_path, *layer())
        pool.wait()
        other.wait()
    assert visible(data) == [layer()[1].hex]
    assert leftovers(data) == []


def test_warnings_name_the_layer(data, tmp_path, id_map):
    plain = archive(member(b"null", kind=b"3", major=1, minor=3))
    with UnpackPool(str(data), id_map) as pool:
        submit(pool, tmp_path, plain, digest(plain), PLAIN)
        pool.wait()
    assert len(pool.warnings) == 1
    assert pool.warnings[0].startswith(f"layer {digest(plain).short}: device nodes were left out")


def test_a_map_with_another_root_gives_layers_their_user_can_remove(data, tmp_path, id_map):
    """`--userns=keep-id`: the files belong to a subordinate id, the layer's directory to the user."""
    if id_map.is_single:
        pytest.skip(f"needs subordinate ids: {id_map.reason}")
    kept = keep_id_map(id_map, 1000, 1000)
    with UnpackPool(str(data), kept) as pool:
        submit(pool, tmp_path, *layer())
        pool.wait()
    store = LayerStore(str(data), kept.key)
    path = store.path(layer()[1])
    assert os.lstat(f"{path}/d/f").st_uid == id_map.uids[1][1]
    assert store.size(layer()[1]) == 1
    trash.discard(str(data), os.path.dirname(path))
    trash.empty_in_background(str(data))
    wait_until(lambda: not list((data / "trash").iterdir()))


GOOD, GOOD_ID, GOOD_TYPE = layer(b"y" * 5000)
TRAILED = archive(member(b"f"), end=bytes(10240))
FAILURES = {
    "U-26 other content": (GOOD, digest(b""), GOOD_TYPE, "not what the image's config says"),
    "U-26 without what follows the end": (
        TRAILED,
        digest(TRAILED[:-512]),
        PLAIN,
        "not what the image's config",
    ),
    "cut gzip": (GOOD[:-3], GOOD_ID, GOOD_TYPE, "ends too early"),
    "cut zstd": (layer(b"y", "zstd")[0][:-9], layer(b"y")[1], TYPES["zstd"], "ends too early"),
    "wrong type": (GOOD, GOOD_ID, PLAIN, "media type says plain tar"),
    "bad member": (archive(member(b"../x")), GOOD_ID, PLAIN, 'layer entry ../x: the name has a ".."'),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_bad_layer_leaves_nothing(case, data, tmp_path, id_map):
    blob, diff_id, media_type, message = FAILURES[case]
    with pytest.raises(InvalidData) as caught, UnpackPool(str(data), id_map) as pool:
        submit(pool, tmp_path, blob, diff_id, media_type)
        pool.wait()
    assert caught.value.message.startswith(f"cannot unpack layer {diff_id.short}: ")
    assert message in caught.value.message
    assert (visible(data), leftovers(data)) == ([], [])


def test_good_layers_stay_when_another_is_bad(data, tmp_path, id_map):
    with UnpackPool(str(data), id_map) as pool:
        submit(pool, tmp_path, *layer())
        pool.wait()
        submit(pool, tmp_path, GOOD[:-3], GOOD_ID, GOOD_TYPE)
        with pytest.raises(InvalidData):
            pool.wait()
        submit(pool, tmp_path, *layer(b"z"))
        pool.wait()
    assert sorted(visible(data)) == sorted(layer(content)[1].hex for content in (b"x", b"z"))


def test_unknown_media_type_and_missing_blob(data, tmp_path, id_map):
    with UnpackPool(str(data), id_map) as pool:
        with pytest.raises(Unsupported):
            submit(pool, tmp_path, b"", digest(b""), "application/octet-stream")
        with pytest.raises(FileNotFoundError):
            pool.submit(str(tmp_path / "missing"), digest(b""), PLAIN)
        pool.wait()


def large():
    """A layer that takes a while: a few thousand files."""
    plain = archive(*[member(b"d%d/f%d" % (n % 50, n)) for n in range(2500)])
    return plain, digest(plain), PLAIN


def wait_until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_leaving_the_pool_stops_it(data, tmp_path, id_map):
    with pytest.raises(KeyboardInterrupt), UnpackPool(str(data), id_map) as pool:
        submit(pool, tmp_path, *large())
        wait_until(lambda: leftovers(data))
        raise KeyboardInterrupt
    assert (visible(data), leftovers(data)) == ([], [])
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    wait_until(lambda: not list((data / "trash").iterdir()))


def test_a_killed_caller_leaves_nothing_to_see(data, tmp_path, id_map):
    pid = os.fork()
    if pid == 0:
        with UnpackPool(str(data), id_map) as pool:
            submit(pool, tmp_path, *large())
            wait_until(lambda: leftovers(data))
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    wait_until(lambda: not leftovers(data))  # the server saw the socket close
    assert visible(data) == []


def test_a_killed_server_is_an_error_and_its_staging_is_swept(data, tmp_path, id_map):
    with pytest.raises(DaemonlessError, match="ended unexpectedly"), UnpackPool(str(data), id_map) as pool:
        submit(pool, tmp_path, *large())
        wait_until(lambda: leftovers(data))
        os.kill(pool._server.pid, signal.SIGKILL)
        pool.wait()
    assert visible(data) == []
    assert leftovers(data)
    with UnpackPool(str(data), id_map) as pool:
        assert leftovers(data) == []
        submit(pool, tmp_path, *layer())
        pool.wait()
    assert visible(data) == [layer()[1].hex]


# --- staging, step by step ---------------------------------------------------------------------


@pytest.fixture
def data_fd(data):
    for name in ("tmp", "trash", "layers", "layers/single"):
        (data / name).mkdir(mode=0o700)
    fd = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def unpack_once(tmp_path, data_fd):
    """What a child of the server does, without the server."""
    blob, diff_id, _ = layer()
    (tmp_path / "blob").write_bytes(blob)
    fd = os.open(tmp_path / "blob", os.O_RDONLY)
    job = server._Job({"ticket": 1, "diffId": diff_id, "compression": "gzip"}, fd)
    staged = staging.Staging(data_fd, (os.geteuid(), os.getegid()))
    answer = server._unpack(job, staged, data_fd, "layers/single", SINGLE)
    staged.close()
    os.close(fd)
    return answer


STEPS = {
    "staging made": (os, "fchmod"),
    "file made": (os, "utime"),
    "record": (staging, "write_all"),
    "attic": (os, "rmdir"),
    "sync": (syscalls, "syncfs"),
    "rename": (os, "rename"),
}


@pytest.mark.parametrize("step", STEPS)
def test_u27_killed_at_any_step_it_is_not_visible_and_works_the_next_time(
    step, data, data_fd, tmp_path, monkeypatch
):
    """The kill at an exact step is made by what is called there."""
    pid = os.fork()
    if pid == 0:
        owner, name = STEPS[step]
        setattr(owner, name, lambda *_args, **_options: os.kill(os.getpid(), signal.SIGKILL))
        unpack_once(tmp_path, data_fd)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert visible(data) == []
    assert len(leftovers(data)) == 1
    staging.sweep(data_fd)
    assert leftovers(data) == []
    limits = {kind: resource.getrlimit(kind) for kind in (resource.RLIMIT_FSIZE,)}
    monkeypatch.setattr(server, "_limit", lambda *_: None)
    assert b"error" not in unpack_once(tmp_path, data_fd)
    assert limits == {kind: resource.getrlimit(kind) for kind in limits}
    assert visible(data) == [layer()[1].hex]


def test_s4_order_is_record_sync_rename_sync(data, data_fd, tmp_path, monkeypatch):
    calls = []

    def traced(owner, name):
        original = getattr(owner, name)

        def call(*args, **options):
            calls.append(name)
            return original(*args, **options)

        monkeypatch.setattr(owner, name, call)

    monkeypatch.setattr(server, "_limit", lambda *_: None)
    for owner, name in ((staging, "write_all"), (syscalls, "syncfs"), (os, "rename"), (os, "fsync")):
        traced(owner, name)
    unpack_once(tmp_path, data_fd)
    assert calls == ["write_all", "syncfs", "rename", "fsync"]


def test_the_living_are_not_swept(data, data_fd):
    staged = staging.Staging(data_fd, (os.geteuid(), os.getegid()))
    (data / "tmp" / "other").mkdir()
    staging.sweep(data_fd)
    assert sorted(leftovers(data)) == sorted(["other", os.path.basename(staged.path)])
    staged.close()
    staging.sweep(data_fd)
    assert leftovers(data) == ["other"]


def test_a_full_disk_is_reported_as_such(data, data_fd, tmp_path, monkeypatch):
    def full(_fd):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(server, "_limit", lambda *_: None)
    monkeypatch.setattr(syscalls, "syncfs", full)
    assert b'"errno":28' in unpack_once(tmp_path, data_fd)
    assert visible(data) == []


# --- confinement -------------------------------------------------------------------------------


def test_u28_the_server_sees_no_files_no_network_and_no_privileges(data, tmp_path, id_map):
    """Checked from inside: the number of the first check that fails is the exit status."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    left, right = socket.socketpair()
    home = os.environ["HOME"]
    data_fd = os.open(data, os.O_RDONLY | os.O_DIRECTORY)

    def inside():
        server._confine(left.fileno(), data_fd)
        with socket.socket() as client:
            network = client.connect_ex(address)
        checks = [
            os.listdir("/") == [],
            not os.path.exists(home),
            not os.path.exists("/proc/self"),
            not os.path.exists("../../../etc"),
            network != 0,
            syscalls.prctl(39) == 1,  # PR_GET_NO_NEW_PRIVS
            resource.getrlimit(resource.RLIMIT_CORE) == (0, 0),
            resource.getrlimit(resource.RLIMIT_CPU)[1] == 4 * 3600,
            0 < resource.getrlimit(resource.RLIMIT_NOFILE)[1] <= 4096,
            os.getpid() == 1,
            _fails(errno.EROFS, lambda: os.mkdir("/x")),
            all(_fails(errno.EBADF, lambda fd=fd: os.fstat(fd)) for fd in range(5, 100)),
            _is_same(4, data),
        ]
        return checks.index(False) + 1 if False in checks else 0

    def _is_same(fd, path):
        return os.fstat(fd).st_ino == inode

    inode = data.stat().st_ino
    namespaces = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWPID
    pid = start_mapped(inside, id_map, namespaces)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    for each in (listener, left, right):
        each.close()
    os.close(data_fd)


def _fails(number, function):
    try:
        function()
    except OSError as error:
        return error.errno == number
    return False


def test_py1_nothing_is_imported_or_loaded_once_confined(data, tmp_path, id_map):
    """An import in a place without files would fail, and in one with files be the attacker's."""
    blobs = [(*layer(b"x", compression), compression) for compression in TYPES]
    blobs.append((GOOD[:-3], GOOD_ID, "", "gzip"))
    fds = []
    for number, (blob, *_) in enumerate(blobs):
        (tmp_path / f"{number}").write_bytes(blob)
        fds.append(os.open(tmp_path / f"{number}", os.O_RDONLY))
    for name in ("tmp", "trash", f"layers/{id_map.key}"):
        (data / name).mkdir(parents=True)
    data_fd = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    left, right = socket.socketpair()
    forbidden = {"import", "ctypes.dlopen", "subprocess.Popen", "os.exec", "socket.connect"}

    def inside():
        del sys.modules["hashlib"]  # imported late, by new_hash: before or after?
        close_range = syscalls.close_range
        syscalls.close_range = lambda _first: None  # the blobs are to stay open
        server._confine(left.fileno(), data_fd)
        syscalls.close_range = close_range
        sys.addaudithook(lambda event, _args: os._exit(97) if event in forbidden else None)
        answers = []
        for fd, (_, diff_id, _, compression) in zip(fds, blobs, strict=True):
            job = server._Job({"ticket": 1, "diffId": diff_id, "compression": compression}, fd)
            staged = staging.Staging(data_fd, (0, 0))
            answers.append(b"error" in server._unpack(job, staged, data_fd, f"layers/{id_map.key}", id_map))
        return 0 if answers == [False, False, False, True] else 1

    pid = start_mapped(inside, id_map, syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    for fd in (*fds, data_fd):
        os.close(fd)
    left.close()
    right.close()
    assert len(visible(data)) == 1
