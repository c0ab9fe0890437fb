import multiprocessing
import os

import pytest

from daemonless import jsonio
from daemonless.config import Paths
from daemonless.containers.store import Container, ContainerStore
from daemonless.errors import InvalidData, NameInUse, NotFound, UsageError
from daemonless.files import Lock, boot_id, write_atomic

IDS = ["a" * 63 + digit for digit in "0123456789"]


@pytest.fixture
def paths(tmp_path):
    for name in ("data", "run"):
        (tmp_path / name).mkdir(mode=0o700)
    return Paths(data=str(tmp_path / "data"), run=str(tmp_path / "run"), cache=str(tmp_path / "cache"))


def make(paths, container_id, name, created="2026-11-23T20:42:00Z"):
    store = ContainerStore(paths)
    staging = store.stage(container_id)
    try:
        staging.claim_name(name)
    except NameInUse:
        staging.abandon()
        raise
    record = {
        "schema": 1,
        "id": container_id,
        "name": name,
        "created": created,
        "image": "image:latest",
        "imageId": "sha256:" + "0" * 64,
        "args": ["true"],
        "labels": {},
        "request": {},
    }
    write_atomic(f"{staging.directory}/container.json", jsonio.dumps(record).encode())
    staging.publish()
    return Container(paths, container_id)


def run_directory(container):
    os.makedirs(container.run_directory, exist_ok=True)
    return container.run_directory


def test_finds_by_name_id_and_unique_prefix(paths):
    store = ContainerStore(paths)
    first = make(paths, "b" * 64, "first")
    make(paths, "c" * 64, "second")
    assert store.find("first").id == first.id
    assert store.find("b" * 64).id == first.id
    assert store.find("bb").id == first.id


def test_a_name_beats_a_prefix(paths):
    make(paths, "b" * 64, "first")
    named = make(paths, "c" * 64, "bb")
    assert ContainerStore(paths).find("bb").id == named.id


def test_an_ambiguous_prefix_is_refused(paths):
    make(paths, IDS[0], "first")
    make(paths, IDS[1], "second")
    with pytest.raises(UsageError, match="prefix aaa is ambiguous"):
        ContainerStore(paths).find("aaa")


@pytest.mark.parametrize("text", ["", "nobody", "..", ".", "../names", "a/b", "d" * 64, "\0"])
def test_what_is_not_there_is_not_found(paths, text):
    make(paths, "b" * 64, "first")
    with pytest.raises(NotFound, match="no such container"):
        ContainerStore(paths).find(text.replace("\0", "%00"))


def test_lists_newest_first(paths):
    make(paths, IDS[0], "old", "2026-01-01T00:00:00Z")
    make(paths, IDS[1], "new", "2026-02-01T00:00:00Z")
    assert [c.name for c in ContainerStore(paths).containers()] == ["new", "old"]
    assert ContainerStore(paths).latest().name == "new"


def test_a_name_is_claimed_once(paths):
    make(paths, IDS[0], "same")
    with pytest.raises(NameInUse, match=f"'same' is already in use by {IDS[0][:12]}"):
        make(paths, IDS[1], "same")


def test_an_abandoned_container_leaves_nothing(paths):
    staging = ContainerStore(paths).stage(IDS[0])
    staging.claim_name("gone")
    os.mkdir(f"{staging.directory}/upper")
    write_atomic(f"{staging.directory}/config.json", b"{}")
    staging.abandon()
    assert os.listdir(f"{paths.data}/tmp") == []
    assert os.listdir(f"{paths.data}/names") == []
    assert ContainerStore(paths).containers() == []


def _die_holding_a_name(paths):
    ContainerStore(paths).stage(IDS[0]).claim_name("same")
    os.kill(os.getpid(), 9)


def test_the_name_of_a_maker_that_died_is_free_again(paths):
    child = multiprocessing.get_context("fork").Process(target=_die_holding_a_name, args=(paths,))
    child.start()
    child.join()
    assert os.readlink(f"{paths.data}/names/same") == IDS[0]
    assert make(paths, IDS[1], "same").name == "same"


def test_what_a_dead_maker_left_is_swept_and_what_a_living_one_holds_is_not(paths):
    child = multiprocessing.get_context("fork").Process(target=_die_holding_a_name, args=(paths,))
    child.start()
    child.join()
    living = ContainerStore(paths).stage(IDS[1])
    living.claim_name("other")
    ContainerStore(paths).sweep()
    assert sorted(os.listdir(f"{paths.data}/tmp")) == [IDS[1], f"{IDS[1]}.lock"]
    assert os.listdir(f"{paths.data}/names") == ["other"]
    living.abandon()


def test_the_name_of_a_living_maker_is_taken(paths):
    staging = ContainerStore(paths).stage(IDS[0])
    staging.claim_name("same")
    probe = _claim_in_child(paths)
    staging.abandon()
    assert probe == "NameInUse"


def _claim_in_child(paths):
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        os.close(read_end)
        try:
            ContainerStore(paths).claim_name("same", IDS[1])
            os.write(write_end, b"claimed")
        except NameInUse:
            os.write(write_end, b"NameInUse")
        finally:
            os._exit(0)
    os.close(write_end)
    os.wait()
    return os.read(read_end, 100).decode()


def _claim(paths, container_id, results):
    try:
        make(paths, container_id, "same")
        results.put(container_id)
    except NameInUse:
        results.put(None)


def test_of_parallel_claims_exactly_one_wins(paths):
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    children = [context.Process(target=_claim, args=(paths, i, results)) for i in IDS]
    for child in children:
        child.start()
    outcomes = [results.get(timeout=30) for _ in children]
    for child in children:
        child.join()
    (winner,) = [outcome for outcome in outcomes if outcome]
    assert [c.id for c in ContainerStore(paths).containers()] == [winner]
    assert os.listdir(f"{paths.data}/tmp") == []


BROKEN = [b"", b"\0" * 100, b"{", b"[]", b'{"schema":2,"request":{}}', b"[" * 100_000, b'"x"']


@pytest.mark.parametrize("content", BROKEN)
def test_one_broken_record_hides_no_other_container(paths, content):
    make(paths, IDS[0], "good")
    broken = make(paths, IDS[1], "broken")
    with open(f"{broken.directory}/container.json", "wb") as file:
        file.write(content)
    store = ContainerStore(paths)
    assert [c.name for c in store.containers()] == ["good"]
    assert [c.id for c in store.broken()] == [IDS[1]]
    with pytest.raises((InvalidData, NotFound)):
        Container(paths, IDS[1]).name  # noqa: B018 - reading it is the test


def exit_json(container, **values):
    record = {
        "schema": 1,
        "exitCode": 0,
        "signal": 0,
        "started": "2026",
        "finished": "2026",
        "oomKilled": False,
        "error": "",
        **values,
    }
    write_atomic(f"{container.directory}/exit.json", jsonio.dumps(record).encode())


def state_json(container, pid, start_time, boot=boot_id()):  # noqa: B008
    state = {
        "schema": 1,
        "status": "running",
        "pid": pid,
        "startTime": start_time,
        "bootId": boot,
        "started": "2026",
        "ports": [],
    }
    write_atomic(f"{run_directory(container)}/state.json", jsonio.dumps(state).encode())


def test_status_follows_the_files_and_the_lock(paths):
    container = make(paths, IDS[0], "c")
    assert container.status == "created"
    state_json(container, 1, 1)
    lock = Lock(f"{container.run_directory}/lock")
    assert lock.try_acquire()
    assert Container(paths, IDS[0]).status == "running"
    lock.release()
    killed = Container(paths, IDS[0])
    assert (killed.status, killed.exit_code) == ("exited", 137)
    exit_json(container, exitCode=3)
    ended = Container(paths, IDS[0])
    assert (ended.status, ended.exit_code) == ("exited", 3)
    exit_json(container, exitCode=4, started="2025")  # of the run before the one that was killed
    assert (Container(paths, IDS[0]).status, Container(paths, IDS[0]).exit_code) == ("exited", 137)
    os.unlink(f"{container.run_directory}/state.json")
    exit_json(container, exitCode=127, started="")
    assert Container(paths, IDS[0]).status == "created"


def test_a_recycled_pid_is_never_taken_for_the_container(paths):
    container = make(paths, IDS[0], "c")
    with open(f"/proc/{os.getpid()}/stat") as file:
        stat = file.read().rpartition(")")[2].split()
    with Lock(f"{run_directory(container)}/lock"):
        state_json(container, os.getpid(), int(stat[19]))
        os.close(Container(paths, IDS[0]).pidfd())
        state_json(container, os.getpid(), int(stat[19]) + 1)
        with pytest.raises(NotFound, match="is not running"):
            Container(paths, IDS[0]).pidfd()


def names(paths):
    return {name: os.readlink(f"{paths.data}/names/{name}") for name in os.listdir(f"{paths.data}/names")}


def test_a_renamed_container_is_found_by_its_new_name_alone(paths):
    container = make(paths, IDS[0], "old")
    store = ContainerStore(paths)
    store.rename(container, "new")
    assert store.find("new").id == IDS[0]
    assert container.name == "new"
    assert names(paths) == {"new": IDS[0]}
    make(paths, IDS[1], "old")


def test_renaming_to_the_same_name_changes_nothing(paths):
    container = make(paths, IDS[0], "same")
    ContainerStore(paths).rename(container, "same")
    assert names(paths) == {"same": IDS[0]}


def test_a_name_that_is_taken_is_not_given_by_renaming(paths):
    container = make(paths, IDS[0], "one")
    make(paths, IDS[1], "two")
    with pytest.raises(NameInUse, match=f"'two' is already in use by {IDS[1][:12]}"):
        ContainerStore(paths).rename(container, "two")
    assert names(paths) == {"one": IDS[0], "two": IDS[1]}


def test_renaming_a_container_that_is_being_removed_leaves_no_claim(paths, monkeypatch):
    container = make(paths, IDS[0], "old")

    def removed(path, data):
        raise FileNotFoundError(path)

    monkeypatch.setattr("daemonless.containers.store.write_atomic", removed)
    with pytest.raises(NotFound, match="old has been removed"):
        ContainerStore(paths).rename(container, "new")
    assert names(paths) == {"old": IDS[0]}


@pytest.mark.parametrize("recorded", ["old", "new"])
def test_a_rename_cut_short_leaves_the_name_of_the_record_and_the_other_one_free(paths, recorded):
    """Killed before or after the record was replaced: both names lead to the container."""
    make(paths, IDS[0], recorded)
    other = {"old": "new", "new": "old"}[recorded]
    os.symlink(IDS[0], f"{paths.data}/names/{other}")
    store = ContainerStore(paths)
    assert store.find(recorded).id == IDS[0]
    with pytest.raises(NotFound):
        store.find(other)
    assert make(paths, IDS[1], other).name == other
    assert store.find(other).id == IDS[1]


def test_a_claim_cut_short_gives_way_to_a_rename(paths):
    make(paths, IDS[0], "first")
    os.symlink(IDS[0], f"{paths.data}/names/wanted")
    second = make(paths, IDS[1], "second")
    ContainerStore(paths).rename(second, "wanted")
    assert names(paths) == {"first": IDS[0], "wanted": IDS[1]}


def test_a_container_with_a_broken_record_is_found_by_its_name(paths):
    container = make(paths, IDS[0], "broken")
    write_atomic(f"{container.directory}/container.json", b"{")
    assert ContainerStore(paths).find("broken").id == IDS[0]
    assert not ContainerStore(paths).name_is_free("broken")
