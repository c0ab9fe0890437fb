"""Build checks: what in a Dockerfile is likely not meant (BuildKit's rules by their names, and one more).

They warn; `# check=error=true` makes a build with warnings fail. `# check=skip=RULE,RULE;error=true`
stands at the top of the file and counts for all of it, `# check=skip=RULE` right above an
instruction for that one. InvalidDefinitionDescription is off unless `experimental=all` or its name says so.
"""

from __future__ import annotations

from daemonless.dockerfile.rules import Finding, all_instructions, every_finding
from daemonless.errors import UsageError, printable
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemonless.dockerfile.document import Dockerfile, Instruction
    from daemonless.dockerfile.evaluate import Scope
    from daemonless.dockerfile.ignore import IgnoreMatcher
    from daemonless.dockerfile.steps import Evaluated

_EXPERIMENTAL = ("InvalidDefinitionDescription",)


class Checked(Record):
    """All warnings, by line."""

    findings: tuple[Finding, ...]
    is_error: bool = False  # there are some, and the Dockerfile wants that to be an error


class _Options(Record):
    """What `check=` says."""

    skip: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    error: bool = False

    def allow(self, rule: str) -> bool:
        """Return whether a rule is in force."""
        if "all" in self.skip or rule in self.skip:
            return False
        return rule not in _EXPERIMENTAL or bool(self.experimental & {rule, "all"})


def check(
    dockerfile: Dockerfile,
    scope: Scope,
    evaluated: Mapping[int, Evaluated],
    ignore: IgnoreMatcher | None = None,
) -> Checked:
    """Check a Dockerfile.

    `evaluated` are the stages at hand, by their index: rules about values look at those alone.
    `ignore` is the .dockerignore of the context. Raises DockerfileError for an unusable `check=`.
    """
    options = _options(dockerfile, scope.arguments.given.get("BUILDKIT_DOCKERFILE_CHECK"))
    local = {
        instruction.first: found
        for instruction in all_instructions(dockerfile)
        if (found := _local_options(instruction)) is not None
    }
    findings = [
        finding
        for finding in every_finding(dockerfile, scope, evaluated, ignore)
        if options.allow(finding.rule) and not local.get(finding.first, frozenset()) & {finding.rule, "all"}
    ]
    findings.sort(key=lambda finding: (finding.first, finding.rule, finding.message))
    return Checked(findings=tuple(findings), is_error=options.error and bool(findings))


def _options(dockerfile: Dockerfile, given: str | None) -> _Options:
    """Return the options of a build argument, or else those of the directive."""
    try:
        return _parse_options(given if given is not None else dockerfile.directives.get("check", ""))
    except UsageError as error:
        if given is not None:
            raise
        directive = list(dockerfile.directives).index("check") + 1
        raise dockerfile.mistake(error.message, error.hint, first=directive) from None


def _parse_options(text: str) -> _Options:
    values: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, value = part.partition("=")
        if not equals or name.strip() not in ("skip", "error", "experimental"):
            raise UsageError(
                f"check has no option {printable(part)!r}", "write it like check=skip=RULE,RULE;error=true"
            )
        values[name.strip()] = value.strip()
    error = values.get("error", "false").lower()
    if error not in ("true", "false", "1", "0", "t", "f"):
        raise UsageError(f"error={printable(error)} is neither true nor false")
    return _Options(
        skip=_names(values.get("skip", "")),
        experimental=_names(values.get("experimental", "")),
        error=error in ("true", "1", "t"),
    )


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(","))


def _local_options(instruction: Instruction) -> frozenset[str] | None:
    """Return what `# check=skip=RULE // reason` above an instruction skips, if it is there."""
    for comment in instruction.comments:
        if comment.startswith("check=skip="):
            return _names(comment.removeprefix("check=skip=").partition("//")[0].partition(";")[0])
    return None
