"""Progress on a terminal: a line for each step that has ended, and below them those that go on.

What goes on is drawn again and again at the end of the screen, with the last lines of each log. It is
written at once, after what removes the former drawing, so that no moment shows half of one. Nothing
here is a thread: the scheduler calls `tick`.
"""

from __future__ import annotations

import time

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from daemonless.build.loglines import LINE, Log
from daemonless.build.report import Quiet, TaskName
from daemonless.errors import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_LOG_LINES = 6  # of each step that goes on
_INTERVAL = 0.1  # seconds between drawings
_DONE, _RUNNING, _FAILED, _CANCELED, _FAINT = "blue", "", "red", "yellow", "dim"


class Terminal(Quiet):
    """The form of BuildKit's, with what has ended in the order in which it did."""

    is_for_people = True

    def __init__(self, fd: int = 2) -> None:
        super().__init__(fd)
        self._console = Console(stderr=True, force_terminal=True, highlight=False)
        self._begun = time.monotonic()
        self._next = 0.0  # when to draw again
        self._titles: dict[int, str] = {}  # of what goes on
        self._ended: list[Text] = []  # lines that are to stay, and are not on the screen yet
        self._drawn: list[int] = []  # the cells of the lines that are to go
        self._planned = self._complete = self._cached = 0

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing that was to go, and say how it ended."""
        for number, title in self._titles.items():
            self._end(f"CANCELED {title}", self._logs[number], _CANCELED)
        self._titles.clear()
        if kind is not None:
            what = "CANCELED" if issubclass(kind, KeyboardInterrupt) else "FAILED"
            self._ended.append(Text(f"[+] Building {self._time()} {what}", style=_FAILED))
        self._draw()
        super().__exit__(kind, value, trace)

    def planned(self, count: int) -> None:
        """Count them."""
        self._planned += count

    def started(self, task: TaskName) -> None:
        """Show it among what goes on."""
        super().started(task)
        self._titles[task.number] = task.title

    def done(self, task: TaskName, note: str = "") -> None:
        """Leave a line of it."""
        self._complete += 1
        self._cached += bool(note)
        self._end(f"{note} {task.title}".lstrip(), self._log(task), _DONE)
        self._titles.pop(task.number, None)
        super().done(task, note)

    def failed(self, task: TaskName, reason: str) -> None:
        """Leave a line of it."""
        self._end(f"ERROR {task.title}", self._log(task), _FAILED)
        self._titles.pop(task.number, None)
        super().failed(task, reason)

    def say(self, text: str) -> None:
        """Leave a line."""
        self._leave(Text(printable(text, LINE)))

    def warn(self, text: str) -> None:
        """Leave a line that is seen."""
        self._leave(Text(f"Warning: {printable(text, LINE)}", style=_CANCELED))

    def finished(self, image: str, names: list[str]) -> None:
        """Sum up what was done."""
        cached = f", {self._cached} of them cached" if self._cached else ""
        steps = f"{self._complete} step{'s' * (self._complete != 1)}"
        said = f"[+] Built in {self._time()}: {steps}{cached}"
        self._ended.append(Text(said, style=_DONE))
        self._ended += [Text(f" => {name}", style=_DONE) for name in names]

    def tick(self) -> float:
        """Draw it again if it is time to."""
        now = time.monotonic()
        if not self._titles and not self._ended and not self._drawn:
            return -1.0
        if now >= self._next:
            self._draw()
            self._next = now + _INTERVAL
        return self._next - now

    # --- what is shown ------------------------------------------------------------------------

    def _leave(self, line: Text) -> None:
        self._ended.append(line)
        if not self._titles:  # nothing goes on, so nobody will draw
            self._draw()

    def _time(self) -> str:
        return f"{time.monotonic() - self._begun:.1f}s"

    def _end(self, title: str, log: Log, style: str) -> None:
        log.end()
        self._ended.append(self._step(title, log, style, self._console.width))

    def _step(self, title: str, log: Log, style: str, width: int) -> Text:
        """Return the line of a step: what it is, and at the right how long it has taken."""
        seconds = f" {log.seconds:.1f}s"
        text = _cut(f" => {printable(title, LINE)}", width - len(seconds), style, pad=True)
        return text.append(seconds, style=style)

    def _going_on(self, width: int, height: int) -> list[Text]:
        """Return the lines of what goes on, as many as there is room for."""
        if not self._titles:
            return []
        lines = [_cut(f"[+] Building {self._time()} ({self._complete}/{self._planned})", width, "")]
        room = height - 2 - len(self._titles)  # the cursor has a line, too
        each = min(_LOG_LINES, max(0, room // len(self._titles)))
        for number, title in self._titles.items():
            log = self._logs[number]
            lines.append(self._step(title, log, _RUNNING, width))
            lines += [_cut(f" => => # {line}", width, _FAINT) for line in log.newest(each)]
        return lines[: max(1, height - 1)]

    def _draw(self) -> None:
        """Put what is new in the place of the last drawing, and a drawing below it."""
        width, height = self._console.size
        again = self._going_on(width - 1, height)
        # A terminal that has become narrower has broken the lines anew, and may have moved some of them
        # out of reach: those stay in its history.
        rows = sum(max(1, -(-cells // max(1, width))) for cells in self._drawn)
        # Line by line: to erase all at once from the top of the screen is, for tmux, to scroll it away.
        back = "\r\x1b[2K" + "\x1b[A\x1b[2K" * rows if rows else ""
        with self._console.capture() as captured:
            for line in (*self._ended, *again):
                self._console.print(line, soft_wrap=True)
        self._drawn = [cell_len(line.plain) for line in again]
        self._ended = []
        self._write(back + captured.get())


def _cut(text: str, width: int, style: str, *, pad: bool = False) -> Text:
    """Return a text of at most, or with `pad` exactly, so many cells."""
    line = Text(text, style=style, no_wrap=True)
    line.truncate(max(1, width), overflow="ellipsis", pad=pad)
    return line
