"""What an action is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemonless.actions.args import Args

OPTIONS = {"root": None, "runroot": None, "log_level": "warn"}


def test_parameters_and_global_options_are_attributes() -> None:
    args = Args({"all": True, "names": ("a", "b")}, OPTIONS)
    assert (args.all, args.names, args.log_level) == (True, ("a", "b"), "warn")
    with pytest.raises(AttributeError):
        _ = args.bogus


def test_directories_are_made_when_they_are_asked_for(tmp_path: Path) -> None:
    args = Args({}, {**OPTIONS, "root": f"{tmp_path}/data", "runroot": f"{tmp_path}/run"})
    assert not list(tmp_path.iterdir())
    assert (args.paths.data, args.paths.run) == (f"{tmp_path}/data", f"{tmp_path}/run")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "run"]


@pytest.mark.parametrize(
    ("level", "said"), [("warn", "Warning: odd\n"), ("debug", "Warning: odd\n"), ("error", "")]
)
def test_warnings_can_be_left_out(level: str, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    Args({}, {**OPTIONS, "log_level": level}).warn("odd")
    assert capfd.readouterr().err == said
