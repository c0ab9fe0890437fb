"""Which form of progress a build has: what was asked for, or what suits where stderr goes."""

from __future__ import annotations

import os

from daemonless.build.report import Plain, Quiet
from daemonless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.build.report import Report

_FORMS = ("auto", "plain", "tty", "rawjson", "quiet")


def make_report(asked: str) -> Report:
    """Return where a build reports to: `asked`, or for auto what $BUILDKIT_PROGRESS says.

    Raises UsageError for tty where there is no terminal; the variable is not taken as seriously.
    """
    if asked == "tty" and not os.isatty(2):
        raise UsageError(
            "--progress tty needs a terminal, and standard error is none",
            "use plain, or auto, which is tty where there is one",
        )
    form = asked
    if asked == "auto":
        said = os.environ.get("BUILDKIT_PROGRESS", "")
        form = said if said in _FORMS else "auto"
    if form == "auto" and (os.environ.get("TERM") in (None, "", "dumb") or os.environ.get("CI")):
        form = "plain"
    if form == "quiet":
        return Quiet()
    if form == "rawjson":
        from daemonless.build.rawjson import RawJson  # noqa: PLC0415 - programs ask for it, few people do

        return RawJson()
    if form in ("auto", "tty") and os.isatty(2):
        from daemonless.build.terminal import Terminal  # noqa: PLC0415 - rich: 40 ms

        return Terminal()
    return Plain()
