"""What was left out of a layer, one line for each kind of thing."""

from __future__ import annotations

from daemonless.errors import printable

_MAX_KINDS = 50  # an archive can name any number of attributes


class Omissions:
    """Counts how often each kind came, and keeps the first name."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, bytes]] = {}

    def add(self, text: str, name: bytes) -> None:
        """Record one member to which `text` applies."""
        count, first = self._seen.get(text, (0, name))
        if count or len(self._seen) < _MAX_KINDS:
            self._seen[text] = (count + 1, first)

    def lines(self) -> tuple[str, ...]:
        """Return a warning for each kind, fit for a terminal."""
        return tuple(
            f"{text} ({printable(first, 80)}{f' and {count - 1} more' if count > 1 else ''})"
            for text, (count, first) in self._seen.items()
        )
