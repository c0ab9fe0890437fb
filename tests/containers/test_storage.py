"""Which volumes and secrets a new container gets, and what its start needs of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from daemonless import jsonio
from daemonless.config import Paths
from daemonless.containers import grammar_mounts as gm
from daemonless.containers.request import Mount, RunRequest, Secret, needs_storage
from daemonless.containers.storage import Prepared, make_ready, prepare, secret_variables
from daemonless.containers.store import Container
from daemonless.errors import DaemonlessError, NotFound, Unsupported, UsageError
from daemonless.files import lock_is_held
from daemonless.secretstore import SecretStore
from daemonless.volumes.store import VolumeStore

ID = "c" * 64


@pytest.fixture(autouse=True)
def directories(paths: Paths) -> None:
    for name in ("trash", "names", "staging", f"containers/{ID}"):
        Path(paths.data, name).mkdir(parents=True)


def prepared(
    paths: Paths, *volumes: str, image: tuple[str, ...] = (), warned: list[str] | None = None, **more: Any
) -> Prepared:
    request = RunRequest(image="i", mounts=tuple(gm.volume(value, "/") for value in volumes), **more)
    result = prepare(
        paths,
        request,
        {path: {} for path in image},
        directory=f"{paths.data}/containers/{ID}",
        staging=f"{paths.data}/staging",
        warn=(warned if warned is not None else []).append,
    )
    assert all(lock_is_held(f"{volume.directory}/lock") for volume in result.held)
    return result


def mounts(result: Prepared) -> dict[str, Mount]:
    return {mount.destination: mount for mount in result.request.mounts}


def names(paths: Paths) -> list[str]:
    return VolumeStore(paths).names()


def test_what_is_missing_is_made_and_held(paths: Paths) -> None:
    VolumeStore(paths).create("old").release()
    result = prepared(paths, "new:/n", "old:/o", "/anonymous", "/host:/h")
    anonymous = mounts(result)["/anonymous"].source
    assert len(anonymous) == 64
    assert {volume.name for volume in result.made} == {"new", anonymous}
    assert VolumeStore(paths).find(anonymous).is_anonymous
    assert not VolumeStore(paths).find("new").is_anonymous
    result.release()
    assert names(paths) == sorted(["old", "new", anonymous])


def test_locks_are_taken_in_the_order_of_names(paths: Paths) -> None:
    result = prepared(paths, "b:/1", "/x", "c:/2", "a:/3", "a:/4", image=("/y",))
    held = [volume.name for volume in result.held]
    assert held == sorted(held) and len(held) == 5
    result.release()


def test_what_was_made_for_nothing_goes(paths: Paths) -> None:
    VolumeStore(paths).create("old").release()
    result = prepared(paths, "new:/n", "old:/o", "/x")
    result.abandon(paths)
    assert names(paths) == ["old"]
    with pytest.raises(NotFound):
        prepared(paths, "new:/n", "/x", secrets=(Secret(name="nothing", target="/s"),))
    assert names(paths) == ["old"]


def test_volumes_of_the_image(paths: Paths) -> None:
    warned: list[str] = []
    image = ("/data", "relative/x", "/a/../../etc", "/mine", "/", "/..", "/proc/x", "/sys", "nul\0")
    result = prepared(paths, "mine:/mine", image=image, warned=warned)
    assert set(mounts(result)) == {"/mine", "/data", "/relative/x", "/etc"}
    assert mounts(result)["/mine"].source == "mine"
    assert len(warned) == 5
    result.release()


@pytest.mark.parametrize(("kind", "types"), [("ignore", []), ("tmpfs", ["tmpfs"]), ("bind", ["volume"])])
def test_image_volume(paths: Paths, kind: str, types: list[str]) -> None:
    result = prepared(paths, image=("/data",), image_volume=kind)
    assert [mount.type for mount in result.request.mounts] == types
    result.release()


def write_container(paths: Paths, request: RunRequest) -> None:
    record = {
        "schema": 1,
        "id": ID,
        "name": "first",
        "created": "2026-11-23T20:42:00Z",
        "image": "i",
        "imageId": "sha256:0",
        "args": [],
        "labels": {},
        "request": request.as_dict(),
    }
    Path(paths.data, "containers", ID, "container.json").write_text(jsonio.dumps(record))
    os.symlink(ID, f"{paths.data}/names/first")


def test_volumes_from_another_container(paths: Paths) -> None:
    first = prepared(paths, "data:/data", "/anonymous", "/host:/host:noexec", "other:/mine")
    first.release()
    write_container(paths, first.request.replace(mounts=(*first.request.mounts, gm.tmpfs("/memory"))))
    second = prepared(paths, "own:/mine", volumes_from=(("first", "ro"),))
    theirs, ours = mounts(first), mounts(second)
    assert set(ours) == {"/data", "/anonymous", "/host", "/mine"}
    assert ours["/anonymous"].source == theirs["/anonymous"].source
    assert ours["/mine"].source == "own" and "rw" in ours["/mine"].options
    assert all("ro" in ours[path].options for path in ("/data", "/anonymous", "/host"))
    assert "noexec" in ours["/host"].options
    second.release()
    assert VolumeStore(paths).find(ours["/anonymous"].source).is_shared
    VolumeStore(paths).discard(VolumeStore(paths).find("data"))
    with pytest.raises(NotFound, match="no such volume: data"):
        prepared(paths, volumes_from=(("first", ""),))


def test_a_secret_is_copied_once_for_each_use_and_not_told(paths: Paths) -> None:
    SecretStore(paths).create("pw", b"hunter2", labels={})
    uses = (Secret(name="pw", target="/run/secrets/pw"), Secret(name="pw", type="env", target="V"))
    result = prepared(paths, secrets=uses)
    assert "hunter2" not in jsonio.dumps(result.request.as_dict()) + jsonio.dumps(result.mounts)
    staging = Path(paths.data, "staging")
    assert sorted(os.listdir(staging)) == ["secret.0", "secret.1"]
    for file in staging.iterdir():
        assert (file.read_text(), file.stat().st_mode & 0o7777) == ("hunter2", 0o600)
        file.rename(Path(paths.data, "containers", ID, file.name))
    assert secret_variables(Container(paths, ID), result.request) == ("V=hunter2",)
    assert result.mounts["/run/secrets/pw"]["options"][2] == "ro"


def test_two_mounts_at_one_place_are_refused(paths: Paths) -> None:
    SecretStore(paths).create("pw", b"x", labels={})
    with pytest.raises(UsageError, match="two mounts"):
        prepared(paths, "data:/s", secrets=(Secret(name="pw", target="/s"),))
    assert names(paths) == []


def test_volumes_of_the_driver_become_what_they_stand_for(paths: Paths) -> None:
    store = VolumeStore(paths)
    store.create("memory", options={"type": "tmpfs", "o": "size=1m"}).release()
    store.create("host", options={"type": "none", "o": "bind,ro", "device": "/srv"}).release()
    result = prepared(paths, "memory:/m:ro", "host:/h")
    memory, host = result.mounts["/m"], result.mounts["/h"]
    assert memory["type"] == "tmpfs" and {"ro", "size=1048576"} <= set(memory["options"])
    assert host["source"] == "/srv" and "ro" in host["options"] and "rw" not in host["options"]
    result.release()
    part = RunRequest(image="i", mounts=(gm.mount("src=host,dst=/p,subpath=x", "/"),))
    with pytest.raises(Unsupported, match="as a whole"):
        prepare(paths, part, {}, directory="/d", staging="/s", warn=print)


def test_a_throw_away_overlay_escapes_its_lower_directory(paths: Paths) -> None:
    result = prepared(paths, "/a\\b:/x:O,noexec")
    mount = result.mounts["/x"]
    assert mount["type"] == "overlay"
    assert "lowerdir=/a\\\\b" in mount["options"] and "noexec" in mount["options"]
    inside = f"{paths.data}/volumes/data/_data/part:/x"
    with pytest.raises(Unsupported, match="option O"):
        prepared(paths, f"{inside}:O")


# --- a start --------------------------------------------------------------------------------


def ready(paths: Paths, result: Prepared) -> Any:
    return make_ready(paths, Container(paths, ID), result.request)


def test_the_first_start_fills_and_holds_what_is_new(paths: Paths) -> None:
    result = prepared(paths, "data:/data", "data:/again", "/x")
    result.release()
    start = ready(paths, result)
    sources = dict(start.sources)
    assert sources["/data"].fill and not sources["/again"].fill and sources["/x"].fill
    assert len(start.lock_fds) == 2
    data = VolumeStore(paths).find("data")
    assert os.path.isdir(f"{data.directory}/_new") and lock_is_held(f"{data.directory}/lock")
    start.settle()
    assert not lock_is_held(f"{data.directory}/lock")
    assert not VolumeStore(paths).find("data").needs_copy_up
    again = ready(paths, result)
    assert not again.fresh and not any(source.fill for _, source in again.sources)


def test_a_start_that_failed_leaves_the_volume_new(paths: Paths) -> None:
    result = prepared(paths, "data:/data")
    result.release()
    ready(paths, result).release()
    left = Path(VolumeStore(paths).find("data").directory, "_new", "half")
    left.touch()
    start = ready(paths, result)
    assert dict(start.sources)["/data"].fill
    assert not left.exists()  # another start begins anew
    start.release()


def test_a_volume_that_is_gone(paths: Paths) -> None:
    result = prepared(paths, "data:/data", "other:/other")
    result.abandon(paths)
    with pytest.raises(NotFound, match="volume data of the container is gone"):
        ready(paths, result)
    assert names(paths) == []


def test_binds_inside_volumes_are_resolved_there(paths: Paths) -> None:
    top = f"{paths.data}/volumes"
    result = prepared(paths, f"{top}/data/_data/a/b:/x", f"{top}/data/_data:/y", f"{top}:/z", "/srv:/s")
    sources = dict(ready(paths, result).sources)
    assert set(sources) == {"/x"}
    assert (sources["/x"].volume, sources["/x"].subpath) == (f"{top}/data", "a/b")


@pytest.mark.parametrize(
    ("volume", "needed"),
    [("/a:/b:ro", False), ("/a:/b:U", True), ("/a:/b:O", True), ("a:/b", True), ("/b", True)],
)
def test_a_plain_container_needs_none_of_this(volume: str, needed: bool) -> None:
    request = RunRequest(image="i", mounts=(gm.volume(volume, "/"),))
    assert needs_storage(request, "/data") == needed
    assert not needs_storage(RunRequest(image="i"), "/data")


def test_what_is_broken_is_named(paths: Paths) -> None:
    result = prepared(paths, "data:/data")
    result.release()
    Path(VolumeStore(paths).find("data").directory, "volume.json").write_text("{")
    for act in (lambda: ready(paths, result), lambda: prepared(paths, "data:/data")):
        with pytest.raises(DaemonlessError, match=r"volume\.json"):
            act()
