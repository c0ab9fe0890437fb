"""Garbage: the blobs and unpacked layers that nothing needs any more, and their removal.

Needed is what a listed image consists of, what a container stands on, what the build cache can give
again (`daemonless.images.buildcache`), and what somebody has leased (`daemonless.images.leases`). Who
removes holds images.lock from before it asks for these to after the last removal, so none of them can
grow meanwhile; a removal is a rename into trash/. What of an image or of a container cannot be read
may need anything: then nothing is removed.
"""

from __future__ import annotations

import os

from daemonless import failpoints
from daemonless.errors import InvalidData
from daemonless.files import list_if_there, unlink_if_there
from daemonless.images import leases, partial
from daemonless.images.buildcache import BuildCache
from daemonless.layers import staging, trash
from daemonless.layers.store import diff_id_of, recorded_size
from daemonless.oci.digest import Digest, is_hex
from daemonless.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from daemonless.images.lists import ImageList
    from daemonless.images.store import Image, ImageStore

    # Given all that listed images need, returns the diff_ids of the layers that containers of other
    # images stand on. Raises InvalidData if it cannot tell.
    Users = Callable[[Collection[str]], Iterable[str]]


class Piece(Record):
    """A blob, or a layer unpacked with one id map."""

    digest: str  # of the blob, or the layer's diff_id
    path: str
    size: int  # bytes of the blob, or of the layer's files
    is_layer: bool


def pieces(data: str) -> list[Piece]:
    """Return all blobs and unpacked layers below `data`."""
    found = []
    blobs = f"{data}/images/blobs"
    for algorithm in list_if_there(blobs):
        for name in _hexes(f"{blobs}/{algorithm}"):
            path = f"{blobs}/{algorithm}/{name}"
            try:
                size = os.lstat(path).st_size
            except FileNotFoundError:
                continue
            found.append(Piece(digest=f"{algorithm}:{name}", path=path, size=size, is_layer=False))
    for key in list_if_there(f"{data}/layers"):
        for name in _hexes(f"{data}/layers/{key}"):
            path = f"{data}/layers/{key}/{name}"
            try:
                size = recorded_size(path)
            except (OSError, InvalidData):
                size = 0  # a broken one is of unknown size
            found.append(Piece(digest=diff_id_of(name), path=path, size=size, is_layer=True))
    return found


def needed(store: ImageStore, users: Users) -> set[str]:
    """Return the digests of all that is needed. To be sure of it, the caller holds images.lock.

    Raises InvalidData if it cannot be known, because an image or a container is damaged.
    """
    return in_use(store, users) | BuildCache(store.data).needs()


def in_use(store: ImageStore, users: Users) -> set[str]:
    """Return what is needed whatever becomes of the build cache; as `needed`."""
    digests = store.needs()
    digests.update(users(digests))
    return digests | leases.leased(store.data)


def collect(store: ImageStore, users: Users) -> list[Piece]:
    """Remove what nothing needs, and what those who died have left half made; return the former.

    Raises InvalidData if an image or a container is damaged, OSError about the disk.
    """
    store.blobs.prepare()
    leases.sweep(store.data)
    store.blobs.sweep()
    partial.sweep(store.blobs, age=0.0)
    staging.sweep_below(store.data)
    with store.lock():
        # whoever writes the list holds the lock: these are of writers that died
        for name in os.listdir(store.blobs.root):
            if name.startswith(".index.json."):
                unlink_if_there(f"{store.blobs.root}/{name}")
        BuildCache(store.data).sweep()
        kept = needed(store, users)
        doomed = [piece for piece in pieces(store.data) if piece.digest not in kept]
        for piece in doomed:
            discard(store.data, piece.path)
    return doomed


def remove(
    store: ImageStore, image: Image | ImageList, users: Users, check_unused: Callable[[], None] = lambda: None
) -> None:
    """Remove an image or a list with all its names, and what it consists of unless it is needed still.

    What `check_unused` raises, when nobody can come to use the image any more, keeps it.
    """
    digests = store.needs_of(image)
    store.unlist(image, check_unused)
    discard_unneeded(store, digests, users)


def discard_unneeded(store: ImageStore, digests: Collection[str], users: Users) -> None:
    """Remove those of the blobs and layers that nothing needs.

    For who has removed an image, or could not finish one. Where it is not known, they stay: a
    prune says why, and removes them when it can.
    """
    with store.lock():
        try:
            doomed = set(digests) - needed(store, users)
        except InvalidData:
            return
        for digest in doomed:
            discard(store.data, store.blobs.path(digest))
            for key in list_if_there(f"{store.data}/layers"):
                discard(store.data, f"{store.data}/layers/{key}/{Digest(digest).hex}")


def nobody(needed_by_images: Collection[str]) -> Iterable[str]:
    """Stand in for containers, for who removes what no container can have come to stand on."""
    return ()


def discard(data: str, path: str) -> None:
    """Move a blob or a layer into the trash; the caller holds images.lock and knows that nothing needs it."""
    failpoints.reach("images.discard")
    try:
        trash.discard(data, path)
    except FileNotFoundError:
        pass  # gone meanwhile, or never unpacked with this map


def _hexes(path: str) -> list[str]:
    """Return the names in a directory that can be the digits of a digest; others are none of ours."""
    return [name for name in list_if_there(path) if len(name) in (64, 128) and is_hex(name)]
