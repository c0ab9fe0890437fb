"""Values that the shell completes: containers, images and local words, read from disk as they are.

Completion must be quick and silent, so nothing is locked, loaded beyond its name or reported.
"""

from __future__ import annotations

import os

import typer

from daemonless.config import Paths, load_paths
from daemonless.errors import DaemonlessError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.dockerfile.document import Dockerfile


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


def namespaces(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete what --pid, --uts and --userns take: a word, or a container to share with."""
    shared = [f"container:{name}" for name in containers(ctx, "")]
    return ["host", "private", *shared, "ns:"]


def ipc_namespaces(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete what --ipc takes."""
    return ["shareable", "none", *namespaces(ctx, incomplete)]


def user_namespaces(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete what --userns takes."""
    return ["keep-id", "keep-id:uid=", "nomap", "auto", "auto:size=", *namespaces(ctx, incomplete)]


def devices(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a device that is described; paths are the shell's."""
    from daemonless.containers.cdi import known_names  # noqa: PLC0415 - as below

    try:
        return known_names()
    except (OSError, DaemonlessError):
        return []


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


def stages(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a stage of the Dockerfile that the words before name, or that is in the context."""
    found = _dockerfile(ctx)
    return [stage.name for stage in found.stages if stage.name] if found else []


def build_args(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete an ARG of that Dockerfile."""
    found = _dockerfile(ctx)
    if found is None:
        return []
    inner = [each for stage in found.stages for each in stage.instructions if each.keyword == "ARG"]
    names = [word.partition("=")[0] for each in (*found.arguments, *inner) for word in each.args]
    return [f"{name}=" for name in dict.fromkeys(names)]


def _dockerfile(ctx: typer.Context) -> Dockerfile | None:
    from daemonless.build.contexts import open_context  # noqa: PLC0415 - as above
    from daemonless.dockerfile.parse import parse  # noqa: PLC0415

    # click assigns no arguments when the last word is an option that lacks its value: they are left over
    context, file = ctx.params.get("context") or [*ctx.args, "."][0], ctx.params.get("file") or ""
    if not os.path.isdir(context) or file == "-" or "://" in file:
        return None  # what is not on this machine
    try:
        opened = open_context(context, "", file=file)
        os.close(opened.tree.fd)
        return parse(opened.dockerfile, opened.dockerfile_name)
    except (OSError, DaemonlessError):
        return None
