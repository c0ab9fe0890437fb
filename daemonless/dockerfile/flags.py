"""Flags of instructions: `--chown=a:b`, `--link`, `--exclude=x` several times."""

from __future__ import annotations

from daemonless.dockerfile.document import near
from daemonless.errors import UsageError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from daemonless.dockerfile.document import Instruction

ONE, MANY, SWITCH = "one", "many", "switch"

KNOWN: dict[str, dict[str, str]] = {
    "FROM": {"platform": ONE},
    "RUN": {"mount": MANY, "network": ONE, "security": ONE},
    "COPY": {"from": ONE, "chown": ONE, "chmod": ONE, "link": SWITCH, "parents": SWITCH, "exclude": MANY},
    "ADD": {
        "chown": ONE,
        "chmod": ONE,
        "link": SWITCH,
        "exclude": MANY,
        "checksum": ONE,
        "keep-git-dir": SWITCH,
        "unpack": SWITCH,
    },
    "HEALTHCHECK": dict.fromkeys(("interval", "timeout", "start-period", "start-interval", "retries"), ONE),
}


class Flags:
    """The flags of one instruction, checked against those it takes. Raises UsageError."""

    def __init__(self, instruction: Instruction, expand: Callable[[str], str] = str) -> None:
        known = KNOWN.get(instruction.keyword, {})
        self._values: dict[str, list[str]] = {}
        for flag in instruction.flags:
            name, equals, value = flag[2:].partition("=")
            kind = known.get(name)
            if kind is None:
                raise _unknown(instruction.keyword, name, known)
            if name in self._values and kind != MANY:
                raise UsageError(f"--{name} is given twice")
            if not equals and kind != SWITCH:
                raise UsageError(f"--{name} needs a value", f"write --{name}=VALUE")
            if equals and kind == SWITCH and value.lower() not in ("true", "false"):
                raise UsageError(f"--{name} is either true or false, not {printable(value)!r}")
            self._values.setdefault(name, []).append(expand(value) if kind != SWITCH else value.lower())

    def one(self, name: str, default: str = "") -> str:
        """Return the flag's value."""
        return self._values.get(name, [default])[0]

    def many(self, name: str) -> tuple[str, ...]:
        """Return the values of a flag that may be repeated."""
        return tuple(self._values.get(name, ()))

    def switch(self, name: str) -> bool:
        """Return whether the flag is on."""
        return self.one(name, "false") != "false"

    def __contains__(self, name: str) -> bool:
        return name in self._values


def _unknown(keyword: str, name: str, known: dict[str, str]) -> UsageError:
    if not known:
        return UsageError(f"{keyword} takes no flags, and --{printable(name)} is one")
    every = " ".join(f"--{known_name}" for known_name in known)
    hint = near(f"--{name}", [f"--{known_name}" for known_name in known]) or f"it is one of {every}"
    return UsageError(f"{keyword} has no flag --{printable(name)}", hint)
