"""What every unit test gets: a home of its own, and paths of the checkout."""

from __future__ import annotations

from collections.abc import Iterator
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
