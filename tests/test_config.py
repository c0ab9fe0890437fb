import os

import pytest

from daemonless.config import load_paths
from daemonless.errors import SetupFailed


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in (
        "XDG_DATA_HOME",
        "XDG_CACHE_HOME",
        "XDG_RUNTIME_DIR",
        "DAEMONLESS_ROOT",
        "DAEMONLESS_RUNROOT",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    return tmp_path


@pytest.mark.parametrize("umask", [0, 0o777 & 0o077])
def test_roots_are_made_private_whatever_the_umask(home, umask):
    before = os.umask(umask)
    try:
        paths = load_paths()
    finally:
        os.umask(before)
    assert paths.data == f"{home}/.local/share/daemonless"
    assert paths.run == f"{home}/run/daemonless"
    assert os.stat(paths.data).st_mode & 0o777 == 0o700
    assert os.stat(paths.run).st_mode & 0o777 == 0o700


def test_options_beat_variables_beat_defaults(home, monkeypatch):
    monkeypatch.setenv("DAEMONLESS_ROOT", str(home / "variable"))
    assert load_paths().data == f"{home}/variable"
    assert load_paths(root=str(home / "option")).data == f"{home}/option"


def test_relative_xdg_values_are_ignored(home, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", "data")
    assert load_paths().data == f"{home}/.local/share/daemonless"


def test_runtime_directory_of_somebody_else_is_not_used(home, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nonexistent")
    uid = os.getuid()
    expected = [f"/run/user/{uid}/daemonless", f"/tmp/daemonless-{uid}"]
    assert load_paths().run in expected


def test_refuses_a_root_open_to_others(home):
    (home / "open").mkdir(mode=0o755)
    os.chmod(home / "open", 0o755)
    with pytest.raises(SetupFailed, match="open to other users") as caught:
        load_paths(root=str(home / "open"))
    assert caught.value.hint == f"chmod 700 {home}/open"


def test_refuses_a_link_and_a_file_as_root(home):
    (home / "real").mkdir(mode=0o700)
    (home / "link").symlink_to(home / "real")
    with pytest.raises(SetupFailed, match="not a directory"):
        load_paths(root=str(home / "link"))
    (home / "file").write_text("")
    with pytest.raises(SetupFailed):
        load_paths(root=str(home / "file"))
