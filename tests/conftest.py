"""What every unit test gets: a home of its own, and paths of the checkout."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from daemonless.config import Paths


@pytest.fixture(scope="session", autouse=True)
def nobodys_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Point HOME elsewhere and forget the XDG directories: no test sees or touches the user's files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        for name in ("XDG_DATA_HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
            patch.delenv(name, raising=False)
        for name in ("DAEMONLESS_ROOT", "DAEMONLESS_RUNROOT"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Return data, run and cache roots below the test's directory."""
    roots = Paths(data=f"{tmp_path}/data", run=f"{tmp_path}/run", cache=f"{tmp_path}/cache")
    for root in (roots.data, roots.run, roots.cache):
        Path(root).mkdir(mode=0o700)
    return roots


@contextmanager
def _canary(base: Path) -> Iterator[None]:
    canary = base / "canary"
    canary.write_bytes(b"canary")
    canary.chmod(0o640)
    before = canary.stat()
    open_before = len(os.listdir("/proc/self/fd"))
    yield
    after = canary.lstat()
    assert canary.read_bytes() == b"canary"
    assert stat.S_ISREG(after.st_mode)
    for field in ("st_ino", "st_mode", "st_nlink", "st_uid", "st_gid", "st_mtime_ns", "st_ctime_ns"):
        assert getattr(after, field) == getattr(before, field), field
    assert len(os.listdir("/proc/self/fd")) == open_before


@pytest.fixture
def canary() -> Callable[[Path], AbstractContextManager[None]]:
    """Put a file into a directory that must come out of the test as it went in, all descriptors closed."""
    return _canary
