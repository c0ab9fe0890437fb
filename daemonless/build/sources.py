"""The build contexts of one build; named ones are opened when they are first needed."""

from __future__ import annotations

from daemonless.build.contexts import NamedContext, open_named
from daemonless.build.index import ContentIndex, open_index
from daemonless.build.trees import Tree
from daemonless.errors import UsageError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemonless.build.contexts import Context
    from daemonless.dockerfile.ignore import IgnoreMatcher


class Sources:
    """The context that the command named, and those of --build-context by their names."""

    def __init__(self, context: Context, named: Iterable[NamedContext], staging: str, cache: str) -> None:
        """`staging` begins the paths of directories for contexts from elsewhere; `cache` is Paths.cache."""
        self._named = {each.name: each for each in named}
        self._staging = staging
        self._cache = cache
        self._open = {"": (context.tree, context.directory)}
        self._indexes: dict[int, ContentIndex] = {}

    @property
    def names(self) -> frozenset[str]:
        """All names that --build-context gives a meaning."""
        return frozenset(self._named)

    def is_context(self, name: str) -> bool:
        """Return whether a name stands for files that are no image."""
        found = self._named.get(name.lower())
        return found is not None and found.kind == "files"

    def image_name(self, name: str) -> str:
        """Return the image that a name of the Dockerfile stands for. Raises UsageError."""
        found = self._named.get(name.lower())
        if found is None:
            return name
        if found.kind == "files":
            raise UsageError(
                f"the context {printable(name)} is files, and no image to build on",
                "copy from it: COPY --from",
            )
        if found.kind == "stage":
            raise UsageError(f"--build-context {printable(name)}: target: is for bake alone")
        return f"oci:{found.value}" if found.kind == "layout" else found.value

    def tree(self, name: str) -> Tree:
        """Return the files of a context; raises what `contexts.open_named` raises."""
        return self._opened(name)[0]

    def path(self, name: str) -> str:
        """Return the directory of a context."""
        return self._opened(name)[1]

    def _opened(self, name: str) -> tuple[Tree, str]:
        name = name.lower()
        found = self._open.get(name)
        if found is None:
            staging = f"{self._staging}.{len(self._open)}"
            found = self._open[name] = open_named(self._named[name], staging)
        return found

    @property
    def ignore(self) -> IgnoreMatcher | None:
        """What .dockerignore hides of the main context; None if there is no such file."""
        return self._open[""][0].ignore

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
