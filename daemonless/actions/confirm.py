"""Ask before much is removed."""

from __future__ import annotations

import os
import sys

from daemonless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def confirm(warning: str, doomed: Iterable[str]) -> bool:
    """Say what would be removed and return whether the answer, a line of the input, is yes.

    The question goes to stderr: stdout carries results only. Raises UsageError if there is no
    answer, because the input has ended.
    """
    lines = "".join(f"{line}\n" for line in doomed)
    text = f"WARNING! {warning}\n{lines}Are you sure you want to continue? [y/N] "
    os.write(2, text.encode("utf-8", "backslashreplace"))
    answer = sys.stdin.readline()
    if not answer:
        os.write(2, b"\n")
        raise UsageError("nothing was removed: there was no answer", "--force removes without asking")
    return answer.strip().lower() in ("y", "yes")
