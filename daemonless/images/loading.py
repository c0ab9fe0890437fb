"""load: images from an archive come into the store, or leave nothing there."""

from __future__ import annotations

from daemonless.config import Paths
from daemonless.images import garbage
from daemonless.images.progress import Progress
from daemonless.images.pull import pull_from
from daemonless.images.store import Image, ImageStore
from daemonless.images.transports.source import Source
from daemonless.layers import trash


def load(paths: Paths, source: Source, progress: Progress) -> Image:
    """Store one image of an archive, for whatever platform it is, and return it.

    Unlike a pull it is not continued later, so what a failure leaves is removed again. The caller
    must have a single thread. Raises as `images.pull.pull`.
    """
    before = {piece.digest for piece in garbage.pieces(paths.data)}
    try:
        return pull_from(source, paths, progress=progress, foreign=True)
    except BaseException:
        new = {piece.digest for piece in garbage.pieces(paths.data)} - before
        garbage.discard_unneeded(ImageStore(paths.data), new, garbage.nobody)
        trash.empty_in_background(paths.data)
        raise
