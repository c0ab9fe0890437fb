"""The build contexts of one build, opened when they are first needed."""

from __future__ import annotations

import os

from daemonless.build.index import ContentIndex, open_index
from daemonless.build.trees import Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemonless.dockerfile.ignore import IgnoreMatcher


class Sources:
    """The context that the command named, and those of --build-context by their names."""

    def __init__(
        self, trees: Mapping[str, Tree], paths: Mapping[str, str], images: Mapping[str, str], cache: str
    ) -> None:
        """`trees` has the main context under an empty name, `paths` where they are.

        `images` are names that stand for images.
        """
        self._trees = trees
        self._paths = paths
        self._images = images
        self._cache = cache
        self._indexes: dict[int, ContentIndex] = {}

    @property
    def names(self) -> frozenset[str]:
        """All names that --build-context gives a meaning."""
        return frozenset((*self._trees, *self._images)) - {""}

    def is_context(self, name: str) -> bool:
        """Return whether a name stands for files that are no image."""
        return name in self._trees

    def image_name(self, name: str) -> str:
        """Return the image that a name of the Dockerfile stands for."""
        return self._images.get(name, name)

    def tree(self, name: str) -> Tree:
        """Return the files of a context."""
        return self._trees[name]

    def path(self, name: str) -> str:
        """Return the directory of a context."""
        return self._paths[name]

    @property
    def ignore(self) -> IgnoreMatcher | None:
        """What .dockerignore hides of the main context; None if there is no such file."""
        tree = self._trees.get("")
        return tree.ignore if tree else None

    def index(self, tree: Tree) -> ContentIndex:
        """Return what is known of the content of a context's files."""
        found = self._indexes.get(tree.fd)
        if found is None:
            found = self._indexes[tree.fd] = open_index(self._cache, tree.fd)
        return found

    def save(self) -> None:
        """Keep what was found out of their content, for the next build."""
        for index in self._indexes.values():
            index.save()

    def close(self) -> None:
        """Close the trees."""
        for tree in self._trees.values():
            os.close(tree.fd)
