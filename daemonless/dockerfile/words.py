"""Words of an instruction: quotes, escapes and variables (BuildKit's shell lexer).

$V ${V} ${V:-w} ${V-w} ${V:+w} ${V+w} ${V:?w} ${V?w} ${V#p} ${V##p} ${V%p} ${V%%p} ${V/p/r} ${V//p/r}
"""

from __future__ import annotations

from collections.abc import Mapping

from e2b_dockerfile_utils import ShellLex

from daemonless.errors import UsageError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    T = TypeVar("T")

_SPECIAL = frozenset("$'\"")


class Words:
    """Expands with the variables given, the first that has one; without any, references stay.

    Whatever is asked for is noted in `asked`, and in `missing` too if it has no value.
    """

    def __init__(self, escape: str, *variables: Mapping[str, str]) -> None:
        self.asked: set[str] = set()
        self.missing: set[str] = set()
        self._escape = escape
        self._variables = _Watched(variables, self.asked, self.missing) if variables else None

    def word(self, text: str) -> str:
        """Return the text as one word: quotes removed, blanks kept. Raises UsageError."""
        if self._escape not in text and not _SPECIAL.intersection(text):
            return text
        return _checked(text, self._lexer(self._escape).process_word)

    def words(self, text: str) -> list[str]:
        """Return the words of the text; a variable's value may be several. Raises UsageError."""
        # BuildKit has no empty words here, though e2b has
        return [word for word in _checked(text, self._lexer(self._escape).process_words) if word]

    def document(self, text: str) -> str:
        """Return a here-document of COPY or ADD: quotes stay, and a backslash is always the escape.

        The lexer takes microseconds for each character, so it gets the lines that need it, or the
        whole text if an expression goes over several lines.
        """
        lexer = self._lexer("\\", skip_process_quotes=True)
        lines = text.splitlines(keepends=True)
        try:
            return "".join(
                lexer.process_word(line) if "$" in line or "\\" in line else line for line in lines
            )
        except ValueError:
            return _checked(text, lexer.process_word)

    def _lexer(self, escape: str, *, skip_process_quotes: bool = False) -> ShellLex:
        return ShellLex(
            escape,
            skip_process_quotes=skip_process_quotes,
            env=self._variables,
            skip_unset_env=self._variables is None,
        )


def _checked(text: str, process: Callable[[str], T]) -> T:
    try:
        return process(text)
    except ValueError as error:
        reason = str(error).removeprefix(f"failed to process {text!r}: ")
        raise UsageError(f"cannot expand {printable(text)!r}: {printable(reason)}") from None


class _Watched(Mapping[str, str]):
    def __init__(self, variables: tuple[Mapping[str, str], ...], asked: set[str], missing: set[str]) -> None:
        self._variables = variables
        self._asked = asked
        self._missing = missing

    def __getitem__(self, name: str) -> str:
        self._asked.add(name)
        for variables in self._variables:
            if name in variables:
                return variables[name]
        self._missing.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter({name for variables in self._variables for name in variables})

    def __len__(self) -> int:
        return len({name for variables in self._variables for name in variables})
