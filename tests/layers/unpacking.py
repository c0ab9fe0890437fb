"""Unpacking archives into directories below one another's."""

from __future__ import annotations

import os

from layer_archives import archive, chunks

from daemonless.isolation.userns import IdMap
from daemonless.layers.unpack import unpack

SINGLE = IdMap(uids=((0, os.geteuid(), 1),), gids=((0, os.getegid(), 1),), key="single")
FULL = IdMap(uids=((0, 0, 65536),), gids=((0, 0, 65536),))
BUDGET = 1 << 40


def apply(base, *members, data=None, id_map=SINGLE, chunk=1 << 16, threaded=False, budget=BUDGET):
    """Unpack members (or the stream `data`) into base/root; return what `unpack` returns."""
    for name in ("root", "attic"):
        (base / name).mkdir(exist_ok=True)
    fds = [os.open(base / name, os.O_RDONLY | os.O_DIRECTORY) for name in ("root", "attic")]
    stream = chunks(archive(*members) if data is None else data, chunk)
    try:
        return unpack(stream, *fds, id_map, budget=budget, threaded=threaded)
    finally:
        for fd in fds:
            os.close(fd)
