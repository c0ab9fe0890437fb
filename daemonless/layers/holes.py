"""Files with holes: an archive has zeros for them, and a disk need not."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def write_content(fd: int, pieces: Iterable[memoryview], size: int, *, smallest: int) -> None:
    """Write the `size` bytes that `pieces` hold to a file, at its position.

    A piece of zeros of at least `smallest` bytes is left out, which leaves a hole in a file that is
    new; 0 leaves out none.
    """
    hole = False
    for piece in pieces:
        hole = 0 < smallest <= len(piece) and _is_zero(piece)
        if hole:
            os.lseek(fd, len(piece), os.SEEK_CUR)
            continue
        written = os.write(fd, piece)
        while written < len(piece):
            written += os.write(fd, piece[written:])
    if hole:  # nothing was written at the end
        os.ftruncate(fd, size)


def _is_zero(piece: memoryview) -> bool:
    """Return whether all bytes are zero; two of them tell for nearly all pieces that are not."""
    return not piece[0] and not piece[-1] and piece.tobytes() == bytes(len(piece))
