"""rm: remove containers."""

from __future__ import annotations

from daemonless.actions.selection import for_each_container
from daemonless.containers import ending
from daemonless.containers.store import ContainerStore
from daemonless.layers import trash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daemonless.actions.args import Args
    from daemonless.containers.store import Container

_MISSING = 1
_SHORT = 12  # digits of an id that nobody would give as a name


def main(args: Args) -> int:
    """Remove each container and print its name as it was given; a missing one gives status 1."""
    store = ContainerStore(args.paths)

    def remove(container: Container) -> None:
        for each in _dependents(store, container) if args.depend else ():
            _remove(args, each)
            print(each.id, flush=True)
        _remove(args, container)

    status = for_each_container(
        args, remove, broken=args.force, ignore=args.force or args.ignore, missing=_MISSING
    )
    store.sweep()
    trash.empty_in_background(args.paths.data)
    return status


def _remove(args: Args, container: Container) -> None:
    ending.remove(args.paths, container, force=args.force, grace=args.timeout or 0, volumes=args.volumes)


def _dependents(store: ContainerStore, container: Container) -> list[Container]:
    """Return the containers that need this one, or have its volumes, or do so of these, newest first.

    So nobody comes after one that he needs, which was there when he was made.

    Those of --volumes-from work without it, because a volume stays as long as somebody uses it; so only
    --depend, which asks for the whole family, looks for them.
    """
    everybody = store.containers()
    others = {other.id: other for other in everybody if other.id != container.id}
    found: list[Container] = []
    sources = [container]
    while sources:
        source = sources.pop(0)
        for other in list(others.values()):
            given = other.record["request"].get("volumes_from") or ()
            if source.id in other.needs or any(_is_from(source, *entry) for entry in given):
                sources.append(others.pop(other.id))
                found.append(other)
    return [other for other in everybody if other in found]


def _is_from(source: Container, name: str, _mode: str, source_id: str = "") -> bool:
    """Whether an entry of --volumes-from means this container; older records hold no id."""
    if source_id:
        return source_id == source.id
    return name in (source.name, source.id) or (len(name) >= _SHORT and source.id.startswith(name))
