"""A Dockerfile as read: its stages, their instructions, and mistakes that know their line.

Lines are counted from 1; a range includes its last line.
"""

from __future__ import annotations

from daemonless.errors import UsageError, printable
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_AROUND = 2  # lines of context before and after those marked in an excerpt


class DockerfileError(UsageError):
    """What is wrong, in which line of which Dockerfile."""

    def __init__(
        self, reason: str, hint: str = "", *, file: str, lines: tuple[str, ...], first: int, last: int = 0
    ) -> None:
        super().__init__(
            f"{printable(file)}:{first}: {reason}" if first else f"{printable(file)}: {reason}", hint
        )
        self.reason = reason
        self.file = file
        self.line = first
        self._lines = lines
        self._last = max(first, last)

    def excerpt(self) -> str:
        """Return the lines around the mistake, those at fault marked with `>>>`; "" if none is."""
        return excerpt(self._lines, self.line, self._last)


def excerpt(lines: tuple[str, ...], first: int, last: int) -> str:
    """Return the lines around a range, numbered, those in it marked with `>>>`."""
    if not first:
        return ""
    shown = []
    for number in range(max(1, first - _AROUND), min(len(lines), last + _AROUND) + 1):
        mark = ">>>" if first <= number <= last else "   "
        shown.append(f"{number:4} | {mark} {printable(lines[number - 1].expandtabs(4))}".rstrip())
    return "\n".join(shown)


class Heredoc(Record):
    """A here-document that follows an instruction."""

    name: str
    content: str  # with the line break of each line, tabs still there
    expand: bool  # the name was not quoted: variables in the content are meant
    chomp: bool  # `<<-`: leading tabs go away


class Instruction(Record):
    """One instruction."""

    keyword: str  # upper case
    written: str  # the keyword as it was written
    original: str  # the whole of it on one line, without comments and here-documents
    flags: tuple[str, ...] = ()  # "--chown=a:b", quotes removed
    args: tuple[str, ...] = ()  # for ENV and LABEL: name, value, "=" or "" (the old form), ...
    is_json: bool = False
    heredocs: tuple[Heredoc, ...] = ()
    comments: tuple[str, ...] = ()  # the lines of comment right above, without their "#"
    trigger: str = ""  # of ONBUILD: the instruction to run later, here-documents included
    first: int
    last: int


class Stage(Record):
    """What one FROM begins. `base` and `platform` are not expanded yet."""

    index: int
    name: str  # lower case, "" if it has none
    base: str
    platform: str
    instructions: tuple[Instruction, ...]
    first: int  # lines of the FROM
    last: int
    start: Instruction  # the FROM itself


class Warning(Record):
    """What BuildKit's parser warns of."""

    message: str
    line: int


class Dockerfile(Record):
    """All of it."""

    name: str
    lines: tuple[str, ...]
    escape: str  # "\\" or "`"
    directives: Mapping[str, str]  # syntax, escape, check
    arguments: tuple[Instruction, ...]  # the ARGs before the first FROM
    stages: tuple[Stage, ...]
    warnings: tuple[Warning, ...] = ()

    def mistake(self, reason: str, hint: str = "", *, first: int, last: int = 0) -> DockerfileError:
        """Return the error for lines of this file."""
        return DockerfileError(reason, hint, file=self.name, lines=self.lines, first=first, last=last)

    def find(self, name: str, before: int | None = None) -> Stage | None:
        """Return the stage of that name or number, among those before an index (`--target`, --from)."""
        stages = self.stages[:before]
        for stage in reversed(stages):
            if stage.name and stage.name == name.lower():
                return stage
        if name.isascii() and name.isdigit() and len(name) < 6 and int(name) < len(stages):
            return stages[int(name)]
        return None


def near(name: str, known: Iterable[str]) -> str:
    """Return the hint that names what was meant, or ""."""
    from difflib import get_close_matches  # noqa: PLC0415 - 6 ms that only a mistake pays

    found = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {found[0]}?" if found else ""
