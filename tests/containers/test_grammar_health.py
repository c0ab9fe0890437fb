"""--health-* and the Healthcheck of images: what they mean together, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from daemonless.containers.arguments import from_args
from daemonless.containers.grammar_health import as_config, command, with_image
from daemonless.containers.probing import command as executed
from daemonless.containers.probing import plan
from daemonless.containers.request import Health, RunRequest
from daemonless.errors import UsageError
from daemonless.supervisor.health import Plan

SECOND = 10**9
OF_IMAGE = {"Test": ["CMD-SHELL", "curl x"], "Interval": 5 * SECOND, "StartPeriod": SECOND, "Retries": 7}


def asked(**options: Any) -> Health:
    args = SimpleNamespace(image="a", no_healthcheck=False, **options)
    return from_args(args, warn=pytest.fail, caller={}, cwd="/").health


def completed(health: Health, check: Any, **section: Any) -> Health:
    return with_image(health, {"Healthcheck": check, **section}, pytest.fail)


@pytest.mark.parametrize(
    ("value", "test"),
    [
        ("curl -f http://localhost || exit 1", ("CMD-SHELL", "curl -f http://localhost || exit 1")),
        ("true", ("CMD-SHELL", "true")),
        ("[ -f /ok ]", ("CMD-SHELL", "[ -f /ok ]")),
        ('["curl", "a b"]', ("CMD", "curl", "a b")),
        ('["true"]', ("CMD", "true")),
        ('["CMD", "true"]', ("CMD", "true")),
        ('["CMD-SHELL", "a | b"]', ("CMD-SHELL", "a | b")),
        ("CMD curl  x", ("CMD", "curl", "x")),
        ("CMD-SHELL curl  x", ("CMD-SHELL", "curl  x")),
        ("CMD", ("CMD-SHELL", "CMD")),
        ("none", ("NONE",)),
        ("NONE", ("NONE",)),
        ('["NONE"]', ("NONE",)),
    ],
)
def test_commands(value: str, test: tuple[str, ...]) -> None:
    assert command(value) == test


@pytest.mark.parametrize(
    "value", ["[]", "[1]", '["a", 1]', '[""]', '["CMD"]', '["CMD-SHELL"]', '["a\\u0000"]', "a\0"]
)
def test_no_commands(value: str) -> None:
    with pytest.raises(UsageError, match="invalid value for --health-cmd"):
        command(value)


def test_options() -> None:
    health = asked(
        health_cmd="x",
        health_interval="1m30s",
        health_timeout="500ms",
        health_start_period="0s",
        health_start_interval="2s",
        health_retries=5,
        health_on_failure="kill",
    )
    assert health == Health(
        test=("CMD-SHELL", "x"),
        interval=90 * SECOND,
        timeout=SECOND // 2,
        start_period=0,
        start_interval=2 * SECOND,
        retries=5,
        on_failure="kill",
    )
    assert asked() == asked(health_on_failure="none", health_cmd="") == Health()
    assert asked(health_interval="disable").interval == asked(health_interval="0").interval == 0


def test_no_healthcheck() -> None:
    args = SimpleNamespace(image="a", no_healthcheck=True)
    assert from_args(args, warn=pytest.fail, caller={}, cwd="/").health == Health(test=("NONE",))
    args.health_retries = 3
    with pytest.raises(UsageError, match="--no-healthcheck and --health-retries cannot be used together"):
        from_args(args, warn=pytest.fail, caller={}, cwd="/")


@pytest.mark.parametrize(
    "options",
    [
        {"health_interval": "soon"},
        {"health_interval": "-1s"},
        {"health_interval": "30"},
        {"health_interval": "1us"},
        {"health_interval": "99999999h"},
        {"health_interval": "9" * 400 + "h"},
        {"health_timeout": "0s"},
        {"health_timeout": "disable"},
        {"health_start_interval": "0"},
        {"health_retries": 0},
        {"health_retries": -1},
        {"health_on_failure": "reboot"},
    ],
    ids=str,
)
def test_what_is_refused(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(UsageError, match=f"invalid value for --{name.replace('_', '-')}"):
        asked(**options)


def test_one_restarts_and_not_two() -> None:
    with pytest.raises(UsageError, match="--health-on-failure=restart cannot be combined with --restart"):
        asked(health_cmd="x", health_on_failure="restart", restart="always")
    assert asked(health_cmd="x", health_on_failure="kill", restart="always").on_failure == "kill"


def test_the_image_completes_what_was_not_given() -> None:
    assert completed(Health(), OF_IMAGE) == Health(
        test=("CMD-SHELL", "curl x"), interval=5 * SECOND, start_period=SECOND, retries=7
    )
    merged = completed(asked(health_cmd="mine", health_start_period="0s"), OF_IMAGE)
    assert merged == Health(test=("CMD-SHELL", "mine"), interval=5 * SECOND, start_period=0, retries=7)
    assert completed(asked(health_retries=1), OF_IMAGE).retries == 1


@pytest.mark.parametrize("check", [None, {}, {"Test": []}, {"Test": None, "Interval": SECOND}])
def test_an_image_without_a_check(check: Any) -> None:
    assert not completed(Health(), check).is_checked
    assert completed(asked(health_cmd="x"), check).test == ("CMD-SHELL", "x")


def test_off() -> None:
    off = Health(test=("NONE",))
    assert completed(off, OF_IMAGE) == off
    assert completed(Health(), {"Test": ["NONE"]}) == off
    assert not off.is_checked
    assert completed(asked(health_cmd="x"), {"Test": ["NONE"]}).is_checked


@pytest.mark.parametrize(
    "check",
    [
        "curl",
        ["CMD"],
        {"Test": "curl"},
        {"Test": ["RUN", "x"]},
        {"Test": ["CMD"]},
        {"Test": ["CMD", ""]},
        {"Test": ["CMD-SHELL", 1]},
        {"Test": ["CMD", "a\0"]},
        {"Test": ["CMD", "x"], "Interval": -1},
        {"Test": ["CMD", "x"], "Interval": 1},
        {"Test": ["CMD", "x"], "Timeout": "5s"},
        {"Test": ["CMD", "x"], "StartPeriod": 1.5},
        {"Test": ["CMD", "x"], "Retries": True},
        {"Test": ["CMD", "x"], "StartInterval": 1 << 80},
    ],
    ids=str,
)
def test_a_damaged_check_of_an_image_is_ignored(check: Any) -> None:
    warnings: list[str] = []
    assert with_image(Health(), {"Healthcheck": check}, warnings.append) == Health()
    assert len(warnings) == 1
    assert warnings[0].isprintable()


def test_options_without_a_check() -> None:
    warnings: list[str] = []
    assert with_image(asked(health_interval="5s"), {}, warnings.append) == Health()
    assert "no effect" in warnings[0]
    with pytest.raises(UsageError, match="--health-on-failure=stop needs a health check"):
        completed(asked(health_on_failure="stop"), None)
    with pytest.raises(UsageError, match="--health-on-failure=kill needs a health check"):
        completed(asked(health_cmd="none", health_on_failure="kill"), OF_IMAGE)


def test_what_is_executed() -> None:
    assert executed(Health(test=("CMD", "a", "b c"))) == ("a", "b c")
    assert executed(Health(test=("CMD-SHELL", "a; b"))) == ("/bin/sh", "-c", "a; b")
    of_image = completed(Health(), OF_IMAGE, Shell=["/bin/bash", "-ec"])
    assert executed(of_image) == ("/bin/bash", "-ec", "curl x")
    assert completed(Health(), OF_IMAGE, Shell="bash").shell == ()


def test_defaults() -> None:
    check = Health(test=("CMD", "x"))
    assert plan(check) == Plan()
    assert plan(check.replace(interval=SECOND)).start_interval == 1
    assert plan(check.replace(interval=SECOND, start_interval=9 * SECOND)).start_interval == 9
    assert plan(check.replace(interval=0)) == Plan(interval=0)
    assert plan(check.replace(timeout=SECOND // 10, retries=1)) == Plan(timeout=0.1, retries=1)


def test_as_the_config_of_an_image() -> None:
    health = completed(Health(), OF_IMAGE)
    assert as_config(health.as_dict()) == OF_IMAGE
    assert as_config(Health(test=("NONE",)).as_dict()) == {"Test": ["NONE"]}
    assert completed(Health(), as_config(health.as_dict())) == health


def test_it_is_kept_with_the_container() -> None:
    request = RunRequest(image="a", health=completed(Health(), OF_IMAGE))
    assert RunRequest.from_dict(request.as_dict()) == request
