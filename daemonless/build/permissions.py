"""--chmod: octal, or symbolic as chmod(1) has it."""

from __future__ import annotations

import stat

from daemonless.errors import UsageError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[
        [int, bool], int
    ]  # mode of a file or (True) directory before: its permission bits after

_UMASK = 0o022  # of BuildKit's daemon, which counts where a clause names nobody
_WHO = {"u": 0o4700, "g": 0o2070, "o": 0o1007}
_ALL = 0o7777
_READ, _WRITE, _EXECUTE, _SET_ID, _STICKY = 0o444, 0o222, 0o111, 0o6000, 0o1000


def parse_mode(text: str) -> Change:
    """Return what `--chmod=TEXT` makes of a mode. Raises UsageError."""
    if text.isascii() and text.isdigit():
        try:
            mode = int(text, 8)
        except ValueError:
            mode = _ALL + 1
        if mode > _ALL:
            raise UsageError(
                f"invalid --chmod {printable(text)!r}: it should be octal, and between 0 and 07777"
            )
        return lambda before, is_directory: mode
    clauses = [_clause(clause, text) for clause in text.split(",")]

    def change(before: int, is_directory: bool) -> int:
        mode = stat.S_IMODE(before)
        for clause in clauses:
            mode = clause(mode, is_directory)
        return mode

    return change


def is_absolute(text: str) -> bool:
    """Return whether the result does not depend on the mode before."""
    return text.isascii() and text.isdigit()


def _clause(clause: str, text: str) -> Change:
    """Return what one of the parts between commas does: who, then operators with permissions."""
    at = 0
    who = 0
    while at < len(clause) and clause[at] in "ugoa":
        who |= _ALL if clause[at] == "a" else _WHO[clause[at]]
        at += 1
    reach = who or _ALL & ~_UMASK
    actions = []
    while at < len(clause):
        operator = clause[at]
        end = at + 1
        while end < len(clause) and clause[end] in "rwxXstugo":
            end += 1
        if operator not in "+-=":
            break
        actions.append((operator, clause[at + 1 : end]))
        at = end
    if at < len(clause) or not actions:
        raise UsageError(
            f"invalid --chmod {printable(text)!r}",
            "give an octal mode as 0755, or a symbolic one as u=rwX,go=rX",
        )

    def change(mode: int, is_directory: bool) -> int:
        for operator, letters in actions:
            bits = _bits(letters, mode, is_directory) & reach
            if operator == "+":
                mode |= bits
            elif operator == "-":
                mode &= ~bits
            else:
                mode = mode & ~(who or _ALL) | bits
        return mode

    return change


def _bits(letters: str, mode: int, is_directory: bool) -> int:
    bits = 0
    for letter in letters:
        if letter == "r":
            bits |= _READ
        elif letter == "w":
            bits |= _WRITE
        elif letter == "x" or (letter == "X" and (is_directory or mode & _EXECUTE)):
            bits |= _EXECUTE
        elif letter == "s":
            bits |= _SET_ID
        elif letter == "t":
            bits |= _STICKY
        elif letter in "ugo":
            given = mode >> {"u": 6, "g": 3, "o": 0}[letter] & 7
            bits |= given << 6 | given << 3 | given
    return bits
