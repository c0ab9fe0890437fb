"""Health checks as `--health-*` and images say them: the HEALTHCHECK of Dockerfiles.

An image's config has an object `Healthcheck` of Test, Interval, Timeout, StartPeriod, StartInterval
(nanoseconds) and Retries (docker's image spec v1.2); 0 stands for the default there. The options
override it one by one.
"""

from __future__ import annotations

from daemonless import jsonio
from daemonless.clock import duration
from daemonless.containers.grammar import choice, number, refusal
from daemonless.containers.request import Health
from daemonless.errors import InvalidData, UsageError, printable
from daemonless.supervisor.health import Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeGuard

ON_FAILURE = ("none", "kill", "restart", "stop")
_SHORTEST = 10**6  # ns, docker's
_LONGEST = 1 << 62  # ns, 146 years: Go's durations end at twice that
_MOST_RETRIES = 1 << 31
_TIMES = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start_period": "StartPeriod",
    "start_interval": "StartInterval",
}


def health(given: dict[str, Any]) -> Health:
    """Return what the options ask for, which are under their names with underscores. Raises UsageError."""
    disabled = given.pop("no_healthcheck", False)
    values: dict[str, Any] = {}
    for option, value in given.items():
        field = option.removeprefix("health_")
        name = f"--{option.replace('_', '-')}"
        if disabled:
            raise UsageError(f"--no-healthcheck and {name} cannot be used together")
        if field == "cmd":
            values["test"] = command(value, name)
        elif field == "retries":
            values[field] = number(str(value), 1, _MOST_RETRIES, "number of retries", name, str(value))
        elif field == "on_failure":
            values[field] = choice(value, ON_FAILURE, name)
        else:
            values[field] = _time(field, value, name)
    if disabled:
        return Health(test=("NONE",))
    return Health(**values)


def command(value: str, option: str = "--health-cmd") -> tuple[str, ...]:
    """Return the test of an image config that a text for the shell, a JSON array or `none` stands for.

    An array and a text may begin with the config's own words, as podman has it.
    """
    if value.lower() == "none":
        return ("NONE",)
    if "\0" in value:
        raise refusal(option, value, "it holds a NUL")
    if not value.startswith("["):
        first, _, rest = value.partition(" ")
        if first == "CMD" and rest.strip():
            return ("CMD", *rest.split())
        return ("CMD-SHELL", rest if first == "CMD-SHELL" and rest.strip() else value)
    try:
        words = jsonio.loads(value, what=option)
    except InvalidData:
        return ("CMD-SHELL", value)  # [ is a command too
    test = _test(words if words and words[0] in ("CMD", "CMD-SHELL", "NONE") else ["CMD", *words])
    if test is None:
        raise refusal(option, value, "it is not an array of a command and its arguments")
    return test


def _time(field: str, value: str, option: str) -> int:
    is_zero = value == "0" or (value == "disable" and field == "interval")
    nanoseconds = 0 if is_zero else duration(value)
    if nanoseconds is None:
        raise refusal(option, value, "it is not a time such as 30s or 1m30s")
    if nanoseconds > _LONGEST:
        raise refusal(option, value, "it is too long")
    zero_is_fine = field in ("interval", "start_period")
    if nanoseconds < _SHORTEST and not (zero_is_fine and nanoseconds == 0):
        raise refusal(option, value, "it is shorter than a millisecond")
    return nanoseconds


# --- images ---------------------------------------------------------------------------------


def as_config(values: dict[str, Any], *, complete: bool = False) -> dict[str, Any]:
    """Return the `Healthcheck` that says what the fields of a Health do, `complete` with defaults."""
    test = [*values["test"]]
    if test[0] == "NONE":
        return {"Test": test}
    times = {key: values.get(field) for field, key in _TIMES.items()}
    numbers = {**times, "Retries": values.get("retries")}
    if complete:
        defaults = {"Interval": int(Plan.interval * 1e9), "Timeout": int(Plan.timeout * 1e9)}
        defaults["Retries"] = Plan.retries
        numbers = {key: defaults.get(key) if value is None else value for key, value in numbers.items()}
    return {"Test": test, **{key: value for key, value in numbers.items() if value is not None}}


def with_image(asked: Health, section: dict[str, Any], warn: Callable[[str], None]) -> Health:
    """Return what was asked for, completed from the `config` section of an image's config.

    What breaks its grammar there is left out with a warning. Raises UsageError if an action needs a
    check, and there is none.
    """
    found = _of_image(section, warn) if not asked.test or asked.is_checked else Health()
    values = {
        name: value if value not in (None, ()) else getattr(found, name)
        for name, value in asked.as_dict().items()
    }
    merged = Health(**values)
    if merged.is_checked:
        return merged
    if asked.on_failure != "none":
        raise UsageError(
            f"--health-on-failure={asked.on_failure} needs a health check, and there is none",
            "neither the image nor --health-cmd says how the container's health is checked",
        )
    if asked.replace(test=()) != Health():
        warn("the --health options have no effect: neither the image nor --health-cmd sets a health check")
    return Health(test=merged.test)


def _of_image(section: dict[str, Any], warn: Callable[[str], None]) -> Health:
    check = section.get("Healthcheck")
    if not check:
        return Health(shell=_shell(section))
    try:
        if not isinstance(check, dict):
            raise ValueError("it is not an object")
        test = _test(check.get("Test") or [])
        if test is None:
            raise ValueError("its Test is no command")
        values: dict[str, Any] = {
            field: _number(check, key, _SHORTEST, _LONGEST) for field, key in _TIMES.items()
        }
        retries = _number(check, "Retries", 1, _MOST_RETRIES)
    except ValueError as error:
        warn(f"ignoring the image's health check: {error}")
        return Health(shell=_shell(section))
    return Health(test=test, retries=retries, shell=_shell(section), **values)


def _test(words: Any) -> tuple[str, ...] | None:
    """Return the words of a Test, () if it is empty, None if it is none."""
    if not _is_words(words):
        return None
    kind = words[0] if words else ""
    if kind == "NONE":
        return ("NONE",)
    complete = {"": 0, "CMD": 2, "CMD-SHELL": 2}.get(kind, len(words) + 1)
    if len(words) < complete or (kind == "CMD" and not words[1]):
        return None
    return tuple(words)


def _number(check: dict[str, Any], key: str, least: int, most: int) -> int | None:
    value = check.get(key)
    if value in (None, 0) and value is not False:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"its {key} is {printable(str(value))}, not a number from {least} on")
    return value


def _shell(section: dict[str, Any]) -> tuple[str, ...]:
    words = section.get("Shell")
    return tuple(words) if _is_words(words) else ()


def _is_words(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(word, str) and "\0" not in word for word in value)
