"""Where a step takes files from, before and after it is known what that holds."""

from __future__ import annotations

from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.images.store import Image


class Origin(Record):
    """A build context, a stage or an image; one of the first three says which."""

    context: str | None = None  # the name of a context, empty for the one that is the command's argument
    stage: int | None = None
    image: Image | None = None
    lowers: tuple[str, ...] = ()  # once it is there: the directories of its layers, from the top
    identity: str = ""  # of the layers: the same for the same files
