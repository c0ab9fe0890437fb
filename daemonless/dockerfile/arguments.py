"""ARG: what is given, what is predefined, and which a stage sees.

An argument declared in a stage is worth what `--build-arg` says, else its default, else what the
ARG before the first FROM or the builder itself says. What is not declared does not exist, but the
platform arguments in FROM lines.
"""

from __future__ import annotations

from daemonless.dockerfile.words import Words
from daemonless.errors import UsageError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from daemonless.dockerfile.document import Dockerfile, Instruction

_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
PROXIES = frozenset((*_PROXIES, *(name.upper() for name in _PROXIES)))
# Read by the builder: they need no ARG, and giving one that nobody declares is no mistake.
BUILDER = frozenset(
    (
        *("BUILDKIT_BUILD_NAME", "BUILDKIT_CACHE_MOUNT_NS", "BUILDKIT_CONTEXT_KEEP_GIT_DIR"),
        *("BUILDKIT_DOCKERFILE_CHECK", "BUILDKIT_INLINE_CACHE", "BUILDKIT_MULTI_PLATFORM"),
        *("BUILDKIT_SANDBOX_HOSTNAME", "BUILDKIT_SYNTAX", "SOURCE_DATE_EPOCH"),
    )
)


def platform_arguments(target: str, build: str, stage: str) -> dict[str, str]:
    """Return TARGETPLATFORM and the like for platforms written os/arch[/variant]."""
    values = {}
    for prefix, platform in (("TARGET", target), ("BUILD", build)):
        system, architecture, variant = [*platform.split("/"), "", ""][:3]
        values[f"{prefix}PLATFORM"] = platform
        values[f"{prefix}OS"] = system
        values[f"{prefix}ARCH"] = architecture
        values[f"{prefix}VARIANT"] = variant
    values["TARGETSTAGE"] = stage or "default"
    return values


def declarations(instruction: Instruction, words: Words) -> Iterator[tuple[str, str | None]]:
    """Return the names an ARG declares with their defaults, not yet expanded. Raises UsageError."""
    for arg in instruction.args:
        name, equals, default = arg.partition("=")
        name = words.word(name)
        if not name:
            raise UsageError(f"{printable(arg)!r} is no argument: it has no name")
        yield name, default if equals else None


class Arguments:
    """The arguments before the first FROM, and what was given on the command line."""

    def __init__(
        self, dockerfile: Dockerfile, given: Mapping[str, str], predefined: Mapping[str, str]
    ) -> None:
        self.given = given
        self.predefined = predefined
        self.declared: set[str] = set()
        self.defaults: dict[str, str] = {**predefined, **{k: v for k, v in given.items() if k in predefined}}
        for instruction in dockerfile.arguments:
            words = Words(dockerfile.escape, self.defaults)
            try:
                for name, default in list(declarations(instruction, words)):
                    value = self.value(name, default, Words(dockerfile.escape, self.defaults))
                    if value is not None:
                        self.defaults[name] = value
            except UsageError as error:
                raise dockerfile.mistake(
                    error.message, error.hint, first=instruction.first, last=instruction.last
                ) from None

    def value(self, name: str, default: str | None, words: Words) -> str | None:
        """Return what an argument being declared is worth, None if nothing says."""
        self.declared.add(name)
        if name in self.given:
            return self.given[name]
        return words.word(default) if default is not None else self.defaults.get(name)

    def unused(self) -> list[str]:
        """Return the names that were given and that nothing has declared, sorted."""
        return sorted(set(self.given) - self.declared - PROXIES - BUILDER)
