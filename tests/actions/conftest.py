"""Containers on disk, as create and the supervisor leave them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemonless.actions.args import Args
from daemonless.commands.parse import command_line
from daemonless.config import Paths
from daemonless.containers.host_facts import HostFacts
from daemonless.containers.request import RunRequest
from daemonless.containers.spec import build_spec
from daemonless.files import Lock, boot_id
from daemonless.images.store import Image, ImageStore
from daemonless.isolation.userns import IdMap
from daemonless.oci.image import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Descriptor
from daemonless.oci.reference import parse_reference

IMAGE_ID = "sha256:" + "ab" * 32
ID_MAP = IdMap(uids=((0, 1000, 1),), gids=((0, 1000, 1),))
IMAGE_CONFIG = {"config": {"Env": ["PATH=/bin"], "Cmd": ["sh"], "Labels": {"of": "image"}}}
LIMITS = tuple((name, 1024, 1024) for name in ("nofile", "nproc"))


class World:
    """A store of containers and images, and commands run on it."""

    def __init__(self, paths: Paths, capfd: pytest.CaptureFixture[str]) -> None:
        self.paths = paths
        self.capfd = capfd
        self.locks: list[Lock] = []

    def add_image(
        self, name: str, config: dict[str, Any], diff_ids: tuple[str, ...] = (), **more: Any
    ) -> Image:
        """Make an image whose layers are not there, which no reader of the store minds.

        `more` are further members of its config document.
        """
        store = ImageStore(self.paths.data)
        store.blobs.prepare()
        document = {
            "os": "linux",
            "architecture": "amd64",
            "created": "2026-11-20T10:00:00Z",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
            **more,
        }
        layers = [{"mediaType": OCI_LAYER, "digest": digest, "size": 1000} for digest in diff_ids]
        descriptors = []
        for media_type, value in (
            (OCI_CONFIG, document),
            (OCI_MANIFEST, {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": layers}),
        ):
            if descriptors:
                value["config"] = descriptors[0].to_json()
            data = json.dumps(value).encode()
            digest = store.blobs.add(data)
            descriptors.append(Descriptor(media_type=media_type, digest=digest, size=len(data)))
        store.add(parse_reference(name), descriptors[1], size=1234)
        return store.resolve(name)

    def add(
        self, number: int, name: str, created: str, *command: str, image_id: str = IMAGE_ID, **fields: Any
    ) -> str:
        """Make a container whose id is one digit repeated; return the id."""
        identifier = f"{number:x}" * 64
        directory = Path(self.paths.data, "containers", identifier)
        directory.mkdir(parents=True)
        names = Path(self.paths.data, "names")
        names.mkdir(exist_ok=True)
        (names / name).symlink_to(identifier)
        request = RunRequest(image="alpine", name=name, command=command, **fields)
        spec = build_spec(
            request,
            IMAGE_CONFIG,
            container_id=identifier,
            rootfs_mount={
                "destination": "/",
                "type": "overlay",
                "source": "overlay",
                "options": ["lowerdir+=/l2", "lowerdir+=/l1", "upperdir=/u", "workdir=/w", "userxattr"],
            },
            rootfs_path=f"{directory}/rootfs",
            id_map=ID_MAP,
            run_dir=f"{self.paths.run}/containers/{identifier}",
            seccomp_section=None,
            host=HostFacts(hostname="host", rlimits=LIMITS),
            warn=lambda text: None,
        )
        record = {
            "schema": 1,
            "id": identifier,
            "name": name,
            "created": created,
            "image": "docker.io/library/alpine:latest",
            "imageId": image_id,
            "args": spec["process"]["args"],
            "labels": {"of": "image", **dict(request.label)},
            "request": request.as_dict(),
        }
        (directory / "container.json").write_text(json.dumps(record))
        (directory / "config.json").write_text(json.dumps(spec))
        return identifier

    def exited(
        self, identifier: str, code: int, started: str, finished: str, *, oom: bool = False, **more: Any
    ) -> None:
        """Record the end of a run."""
        record = {
            "schema": 1,
            "exitCode": code,
            "signal": 0,
            "oomKilled": oom,
            "started": started,
            "finished": finished,
            "error": "",
            **more,
        }
        Path(self.paths.data, "containers", identifier, "exit.json").write_text(json.dumps(record))

    def runs(self, identifier: str, started: str, ports: tuple[dict[str, Any], ...] = ()) -> None:
        """Record a run in progress, and hold the lock as its supervisor does."""
        directory = Path(self.paths.run, "containers", identifier)
        directory.mkdir(parents=True)
        state = {
            "schema": 1,
            "status": "running",
            "pid": 4242,
            "startTime": 1,
            "bootId": boot_id(),
            "started": started,
            "supervisor": 4241,
            "ports": list(ports),
        }
        (directory / "state.json").write_text(json.dumps(state))
        lock = Lock(f"{directory}/lock")
        lock.acquire()
        self.locks.append(lock)

    def run(self, *words: str) -> tuple[int, str, str]:
        """Run a command; return its status and what it printed to both streams."""
        parsed = command_line(["--root", self.paths.data, "--runroot", self.paths.run, *words])
        assert parsed is not None, words
        module = __import__(f"daemonless.actions.{parsed[0]}", fromlist=("main",))
        status = module.main(Args(*parsed[1:]))
        out, err = self.capfd.readouterr()
        return status, out, err


@pytest.fixture
def world(paths: Paths, capfd: pytest.CaptureFixture[str]) -> Iterator[World]:
    """Return an empty store."""
    world = World(paths, capfd)
    yield world
    for lock in world.locks:
        lock.release()


@pytest.fixture
def say(world: World) -> Callable[..., str]:
    """Return a function that runs a command and gives its standard output."""

    def run(*words: str) -> str:
        status, out, err = world.run(*words)
        assert (status, err) == (0, "")
        return out

    return run
