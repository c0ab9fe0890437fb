"""Volumes on disk: they appear and go as a whole, under a lock that goes with them."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from daemonless.config import Paths
from daemonless.errors import InvalidData, NameInUse, NotFound, UsageError
from daemonless.files import lock_is_held
from daemonless.volumes.store import Volume, VolumeStore, check_name, new_name


@pytest.fixture
def store(paths: Paths) -> VolumeStore:
    Path(paths.data, "trash").mkdir()
    return VolumeStore(paths)


def make(store: VolumeStore, name: str, **given: object) -> Volume:
    volume = store.create(name, durable=False, **given)  # type: ignore[arg-type]
    volume.release()
    return volume


def test_a_new_volume_is_empty_and_locked_by_its_maker(store: VolumeStore) -> None:
    volume = store.create("data", labels={"a": "b"})
    assert lock_is_held(f"{volume.directory}/lock")
    volume.release()
    assert not lock_is_held(f"{volume.directory}/lock")
    found = store.find("data")
    assert found.record["labels"] == {"a": "b"}
    assert found.needs_copy_up and not found.is_anonymous
    assert os.listdir(found.mountpoint) == []
    assert os.stat(found.mountpoint).st_mode & 0o7777 == 0o755


def test_a_name_is_given_once(store: VolumeStore, paths: Paths) -> None:
    first = make(store, "data")
    Path(first.mountpoint, "kept").touch()
    with pytest.raises(NameInUse, match="data exists already"):
        make(store, "data")
    assert os.listdir(first.mountpoint) == ["kept"]
    assert os.listdir(f"{paths.data}/tmp") == []


def test_a_volume_is_found_by_the_beginning_of_its_name(store: VolumeStore) -> None:
    make(store, "data")
    make(store, "database")
    make(store, "other")
    assert store.find("data").name == "data"
    assert store.find("o").name == "other"
    with pytest.raises(UsageError, match="ambiguous"):
        store.find("dat")
    for name in ("nothing", "", "..", "data/_data", "\n"):
        with pytest.raises(NotFound):
            store.find(name)


def test_who_waits_for_the_lock_of_a_removed_volume_is_told(store: VolumeStore) -> None:
    volume = make(store, "data")
    late = store.find("data")
    late._lock._open()  # as one that opened the file and has not locked it yet
    with volume:
        store.discard(volume)
    with pytest.raises(NotFound):
        late.acquire()
    with pytest.raises(NotFound):
        _ = store.volume("data").record


def test_hold_makes_what_is_missing(store: VolumeStore) -> None:
    volume, made = store.hold("data")
    assert made and lock_is_held(f"{volume.directory}/lock")
    volume.release()
    volume, made = store.hold("data")
    assert not made and lock_is_held(f"{volume.directory}/lock")
    volume.release()


def _hold_and_discard(paths: Paths, rounds: int) -> None:
    store = VolumeStore(paths)
    for _ in range(rounds):
        volume, _ = store.hold("contended")
        # nobody else can be here: a mark made under the lock is met by none
        mark = Path(volume.mountpoint, "mark")
        assert not mark.exists()
        mark.touch()
        assert volume.record["name"] == "contended"
        store.discard(volume)
        volume.release()


def test_makers_and_removers_of_one_volume_take_turns(store: VolumeStore, paths: Paths) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_hold_and_discard, args=(paths, 50)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert store.names() == []
    assert len(os.listdir(f"{paths.data}/trash")) >= 200


def _die_while_making(paths: Paths) -> None:
    store = VolumeStore(paths)
    Path(paths.data, "tmp").mkdir(exist_ok=True)
    store.stage("data")
    os._exit(0)


def test_what_a_dead_maker_left_is_swept_and_a_living_one_is_not(store: VolumeStore, paths: Paths) -> None:
    worker = multiprocessing.get_context("fork").Process(target=_die_while_making, args=(paths,))
    worker.start()
    worker.join(20)
    living = store.stage("other")
    assert len(os.listdir(f"{paths.data}/tmp")) == 2
    store.sweep()
    assert os.listdir(f"{paths.data}/tmp") == [os.path.basename(living.directory)]
    living.release()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema":2}', b"\0" * 100])
def test_a_broken_volume_hides_no_other(store: VolumeStore, content: bytes) -> None:
    make(store, "good")
    bad = make(store, "bad")
    Path(bad.directory, "volume.json").write_bytes(content)
    assert [volume.name for volume in store.volumes()] == ["good"]
    assert [volume.name for volume in store.broken()] == ["bad"]
    with pytest.raises(InvalidData) as error:
        _ = store.find("bad").is_anonymous
    assert "volume rm" in error.value.hint
    with store.find("bad") as volume:
        store.discard(volume)
    assert store.names() == ["good"]


def test_use_is_noted(store: VolumeStore) -> None:
    with make(store, "data") as volume:
        volume.set_used()
    assert not store.find("data").needs_copy_up


def test_names() -> None:
    for name in ("a", "A.b_c-d", "0", "x" * 255, new_name()):
        assert check_name(name) == name
    for name in ("", "-a", ".a", "_a", "a/b", "a b", "é", "x" * 256, "a\n"):
        with pytest.raises(UsageError):
            check_name(name)
