"""Values that the shell completes: containers, images and local words, read from disk as they are.

Completion must be quick and silent, so nothing is locked, loaded beyond its name or reported.
"""

from __future__ import annotations

import os

import typer

from daemonless.config import Paths, load_paths
from daemonless.errors import DaemonlessError


def _paths(ctx: typer.Context) -> Paths:
    options = ctx.find_root().params
    return load_paths(options.get("root"), options.get("runroot"))


def containers(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a container's name, or its ID once something is typed."""
    try:
        data = _paths(ctx).data
        names = sorted(os.listdir(f"{data}/names"))
        ids = os.listdir(f"{data}/containers") if incomplete else []
    except (OSError, DaemonlessError):
        return []
    return [*names, *(identifier[:12] for identifier in ids)]


def images(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete an image's name, in full or as short as it may be written."""
    from daemonless.images.store import ImageStore  # noqa: PLC0415 - only completion reads the store

    try:
        store = ImageStore(_paths(ctx).data)
        names = [image.names for image in store.images()] + [found.names for found in store.lists()]
    except (OSError, DaemonlessError):
        return []
    return _spellings(names)


def lists(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a list of images."""
    from daemonless.images.store import ImageStore  # noqa: PLC0415 - as above

    try:
        return _spellings([found.names for found in ImageStore(_paths(ctx).data).lists()])
    except (OSError, DaemonlessError):
        return []


def _spellings(names: list[tuple[str, ...]]) -> list[str]:
    """Return full names, and short ones where docker.io may be left out."""
    full = [name for each in names for name in each]
    short = [name.removeprefix("docker.io/").removeprefix("library/") for name in full]
    return sorted({*full, *short})


def volumes(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a volume's name."""
    try:
        return sorted(os.listdir(f"{_paths(ctx).data}/volumes"))
    except (OSError, DaemonlessError):
        return []


def secrets(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a secret's name."""
    try:
        return sorted(name for name in os.listdir(f"{_paths(ctx).data}/secrets") if name[0] != ".")
    except (OSError, DaemonlessError):
        return []


def containers_or_images(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete what `inspect` takes."""
    return [*containers(ctx, incomplete), *images(ctx, incomplete)]
