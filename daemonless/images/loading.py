"""load: images from an archive come into the store, or leave nothing there."""

from __future__ import annotations

import os

from daemonless.config import Paths
from daemonless.images import garbage
from daemonless.images.blobs import store_failed
from daemonless.images.progress import Progress
from daemonless.images.pull import pull_from
from daemonless.images.store import Image, ImageStore
from daemonless.images.transports.source import Source
from daemonless.isolation.userns import load_id_map
from daemonless.layers import trash
from daemonless.layers.worker import UnpackPool


def load(paths: Paths, source: Source, progress: Progress) -> Image:
    """Store one image of an archive, for whatever platform it is, and return it.

    Unlike a pull it is not continued later, so what a failure leaves is removed again. The caller
    must have a single thread. Raises as `images.pull.pull`.
    """
    before = {piece.digest for piece in garbage.pieces(paths.data)}
    try:
        return _load(paths, source, progress)
    except BaseException:
        new = {piece.digest for piece in garbage.pieces(paths.data)} - before
        garbage.discard_unneeded(ImageStore(paths.data), new, garbage.nobody)
        trash.empty_in_background(paths.data)
        raise


def _load(paths: Paths, source: Source, progress: Progress) -> Image:
    try:
        with UnpackPool(paths.data, load_id_map(os.getuid(), os.getgid())) as pool:
            return pull_from(source, paths, pool, progress=progress, foreign=True)
    except OSError as error:
        raise store_failed(f"store image {source.name}", error) from error
