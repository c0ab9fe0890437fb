"""Which image was built on which, as far as their configs tell.

The parent of an image is the one of this machine that ends where the image goes on: its layers and
its history are the beginning of the image's.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from daemonless.images.store import Image


class Family:
    """The relations of all images of a store."""

    def __init__(self, images: Iterable[Image]) -> None:
        self._by_layers: dict[tuple[str, ...], dict[str, Image]] = {}
        for image in images:
            self._by_layers.setdefault(image.diff_ids, {})[image.id] = image
        self._children: dict[str, list[Image]] | None = None

    def parent(self, image: Image) -> Image | None:
        """Return the image that this one was built on, or None if it is not here."""
        history = history_of(image)
        for count in range(len(image.diff_ids), -1, -1):
            found = [
                other
                for other in self._by_layers.get(image.diff_ids[:count], {}).values()
                if other.id != image.id and _is_beginning(other, image, history)
            ]
            if found:
                return max(found, key=lambda other: len(history_of(other)))
        return None

    def ancestors(self, image: Image) -> list[Image]:
        """Return the parent, its parent and so on."""
        found = []
        parent = self.parent(image)
        while parent:
            found.append(parent)
            parent = self.parent(parent)
        return found

    def children(self, image: Image) -> list[Image]:
        """Return the images whose parent this one is."""
        if self._children is None:
            self._children = {}
            for others in self._by_layers.values():
                for other in others.values():
                    parent = self.parent(other)
                    if parent:
                        self._children.setdefault(parent.id, []).append(other)
        return self._children.get(image.id, [])


def history_of(image: Image) -> list[dict[str, Any]]:
    """Return the entries of the config's history, the oldest first; what is none is left out."""
    history = image.config.get("history")
    return [entry for entry in history if isinstance(entry, dict)] if isinstance(history, list) else []


def _is_beginning(other: Image, image: Image, history: list[dict[str, Any]]) -> bool:
    """Whether `other` ends before `image` does, given that its layers are among the image's."""
    start = history_of(other)
    if history[: len(start)] != start:
        return False
    return len(start) < len(history) or len(other.diff_ids) < len(image.diff_ids)
