"""The rules of `checks`, each a function that yields what it finds."""

from __future__ import annotations

import posixpath

from daemonless.dockerfile.arguments import Arguments, declarations
from daemonless.dockerfile.document import near
from daemonless.dockerfile.parse import heredoc_of
from daemonless.dockerfile.settings import variables_of
from daemonless.dockerfile.words import Words
from daemonless.errors import DaemonlessError, UsageError, printable
from daemonless.oci.image import parse_platform
from daemonless.oci.reference import parse_reference
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from daemonless.dockerfile.document import Dockerfile, Instruction, Stage
    from daemonless.dockerfile.evaluate import Scope
    from daemonless.dockerfile.ignore import IgnoreMatcher
    from daemonless.dockerfile.steps import Evaluated

_SECRETS = frozenset(
    ("apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token")
)
_NO_SECRETS = frozenset(("public", "file", "version"))
_RESERVED = ("context", "scratch")
_LAST_COUNTS = ("CMD", "ENTRYPOINT", "HEALTHCHECK")
_WHOLE_CONTEXT = ("*", "**", "**/*")


class Finding(Record):
    """One warning, and the lines it is about."""

    rule: str
    message: str
    first: int
    last: int


def all_instructions(dockerfile: Dockerfile) -> Iterator[Instruction]:
    """Yield every instruction in order, those before the first FROM and the FROMs included."""
    yield from dockerfile.arguments
    for stage in dockerfile.stages:
        yield stage.start
        yield from stage.instructions


def every_finding(
    dockerfile: Dockerfile, scope: Scope, evaluated: Mapping[int, Evaluated], ignore: IgnoreMatcher | None
) -> Iterator[Finding]:
    """Yield what all rules find, in no order; see `checks.check`."""
    for warning in dockerfile.warnings:
        yield Finding(
            rule="NoEmptyContinuation", message=warning.message, first=warning.line, last=warning.line
        )
    yield from _syntax(dockerfile)
    yield from _casing(dockerfile)
    yield from _descriptions(dockerfile)
    yield from _stage_names(dockerfile)
    yield from _bases(dockerfile, scope)
    for stage in dockerfile.stages:
        yield from _repeated(stage)
        yield from _relative_workdir(dockerfile, stage)
        for instruction in stage.instructions:
            yield from _old_forms(instruction)
            yield from _secrets(instruction)
            yield from _ports(instruction)
            yield from _ignored(instruction, ignore)
        if stage.index in evaluated:
            yield from _values(stage, evaluated[stage.index])


def _about(rule: str, about: Instruction, message: str) -> Finding:
    return Finding(rule=rule, message=message, first=about.first, last=about.last)


def _syntax(dockerfile: Dockerfile) -> Iterator[Finding]:
    """Look for a frontend that is not BuildKit's of version 1: no frontend is ever fetched.

    This rule is ours; BuildKit would fetch and run what the directive names.
    """
    image = dockerfile.directives.get("syntax", "docker/dockerfile").split()[0]
    name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    major = tag.partition(".")[0].partition("-")[0]
    if name not in ("dockerfile", "dockerfile-upstream") or (major.isdigit() and major not in ("0", "1")):
        line = list(dockerfile.directives).index("syntax") + 1
        message = f"{printable(image)} is not fetched: this is read as a Dockerfile of version 1"
        yield Finding(rule="UnknownSyntax", message=message, first=line, last=line)


def _casing(dockerfile: Dockerfile) -> Iterator[Finding]:
    """Look whether keywords are all upper or all lower case, as most of them are."""
    words = [word for stage in dockerfile.stages for word in (stage.start, *stage.instructions)]
    lower = sum(word.written.islower() for word in words)
    upper = sum(word.written.isupper() for word in words)
    wanted = str.lower if lower > upper else str.upper
    for word in words:
        if word.written != wanted(word.written):
            yield _about(
                "ConsistentInstructionCasing",
                word,
                f"{word.written} is not {wanted(word.written)} as most are",
            )
        if word.keyword == "FROM" and len(word.args) == 3:
            meant = "as" if word.written.islower() else "AS"
            if word.written in ("FROM", "from") and word.args[1] != meant:
                yield _about("FromAsCasing", word, f"{word.args[1]} is not written like {word.written}")


def _descriptions(dockerfile: Dockerfile) -> Iterator[Finding]:
    """Look whether a comment right above an ARG or a named stage begins with its name."""
    for instruction in all_instructions(dockerfile):
        comments = [text for text in instruction.comments if not text.startswith("check=")]
        if not comments or instruction.keyword not in ("ARG", "FROM"):
            continue
        if instruction.keyword == "ARG":
            names = [arg.partition("=")[0] for arg in instruction.args]
        else:
            names = [arg.lower() for arg in instruction.args[2:]]
        if names and comments[-1].split(" ", 1)[0] not in names:
            example = names[0] if len(names) == 1 else "NAME"
            yield _about(
                "InvalidDefinitionDescription",
                instruction,
                f"the comment above does not describe it: begin it with {printable(example)}, or part them",
            )


def _stage_names(dockerfile: Dockerfile) -> Iterator[Finding]:
    seen: set[str] = set()
    for stage in dockerfile.stages:
        if not stage.name:
            continue
        written = stage.start.args[2]
        if written != stage.name:
            yield _about("StageNameCasing", stage.start, f"the stage name {written} is not lower case")
        if stage.name in _RESERVED:
            yield _about(
                "ReservedStageName", stage.start, f"a stage is called {stage.name}, which has a meaning"
            )
        if stage.name in seen:
            yield _about("DuplicateStageName", stage.start, f"a second stage is called {stage.name}")
        seen.add(stage.name)


def _bases(dockerfile: Dockerfile, scope: Scope) -> Iterator[Finding]:
    """Look at FROM: its variables, its platform, and what it is without `--build-arg`."""
    known = scope.arguments.defaults
    declared = {
        name
        for instruction in dockerfile.arguments
        for name, _default in declarations(instruction, Words(dockerfile.escape, known))
    }
    for stage in dockerfile.stages:
        words, platform_words = Words(dockerfile.escape, known), Words(dockerfile.escape, known)
        words.word(stage.base)
        platform = platform_words.word(stage.platform)
        for name in sorted((words.missing | platform_words.missing) - declared):
            hint = near(name, declared | set(known))
            yield _about(
                "UndefinedArgInFrom", stage.start, f"no ARG declares {printable(name)}" + _aside(hint)
            )
        if stage.platform and not platform_words.asked:
            yield from _constant_platform(stage, platform)
        if platform_words.asked == {"TARGETPLATFORM"} and platform == known["TARGETPLATFORM"]:
            yield _about("RedundantTargetPlatform", stage.start, "the platform is the one it has anyway")
        if not _has_default(stage, dockerfile, scope):
            yield _about(
                "InvalidDefaultArgInFrom",
                stage.start,
                f"{printable(stage.base)} names no image unless --build-arg gives a value",
            )


def _constant_platform(stage: Stage, text: str) -> Iterator[Finding]:
    try:
        platform = parse_platform(text)
    except UsageError:
        return  # the build will say so
    if platform.os not in stage.name and platform.architecture not in stage.name:
        yield _about(
            "FromPlatformFlagConstDisallowed", stage.start, f"the platform is always {printable(text)}"
        )


def _has_default(stage: Stage, dockerfile: Dockerfile, scope: Scope) -> bool:
    """Return whether the base names an image without any `--build-arg`, or demands one by `${NAME:?}`."""
    if "$" not in stage.base:
        return True
    try:
        arguments = Arguments(dockerfile, {}, scope.arguments.predefined)
        name = Words(dockerfile.escape, arguments.defaults).word(stage.base)
    except UsageError:
        return True
    try:
        parse_reference(name)
    except DaemonlessError:
        return False
    return True


def _repeated(stage: Stage) -> Iterator[Finding]:
    last: dict[str, Instruction] = {}
    for instruction in stage.instructions:
        if instruction.keyword in _LAST_COUNTS:
            if instruction.keyword in last:
                yield _about(
                    "MultipleInstructionsDisallowed",
                    last[instruction.keyword],
                    f"{instruction.keyword} is without effect: line {instruction.first} has another",
                )
            last[instruction.keyword] = instruction


def _relative_workdir(dockerfile: Dockerfile, stage: Stage) -> Iterator[Finding]:
    """Look at the first WORKDIR of a stage and the stages below it: another is relative to that."""
    below = dockerfile.find(stage.base, before=stage.index)
    while below is not None:
        if any(instruction.keyword == "WORKDIR" for instruction in below.instructions):
            return
        below = dockerfile.find(below.base, before=below.index)
    for instruction in stage.instructions:
        if instruction.keyword == "WORKDIR":
            if not instruction.args[0].startswith(("/", '"/', "'/", "$")):
                yield _about(
                    "WorkdirRelativePath",
                    instruction,
                    f"{printable(instruction.args[0])} is relative to whatever the base image has",
                )
            return


def _old_forms(instruction: Instruction) -> Iterator[Finding]:
    keyword = instruction.keyword
    if keyword == "MAINTAINER":
        yield _about(
            "MaintainerDeprecated", instruction, "write LABEL org.opencontainers.image.authors=... instead"
        )
    if keyword in ("ENV", "LABEL") and instruction.args[2] == "":
        yield _about(
            "LegacyKeyValueFormat", instruction, f"write {keyword} NAME=VALUE, with an = between them"
        )


def _secrets(instruction: Instruction) -> Iterator[Finding]:
    names = instruction.args[::3] if instruction.keyword == "ENV" else ()
    if instruction.keyword == "ARG":
        names = tuple(arg.partition("=")[0] for arg in instruction.args)
    for name in names:
        parts = set(name.lower().split("_"))
        if parts & _SECRETS and not parts & _NO_SECRETS:
            yield _about(
                "SecretsUsedInArgOrEnv",
                instruction,
                f"{printable(name)} would stay in the image: give secrets with RUN --mount=type=secret",
            )


def _ports(instruction: Instruction) -> Iterator[Finding]:
    if instruction.keyword != "EXPOSE":
        return
    for word in instruction.args:
        numbers, _slash, protocol = word.partition("/")
        if ":" in numbers and "$" not in numbers:
            yield _about(
                "ExposeInvalidFormat", instruction, f"{printable(word)} has more than a port of the container"
            )
        if protocol != protocol.lower() and "$" not in protocol:
            yield _about(
                "ExposeProtoCasing", instruction, f"the protocol of {printable(word)} is not lower case"
            )


def _ignored(instruction: Instruction, ignore: IgnoreMatcher | None) -> Iterator[Finding]:
    if ignore is None or instruction.keyword not in ("COPY", "ADD"):
        return
    if any(flag.startswith("--from=") for flag in instruction.flags):
        return
    for word in instruction.args[:-1]:
        if "$" in word or "://" in word or heredoc_of(word, instruction.heredocs) is not None:
            continue
        source = posixpath.normpath("/" + word.lstrip("/")).lstrip("/")
        if _is_ignored(source, ignore):
            yield _about(
                "CopyIgnoredFile", instruction, f".dockerignore leaves out {printable(source or '.')}"
            )


def _is_ignored(source: str, ignore: IgnoreMatcher) -> bool:
    """Return whether nothing of a source is left."""
    if not source:
        exceptions = any(pattern.startswith("!") for pattern in ignore.patterns)
        return not exceptions and any(pattern in _WHOLE_CONTEXT for pattern in ignore.patterns)
    directory = source
    while any(char in directory for char in "*?["):
        directory = posixpath.dirname(directory)
    if directory != source and any(pattern.startswith("!") for pattern in ignore.patterns):
        return False  # what it will match is not known here
    return ignore.excludes(source) and not ignore.may_reinclude_below(source)


def _values(stage: Stage, evaluated: Evaluated) -> Iterator[Finding]:
    """Look at what only an evaluation knows."""
    for step in evaluated.steps:
        for name in step.undefined:
            hint = near(name, {*variables_of(step.config), *evaluated.arguments})
            yield Finding(
                rule="UndefinedVar",
                message=f"nothing defines ${printable(name)}" + _aside(hint),
                first=step.first,
                last=step.last,
            )
    configs = {step.first: step.config for step in evaluated.steps}
    for instruction in stage.instructions:
        in_shell = instruction.keyword in ("CMD", "ENTRYPOINT") and not instruction.is_json
        if in_shell and not configs[instruction.first].get("Shell"):
            yield _about(
                "JSONArgsRecommended",
                instruction,
                f"a shell runs {instruction.keyword}, and gets the signals: write it as a JSON array",
            )


def _aside(hint: str) -> str:
    return f" ({hint})" if hint else ""
