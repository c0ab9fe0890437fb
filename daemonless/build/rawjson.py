"""Progress for programs: BuildKit's `client.SolveStatus`, one JSON object a line (client/graph.go).

vertexes   a step: digest (what the others refer to it by), name, started, completed, cached, error
logs       what it has printed, base64; stream 1, as both streams of a command come as one
statuses   what becomes of the image at the end
warnings   base64, too
"""

from __future__ import annotations

import binascii
from hashlib import sha256

from daemonless import clock, jsonio
from daemonless.build.report import Quiet, TaskName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_STREAM = 1
_EXPORT = "exporting to image"


class RawJson(Quiet):
    """Prints each event as it comes."""

    def __init__(self, fd: int = 2) -> None:
        super().__init__(fd)
        self._vertexes: dict[int, dict[str, Any]] = {}

    def started(self, task: TaskName) -> None:
        """Print the step with its beginning."""
        super().started(task)
        self._vertexes[task.number] = _vertex(task.title, task.number)
        self._print(vertexes=[self._vertexes[task.number]])

    def printed(self, task: TaskName, data: bytes) -> None:
        """Print the bytes as they are."""
        if task.number not in self._vertexes:  # its files are being read
            self.started(task)
        log = {
            "vertex": self._vertexes[task.number]["digest"],
            "stream": _STREAM,
            "data": _base64(data),
            "timestamp": _now(),
        }
        self._print(logs=[log])

    def done(self, task: TaskName, note: str = "") -> None:
        """Print the step with its end."""
        super().done(task, note)
        vertex = self._vertexes.pop(task.number, None) or _vertex(task.title, task.number)
        self._print(vertexes=[{**vertex, "completed": _now(), **({"cached": True} if note else {})}])

    def failed(self, task: TaskName, reason: str) -> None:
        """Print the step with its end and why that is."""
        super().failed(task, reason)
        vertex = self._vertexes.pop(task.number, None) or _vertex(task.title, task.number)
        self._print(vertexes=[{**vertex, "completed": _now(), "error": reason}])

    def say(self, text: str) -> None:
        """Print it as a warning that counts for little: the format has nothing else for a remark."""
        self._print(warnings=[{"level": 2, "short": _base64(text.encode("utf-8", "surrogateescape"))}])

    def warn(self, text: str) -> None:
        """Print a warning."""
        self._print(warnings=[{"level": 1, "short": _base64(text.encode("utf-8", "surrogateescape"))}])

    def finished(self, image: str, names: list[str]) -> None:
        """Print what BuildKit does for an image: a step whose parts are its id and its names."""
        vertex = _vertex(_EXPORT)
        now = vertex["started"]
        parts = [f"writing image {image}", *(f"naming to {name}" for name in names)]
        statuses = [
            {
                "id": part,
                "vertex": vertex["digest"],
                "current": 0,
                "timestamp": now,
                "started": now,
                "completed": now,
            }
            for part in parts
        ]
        self._print(vertexes=[{**vertex, "completed": now}], statuses=statuses)

    def __exit__(self, *_: object) -> None:
        """End the steps that somebody else's failure, or an interrupt, has ended."""
        for vertex in self._vertexes.values():
            self._print(vertexes=[{**vertex, "completed": _now(), "error": "canceled"}])

    def _print(self, **lists: list[dict[str, Any]]) -> None:
        self._write(jsonio.dumps(lists) + "\n")


def _vertex(title: str, number: int = 0) -> dict[str, Any]:
    digest = sha256(f"{number} {title}".encode("utf-8", "surrogateescape")).hexdigest()
    return {"digest": f"sha256:{digest}", "name": title, "started": _now()}


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


def _now() -> str:
    return clock.timestamp()
