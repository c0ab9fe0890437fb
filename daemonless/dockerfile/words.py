"""Words of an instruction: quotes, escapes and variables (BuildKit's shell lexer).

$V ${V} ${V:-w} ${V-w} ${V:+w} ${V+w} ${V:?w} ${V?w} ${V#p} ${V##p} ${V%p} ${V%%p} ${V/p/r} ${V//p/r}
"""

from __future__ import annotations

from e2b_dockerfile_utils import ShellLex

from daemonless.errors import UsageError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Words:
    """Expands with the variables given; without any (None), references stay as they are.

    Whatever is asked for is noted in `asked`, and in `missing` if it has no value.
    """

    def __init__(self, variables: Mapping[str, str] | None, escape: str) -> None:
        self.asked: set[str] = set()
        self.missing: set[str] = set()
        self._escape = escape
        self._watched = None if variables is None else _Watched(variables, self.asked, self.missing)

    def word(self, text: str) -> str:
        """Return the text as one word: quotes removed, blanks kept. Raises UsageError."""
        if self._escape not in text and not _SPECIAL.intersection(text):
            return text
        return self._lex(self._escape, text, quotes=False)[0]

    def words(self, text: str) -> list[str]:
        """Return the words of the text; a variable's value may be several. Raises UsageError."""
        return self._lex(self._escape, text, quotes=False, split=True)

    def document(self, text: str) -> str:
        """Return a here-document of COPY or ADD: quotes stay, and a backslash is always the escape."""
        return self._lex("\\", text, quotes=True)[0]

    def _lex(self, escape: str, text: str, *, quotes: bool, split: bool = False) -> list[str]:
        lex = ShellLex(
            escape, skip_process_quotes=quotes, env=self._watched, skip_unset_env=self._watched is None
        )
        try:
            return lex.process_words(text) if split else [lex.process_word(text)]
        except ValueError as error:
            reason = str(error).rpartition("': ")[2] or str(error)
            raise UsageError(f"cannot expand {printable(text)!r}: {printable(reason)}") from None


_SPECIAL = frozenset("$'\"<")


class _Watched(dict[str, str]):
    def __init__(self, variables: Mapping[str, str], asked: set[str], missing: set[str]) -> None:
        super().__init__(variables)
        self._asked = asked
        self._missing = missing

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        self._asked.add(name)
        if name not in self:
            self._missing.add(name)
            return default
        return self[name]
