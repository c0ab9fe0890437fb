"""Downloads that lose their connection, their process or their patience, and what they leave."""

import os
import random
import threading
import time

import pytest
from fake_peer import digest_of

from daemonless.errors import DaemonlessError, InvalidData
from daemonless.images import download, partial
from daemonless.images.blobs import BlobStore
from daemonless.images.download import Downloads
from daemonless.images.partial import Partial
from daemonless.images.progress import Silent
from daemonless.images.transports.registry import RegistrySource
from daemonless.oci.digest import Digest
from daemonless.oci.image import OCI_LAYER, Descriptor
from daemonless.oci.reference import parse_reference
from daemonless.registry import blob as blob_module
from daemonless.registry.errors import Unreachable

BLOB = random.Random(5).randbytes(3_000_000)


def describe(body):
    return Descriptor(media_type=OCI_LAYER, digest=Digest(digest_of(body)), size=len(body))


LAYER = describe(BLOB)


class Line:
    """Serves blobs over a line that is lost after as many bytes as `cuts` says, one after the other."""

    def __init__(self, peer, *bodies, ranges=True):
        self.cuts = []
        self.sent = 0
        self.ranges = ranges
        self.lock = threading.Lock()
        for body in bodies:
            peer.routes[f"/v2/app/blobs/{digest_of(body)}"] = lambda handler, body=body: self(handler, body)

    def __call__(self, handler, body):
        start = int(handler.headers.get("Range", "bytes=0-")[6:-1]) if self.ranges else 0
        with self.lock:
            cut = self.cuts.pop(0) if self.cuts else None
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        handler.send_header("Content-Length", str(len(body) - start))
        handler.end_headers()
        data = body[start:] if cut is None else body[start : start + cut]
        handler.wfile.write(data)
        with self.lock:
            self.sent += len(data)
        if cut is not None:
            handler.wfile.flush()
            handler.connection.close()


class Counted(Silent):
    """Adds up what a pull reports of each blob."""

    def __init__(self):
        self.counts = {}

    def advance(self, digest, count):
        self.counts[digest] = self.counts.get(digest, 0) + count


@pytest.fixture
def blobs(tmp_path):
    store = BlobStore(str(tmp_path))
    store.prepare()
    return store


@pytest.fixture
def fetch(connect, peer, blobs):
    def run(*descriptors, progress=None):
        source = RegistrySource(connect(peer), parse_reference(f"{peer.host}/app"))
        with Downloads(source, blobs, progress or Silent()) as downloads:
            return list(downloads.run(list(descriptors or (LAYER,))))

    return run


def leave(blobs, data):
    """Leave `data` as the beginning of LAYER, as a pull that was killed does."""
    with Partial(blobs, LAYER.digest) as begun:
        assert begun.claim()
        begun.write(data)


def kept(blobs):
    path = f"{blobs.root}/partial"
    return {name: os.stat(f"{path}/{name}").st_size for name in os.listdir(path)}


def test_a_hundred_lost_connections_cost_next_to_nothing(peer, blobs, fetch):
    """Each goes on at the byte where the last one stopped; none counts as a failure."""
    source = random.Random(100)
    bodies = [source.randbytes(4_000_000) for _ in range(4)]
    line = Line(peer, *bodies)
    line.cuts = [source.randrange(1, 200_000) for _ in range(100)]
    progress = Counted()
    layers = [describe(body) for body in bodies]
    fetch(*layers, progress=progress)
    total = sum(map(len, bodies))
    assert not line.cuts
    assert line.sent <= 1.2 * total
    assert all(blobs.is_intact(layer.digest, layer.size) for layer in layers)
    assert progress.counts == {layer.digest: layer.size for layer in layers}
    assert kept(blobs) == {}


def test_what_arrived_survives_a_failure(peer, blobs, fetch):
    line = Line(peer, BLOB)
    line.cuts = [1_000_000, 0, 0, 0, 0, 0]
    with pytest.raises(Unreachable):
        fetch()
    assert kept(blobs) == {f"sha256-{LAYER.digest.hex}": 1_000_000}
    assert not blobs.has(LAYER.digest)
    line.cuts = []
    progress = Counted()
    assert fetch(progress=progress) == [LAYER.digest]
    assert line.sent == len(BLOB)
    assert progress.counts == {LAYER.digest: len(BLOB)}
    assert kept(blobs) == {}


def test_all_bytes_are_there_but_not_the_name(peer, blobs, fetch):
    leave(blobs, BLOB)
    assert fetch() == [LAYER.digest]
    assert peer.seen == []
    assert blobs.is_intact(LAYER.digest, LAYER.size)


@pytest.mark.parametrize("wrong", [b"x" * 1000, BLOB + b"x"])
def test_wrong_bytes_that_were_kept_are_fetched_anew(peer, blobs, fetch, wrong):
    line = Line(peer, BLOB)
    leave(blobs, wrong)
    progress = Counted()
    assert fetch(progress=progress) == [LAYER.digest]
    assert blobs.is_intact(LAYER.digest, LAYER.size)
    assert progress.counts == {LAYER.digest: len(BLOB)}
    assert len(BLOB) <= line.sent < 2 * len(BLOB)


def test_a_registry_whose_blob_is_wrong_is_asked_once_more_only(peer, blobs, fetch):
    line = Line(peer, BLOB)
    peer.routes[f"/v2/app/blobs/{LAYER.digest}"] = lambda handler: line(handler, bytes(len(BLOB)))
    leave(blobs, BLOB[:1000])
    with pytest.raises(InvalidData, match="corrupt"):
        fetch()
    assert len(peer.seen) == 2
    assert kept(blobs) == {}


def test_a_registry_without_ranges(peer, blobs, fetch):
    line = Line(peer, BLOB, ranges=False)
    line.cuts = [1_000_000]
    assert fetch() == [LAYER.digest]
    assert line.sent == 1_000_000 + len(BLOB)


def test_a_registry_without_ranges_that_loses_the_line_while_it_repeats_itself(peer, blobs, fetch):
    line = Line(peer, BLOB, ranges=False)
    line.cuts = [1_000_000, 500_000, 900_000]
    assert fetch() == [LAYER.digest]
    assert blobs.is_intact(LAYER.digest, LAYER.size)


def test_a_busy_registry(peer, blobs, fetch):
    line = Line(peer, BLOB)
    line.cuts = [1_000_000]
    answers = iter([line, lambda *_: (503, {}, b""), lambda *_: (429, {"Retry-After": "0"}, b""), line])
    peer.routes[f"/v2/app/blobs/{LAYER.digest}"] = lambda handler: next(answers)(handler, BLOB)
    assert fetch() == [LAYER.digest]
    assert line.sent == len(BLOB)


def test_a_peer_that_trickles_is_given_up(peer, blobs, fetch, monkeypatch):
    """It would keep us for a year; no single wait for a byte is long."""
    monkeypatch.setattr(blob_module, "WINDOW", 0.1)
    monkeypatch.setattr(blob_module, "SLOW", 100_000)
    over = threading.Event()

    def trickle(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(BLOB)))
        handler.end_headers()
        try:
            for byte in BLOB:
                handler.wfile.write(bytes([byte]))
                if over.wait(0.01):
                    return
        except OSError:
            return

    peer.routes[f"/v2/app/blobs/{LAYER.digest}"] = trickle
    with pytest.raises(DaemonlessError, match="sent only") as caught:
        fetch()
    over.set()
    assert isinstance(caught.value, Unreachable)
    assert len(peer.seen) == 4


# --- two at a time ---


def test_a_blob_that_another_process_fetches_is_waited_for(peer, blobs, fetch, monkeypatch):
    monkeypatch.setattr(download, "POLL", 0.001)
    small = b"small"
    peer.blob(small)
    both = (LAYER, describe(small))
    progress = Counted()
    with Partial(blobs, LAYER.digest) as other:
        assert other.claim()
        other.write(BLOB[:1000])
        results = []
        thread = threading.Thread(target=lambda: results.extend(fetch(*both, progress=progress)))
        thread.start()
        while progress.counts.get(LAYER.digest) != 1000:  # its progress is ours
            pass
        other.write(BLOB[1000:])
        other.commit()
    thread.join()
    assert set(results) == {LAYER.digest, both[1].digest}
    assert progress.counts == {LAYER.digest: len(BLOB), digest_of(small): 5}
    assert [path for _, path, _ in peer.seen] == [f"/v2/app/blobs/{digest_of(small)}"]


def test_a_blob_whose_process_dies_is_taken_over(peer, blobs, fetch, monkeypatch):
    monkeypatch.setattr(download, "POLL", 0.001)
    line = Line(peer, BLOB)
    progress = Counted()
    with Partial(blobs, LAYER.digest) as other:
        assert other.claim()
        other.write(BLOB[:1000])
        thread = threading.Thread(target=lambda: fetch(progress=progress))
        thread.start()
        while not progress.counts:
            pass
    thread.join()
    assert line.sent == len(BLOB) - 1000
    assert progress.counts == {LAYER.digest: len(BLOB)}
    assert blobs.is_intact(LAYER.digest, LAYER.size)


def test_sweep(blobs):
    leave(blobs, b"begun")
    name = f"sha256-{LAYER.digest.hex}"
    assert partial.sweep(blobs) == 0
    with Partial(blobs, LAYER.digest) as begun:
        assert begun.claim()
        assert partial.sweep(blobs, age=0.0) == 0
    os.utime(f"{blobs.root}/partial/{name}", (1, 1))
    assert partial.sweep(blobs) == len(b"begun")
    assert kept(blobs) == {}
    with Partial(blobs, LAYER.digest) as empty:
        empty.claim()
    assert list(kept(blobs)) == [name]
    partial.sweep(blobs)  # it is of no use to anybody
    assert kept(blobs) == {}


@pytest.mark.parametrize("arrived", [0, 1000])
def test_who_leaves_early_leaves_what_has_arrived_and_nothing_empty(connect, peer, blobs, arrived):
    """The thread waits for its peer as long as it likes, and ends with the process."""
    asked, release = threading.Event(), threading.Event()

    def stuck(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(BLOB)))
        handler.end_headers()
        handler.wfile.write(BLOB[:arrived])
        asked.set()
        release.wait(20)

    peer.routes[f"/v2/app/blobs/{LAYER.digest}"] = stuck
    source = RegistrySource(connect(peer), parse_reference(f"{peer.host}/app"))
    with pytest.raises(InvalidData), Downloads(source, blobs, Silent()) as downloads:
        downloads.begin([LAYER])
        assert asked.wait(20)
        deadline = time.monotonic() + 20
        while list(kept(blobs).values()) != [arrived]:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        raise InvalidData("the config is wrong")
    assert list(kept(blobs).values()) == ([arrived] if arrived else [])
    release.set()
    for thread in downloads._threads:
        thread.join(20)
    assert list(kept(blobs).values()) == ([arrived] if arrived else [])
    assert not blobs.has(LAYER.digest)
