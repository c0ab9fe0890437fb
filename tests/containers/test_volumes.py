"""Which containers use which volume, and that a used one stays."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from daemonless import jsonio
from daemonless.config import Paths
from daemonless.containers.volumes import Users, prune, remove, remove_anonymous
from daemonless.errors import Conflict, NotFound
from daemonless.volumes.store import VolumeStore


def container(paths: Paths, digit: str, *volumes: str) -> dict[str, Any]:
    """Write the record of a container that uses the volumes; return it."""
    directory = Path(paths.data, "containers", digit * 64)
    directory.mkdir(parents=True)
    mounts = [
        {"destination": f"/{name}", "type": "volume", "source": name, "options": []} for name in volumes
    ]
    mounts.append({"destination": "/host", "type": "bind", "source": "/data", "options": []})
    record = {
        "schema": 1,
        "id": digit * 64,
        "name": digit,
        "created": "2026",
        "image": "image",
        "imageId": "",
        "args": [],
        "labels": {},
        "request": {"mounts": mounts},
    }
    (directory / "container.json").write_text(jsonio.dumps(record))
    return record


def volume(paths: Paths, name: str, **given: Any) -> None:
    VolumeStore(paths).create(name, durable=False, **given).release()


@pytest.fixture(autouse=True)
def trash(paths: Paths) -> None:
    Path(paths.data, "trash").mkdir()


def test_a_used_volume_is_not_removed(paths: Paths) -> None:
    volume(paths, "data")
    container(paths, "a", "data")
    with pytest.raises(Conflict) as error:
        remove(paths, VolumeStore(paths).find("data"), Users(paths))
    assert error.value.exit_status == 2
    assert "aaaaaaaaaaaa" in error.value.message
    assert VolumeStore(paths).has("data")


def test_a_container_made_since_the_first_look_counts(paths: Paths) -> None:
    volume(paths, "data")
    container(paths, "a")
    users = Users(paths)
    assert users.of("data") == []
    container(paths, "b", "data")
    with pytest.raises(Conflict):
        remove(paths, VolumeStore(paths).find("data"), users)


def test_a_broken_container_keeps_what_its_runtime_spec_names(paths: Paths) -> None:
    volume(paths, "data")
    volume(paths, "other")
    container(paths, "a", "data")
    directory = Path(paths.data, "containers", "a" * 64)
    (directory / "container.json").write_text("{")
    mounts = [{"destination": "/data", "source": f"{paths.data}/volumes/data/_data"}, {}]
    spec = {"mounts": mounts, "process": {}, "linux": {}, "root": {}}
    (directory / "config.json").write_text(jsonio.dumps(spec))
    assert prune(paths, lambda volume: False) == ["other"]


def test_only_anonymous_volumes_go_with_their_container(paths: Paths) -> None:
    volume(paths, "named")
    volume(paths, "own", anonymous=True)
    volume(paths, "shared", anonymous=True)
    with VolumeStore(paths).find("shared") as shared:
        shared.set_shared()
    gone = container(paths, "a", "named", "own", "shared", "missing")
    container(paths, "b", "shared")
    os.unlink(f"{paths.data}/containers/{'a' * 64}/container.json")
    remove_anonymous(paths, gone)
    assert VolumeStore(paths).names() == ["named", "shared"]


def test_prune_removes_the_unused_that_are_not_kept(paths: Paths) -> None:
    for name in ("used", "kept", "unused"):
        volume(paths, name)
    container(paths, "a", "used")
    assert prune(paths, lambda volume: volume.name == "kept") == ["unused"]
    assert VolumeStore(paths).names() == ["kept", "used"]


def test_removing_twice(paths: Paths) -> None:
    volume(paths, "data")
    found = VolumeStore(paths).find("data")
    remove(paths, found, Users(paths))
    with pytest.raises(NotFound):
        remove(paths, found, Users(paths))
