"""`--change`: a Dockerfile instruction applied to an image's config.

    CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD SHELL STOPSIGNAL USER VOLUME WORKDIR

Syntax and effect are those of a build (`dockerfile.settings`), but no variable is expanded, and
ENTRYPOINT leaves CMD alone.
"""

from __future__ import annotations

from daemonless.containers import grammar
from daemonless.dockerfile.document import DockerfileError
from daemonless.dockerfile.settings import SETTINGS, change
from daemonless.errors import UsageError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def apply(config: dict[str, Any], text: str) -> None:
    """Apply one instruction to the `config` section of an image config. Raises UsageError."""
    # the parser loads e2b_dockerfile_utils, which costs 20 ms and only --change needs
    from daemonless.dockerfile.parse import parse_one  # noqa: PLC0415
    from daemonless.dockerfile.words import Words  # noqa: PLC0415

    try:
        instruction = parse_one(text)
        if instruction.keyword not in SETTINGS:
            raise UsageError(f"{instruction.keyword} does not change the config")
        if instruction.keyword == "USER":
            grammar.user(instruction.args[0], "USER")
        change(config, instruction, Words("\\"))
    except UsageError as error:
        reason = error.reason if isinstance(error, DockerfileError) else error.message
        raise UsageError(
            f"cannot apply --change {printable(text)!r}: {reason}",
            error.hint or f"one of {' '.join(SETTINGS)}",
        ) from None
