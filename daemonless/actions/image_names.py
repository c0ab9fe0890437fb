"""An image's names as commands show them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.images.lists import ImageList
    from daemonless.images.store import Image

NONE = "<none>"


def split_name(name: str) -> tuple[str, str]:
    """Return repository and tag of a full name, `<none>` for what it lacks."""
    repository, at, _ = name.partition("@")
    if at:
        return repository, NONE
    repository, _, tag = name.rpartition(":")
    return (repository, tag) if repository else (NONE, NONE)


def repo_digests(image: Image | ImageList) -> list[str]:
    """Return the image's repositories with the digests it is known by there."""
    repositories = dict.fromkeys(split_name(name)[0] for name in image.names)
    digests = dict.fromkeys((image.source_digest, image.digest))
    return [f"{repository}@{digest}" for repository in repositories for digest in digests]
