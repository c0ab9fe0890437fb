"""From the bytes of a Dockerfile to its stages and instructions.

Lines, comments, continuations and here-documents are taken apart here; flags, words and JSON
arrays of one instruction by e2b_dockerfile_utils, whose rules are those of BuildKit's parser.
Variables are not expanded.
"""

from __future__ import annotations

from e2b_dockerfile_utils import (
    DockerfileSyntaxError,
    ShellLex,
    chomp_heredoc_content,
    parse_dockerfile_ast,
    parse_heredoc,
)

from daemonless.dockerfile.document import (
    Dockerfile,
    DockerfileError,
    Heredoc,
    Instruction,
    Stage,
    Warning,
    near,
)
from daemonless.dockerfile.flags import Flags
from daemonless.errors import UsageError, printable

KEYWORDS = (
    *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL"),
    *("MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
)
DIRECTIVES = ("syntax", "escape", "check")
MAX_SIZE = 4 << 20  # bytes of a Dockerfile; one of a thousand lines has 50 KiB

_BLANKS = " \t\v\f\r\x85\xa0"
_HAVE_HEREDOCS = ("ADD", "COPY", "RUN")
# e2b takes here-documents off RUN itself, and splits COPY's words at quotes, which BuildKit does
# not: it is asked to read them as it reads these.
_READ_AS = {"RUN": "CMD", "COPY": "VOLUME", "ADD": "VOLUME"}
_NOT_TRIGGERS = ("ONBUILD", "FROM", "MAINTAINER")


def parse(text: bytes, name: str) -> Dockerfile:
    """Return the Dockerfile; `name` is what messages call it. Raises DockerfileError."""
    reader = _Reader(text, name)
    arguments: list[Instruction] = []
    sections: list[tuple[Instruction, list[Instruction]]] = []
    for instruction in reader.instructions():
        if instruction.keyword == "FROM":
            sections.append((instruction, []))
        elif sections:
            sections[-1][1].append(instruction)
        elif instruction.keyword == "ARG":
            arguments.append(instruction)
        else:
            raise reader.mistake(
                f"{instruction.keyword} stands before the first FROM",
                "begin with FROM and the image to start from; only ARG may stand before it",
                instruction.first,
                instruction.last,
            )
    if not sections:
        raise reader.mistake("it has no FROM", "begin with FROM and the image to start from", 0)
    return Dockerfile(
        name=name,
        lines=tuple(reader.lines),
        escape=reader.escape,
        directives=reader.directives,
        arguments=tuple(arguments),
        stages=tuple(_stage(reader, start, index, body) for index, (start, body) in enumerate(sections)),
        warnings=tuple(reader.warnings),
    )


def parse_one(text: str, escape: str = "\\") -> Instruction:
    """Return the one instruction a text holds: of `commit --change`, or an ONBUILD trigger.

    Raises DockerfileError.
    """
    reader = _Reader(text.encode("utf-8", "surrogatepass"), "", directives=False)
    reader.escape = escape
    found = list(reader.instructions())
    if len(found) != 1:
        raise reader.mistake("it is not one instruction", "", 0)
    return found[0]


def _stage(reader: _Reader, start: Instruction, index: int, body: list[Instruction]) -> Stage:
    """Return the stage that a FROM begins."""
    try:
        platform = Flags(start).one("platform")
    except UsageError as error:
        raise reader.mistake(error.message, error.hint, start.first, start.last) from None
    words = start.args
    if len(words) not in (1, 3) or (len(words) == 3 and words[1].upper() != "AS"):
        raise reader.mistake(
            "FROM takes an image, or an image and a name",
            "write FROM IMAGE [AS NAME]",
            start.first,
            start.last,
        )
    name = words[2].lower() if len(words) == 3 else ""
    if name and not (name[0].isascii() and name[0].isalpha() and _NAME.issuperset(name)):
        raise reader.mistake(
            f"{printable(words[2])!r} is no name for a stage",
            "a name is a letter, then letters, digits and any of - _ .",
            start.first,
            start.last,
        )
    return Stage(
        index=index, name=name, base=words[0], platform=platform, instructions=tuple(body),
        first=start.first, last=start.last, start=start,
    )  # fmt: skip


_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")


def _first_word(line: str) -> str:
    """Return what stands before the first blank; the line begins with none."""
    end = next((place for place, char in enumerate(line) if char in " \t\v\f\r"), len(line))
    return line[:end]


class _Reader:
    """Takes the lines of a file one instruction at a time."""

    def __init__(self, text: bytes, name: str, *, directives: bool = True) -> None:
        self.name = name
        self.escape = "\\"
        self.directives: dict[str, str] = {}
        self.warnings: list[Warning] = []
        self._at = 0  # lines taken
        self._directive_lines = 0
        decoded = text[:MAX_SIZE].removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
        self._raw = decoded.removesuffix("\n").split("\n")
        self.lines = [line.rstrip("\r") for line in self._raw]
        if len(text) > MAX_SIZE:
            raise self.mistake(f"it is larger than {MAX_SIZE >> 20} MiB", "", 0)
        if directives:
            self._read_directives()

    def mistake(self, reason: str, hint: str, first: int, last: int = 0) -> DockerfileError:
        return DockerfileError(
            reason, hint, file=self.name, lines=tuple(self.lines), first=first, last=max(first, last)
        )

    def _read_directives(self) -> None:
        """Take `# KEY=VALUE` lines at the very top; anything else ends them."""
        for number, line in enumerate(self.lines, 1):
            text = line.strip(_BLANKS)
            key, equals, value = text.removeprefix("#").partition("=")
            key, value = key.strip(_BLANKS).lower(), value.strip(_BLANKS)
            if not (text.startswith("#") and equals and value and key in DIRECTIVES):
                return
            if key in self.directives:
                raise self.mistake(f"there is a second {key} directive", "", number)
            if key == "escape" and value not in ("\\", "`"):
                raise self.mistake(
                    f"{printable(value)!r} cannot be the escape character", "it is \\ or `", number
                )
            self.directives[key] = value
            self.escape = self.directives.get("escape", self.escape)
            self._directive_lines = number

    def instructions(self) -> list[Instruction]:
        """Return all of them."""
        found = []
        while self._at < len(self.lines):
            first = self._at + 1
            line = self._logical_line()
            if line.strip(_BLANKS):
                instruction = self._instruction(line, first)
                found.append(instruction.replace(comments=self._comments_above(first)))
        return found

    def _comments_above(self, first: int) -> tuple[str, ...]:
        """Return the comment that ends right above a line; `#` alone separates as an empty line does."""
        found: list[str] = []
        for number in range(first - 2, self._directive_lines - 1, -1):
            text = self.lines[number].strip(_BLANKS)
            if not text.startswith("#") or text == "#":
                break
            found.insert(0, text[1:].strip(_BLANKS))
        return tuple(found)

    def _logical_line(self) -> str:
        """Take a line and those it is continued on; comments and empty lines among those vanish."""
        line = self.lines[self._at].lstrip(_BLANKS)
        self._at += 1
        if line.startswith("#"):
            return ""
        line, continued = self._continuation(line)
        parts = [line]
        empty = False
        while continued and self._at < len(self.lines):
            line = self.lines[self._at]
            self._at += 1
            stripped = line.lstrip(_BLANKS)
            if stripped.startswith("#"):
                continue
            if not stripped:
                empty = True
                continue
            line, continued = self._continuation(line)
            parts.append(line)
        joined = "".join(parts)
        if empty:
            self.warnings.append(Warning(message="an empty line in a continued instruction", line=self._at))
        return joined

    def _continuation(self, line: str) -> tuple[str, bool]:
        """Return the line without the escape character that continues it, and whether it had one."""
        text = line.rstrip(" \t")
        if text.endswith(self.escape) and not text.endswith(self.escape * 2):
            return text[:-1], True
        return line, False

    def _instruction(self, line: str, first: int) -> Instruction:
        try:
            line.encode()
        except UnicodeEncodeError:
            raise self.mistake("it is not UTF-8", "", first, self._at) from None
        if "\0" in line:
            raise self.mistake("it has a NUL in it", "", first, self._at)
        line = line.strip(_BLANKS)
        written = _first_word(line)
        keyword = written.upper()
        if keyword not in KEYWORDS:
            raise self.mistake(
                f"there is no instruction {printable(written)!r}",
                near(keyword, KEYWORDS) or f"it is one of {' '.join(KEYWORDS)}",
                first,
                self._at,
            )
        if keyword == "ONBUILD":
            return self._on_build(line, written, first)
        flags, args, is_json = self._take_apart(keyword, line[len(written) :], first)
        heredocs: tuple[Heredoc, ...] = ()
        if keyword in _HAVE_HEREDOCS and not is_json and "<<" in line:
            heredocs = self._heredocs(line, first)
        if not args and not is_json:
            raise self.mistake(f"{keyword} needs an argument", "", first, self._at)
        return Instruction(
            keyword=keyword, written=written, original=line, flags=flags, args=args, is_json=is_json,
            heredocs=heredocs, first=first, last=self._at,
        )  # fmt: skip

    def _take_apart(
        self, keyword: str, rest: str, first: int
    ) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
        """Return an instruction's flags, its arguments, and whether those were a JSON array."""
        text = f"# escape={self.escape}\n{_READ_AS.get(keyword, keyword)}{rest}"
        try:
            found = parse_dockerfile_ast(text).instructions[0]
        except DockerfileSyntaxError as error:
            reason = str(error).partition(f"line {error.line}: ")[2]
            raise self.mistake(printable(reason), "", first, self._at) from None
        except RecursionError:  # of the JSON parser
            raise self.mistake("its JSON array is nested too deeply", "", first, self._at) from None
        # JSON can spell half a surrogate pair, which is no text; Go makes it this character too
        args = (arg.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for arg in found.args)
        return tuple(found.flags), tuple(args) if found.json else tuple(found.args), found.json

    def _on_build(self, line: str, written: str, first: int) -> Instruction:
        rest = line[len(written) :].strip(_BLANKS)
        if not rest:
            raise self.mistake("ONBUILD needs an instruction", "", first, self._at)
        inner = _first_word(rest).upper()
        if inner in _NOT_TRIGGERS:
            raise self.mistake(f"ONBUILD cannot trigger {inner}", "", first, self._at)
        found = self._instruction(rest, first)
        trigger = "".join((rest, *(f"\n{document.content}{document.name}" for document in found.heredocs)))
        return Instruction(
            keyword="ONBUILD", written=written, original=line, args=(rest,), trigger=trigger,
            heredocs=found.heredocs, first=first, last=found.last,
        )  # fmt: skip

    def _heredocs(self, line: str, first: int) -> tuple[Heredoc, ...]:
        """Take the here-documents that the words of a line begin."""
        try:
            words = ShellLex("\\", raw_quotes=True, raw_escapes=True).process_words(line)
            starts = [start for word in words if (start := parse_heredoc(word)) is not None]
        except ValueError:  # an open quote: left to the shell
            return ()
        found = []
        for start in starts:
            body = []
            while True:
                if self._at >= len(self.lines):
                    raise self.mistake(
                        f"the here-document {printable(start.name)} has no end",
                        f"end it with a line that holds {printable(start.name)} only",
                        first,
                    )
                text, raw = self.lines[self._at], self._raw[self._at]
                self._at += 1
                if (text.lstrip("\t") if start.chomp else text) == start.name:
                    break
                body.append(raw + "\n")
            content = "".join(body)
            found.append(Heredoc(name=start.name, content=content, expand=start.expand, chomp=start.chomp))
        return tuple(found)


def heredoc_of(word: str, documents: tuple[Heredoc, ...]) -> Heredoc | None:
    """Return the here-document that a word begins, leading tabs removed if it says so."""
    try:
        start = parse_heredoc(word)
    except ValueError:
        return None
    for document in documents:
        if start is not None and document.name == start.name:
            content = chomp_heredoc_content(document.content) if document.chomp else document.content
            return document.replace(content=content)
    return None
