"""What every unit test gets: a home of its own, and paths of the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemonless.config import Paths


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point HOME and the XDG directories at an empty place: no test sees or touches the user's files."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_DATA_HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("DAEMONLESS_ROOT", "DAEMONLESS_RUNROOT"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Return data, run and cache roots below the test's directory."""
    roots = Paths(data=f"{tmp_path}/data", run=f"{tmp_path}/run", cache=f"{tmp_path}/cache")
    for root in (roots.data, roots.run, roots.cache):
        Path(root).mkdir(mode=0o700)
    return roots
