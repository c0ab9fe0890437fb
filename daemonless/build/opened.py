"""The files of a build context once they are at hand."""

from __future__ import annotations

from daemonless.build.trees import Tree


class Opened:
    """The files of a context, or a Dockerfile in place of them."""

    def __init__(
        self,
        tree: Tree,
        directory: str,
        *,
        is_foreign: bool = True,
        dockerfile: bytes | None = None,
        warnings: tuple[str, ...] = (),
    ) -> None:
        self.tree = tree
        self.directory = directory
        self.is_foreign = is_foreign  # whether it comes from elsewhere, so that no path leads out of it
        self.dockerfile = dockerfile
        self.warnings = warnings
