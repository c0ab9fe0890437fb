"""A directory for container files, and RUN steps on a layer made of this machine's busybox."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from runs import Builder, as_root

from daemonless.config import Paths
from daemonless.images.starter import find_busybox, write_layer


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory with a short path, removed as its owners' root."""
    directory = Path(tempfile.mkdtemp(prefix="dl-run-"))
    os.chmod(directory, 0o700)
    open_before = len(os.listdir("/proc/self/fd"))
    yield directory
    assert len(os.listdir("/proc/self/fd")) == open_before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    as_root(lambda: shutil.rmtree(directory))


@pytest.fixture
def paths(scratch: Path) -> Paths:
    roots = Paths(data=f"{scratch}/data", run=f"{scratch}/run", cache=f"{scratch}/cache")
    for root in (roots.data, roots.run, roots.cache, f"{roots.data}/trash"):
        Path(root).mkdir(mode=0o700)
    return roots


@pytest.fixture(scope="session")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The directory of a layer with a shell and what it needs; all of it belongs to root."""
    directory = tmp_path_factory.mktemp("busybox")
    archive = directory / "layer.tar"
    with open(archive, "wb") as file:
        write_layer(file, find_busybox(), 1_700_000_000)
    with tarfile.open(archive) as file:
        file.extractall(directory / "diff")
    os.chmod(directory / "diff", 0o755)
    return str(directory / "diff")


@pytest.fixture
def build(scratch: Path, paths: Paths, busybox: str) -> Builder:
    return Builder(scratch, paths, busybox)
