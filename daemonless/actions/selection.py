"""Which containers a command line is about, and the loop over them.

Containers are named - as arguments, or in files that `run --cidfile` wrote - or chosen with
`--all`, `--latest` and `--filter`. A command has those of these options that it declares; names
together with a filter mean the ones among them that match.
"""

from __future__ import annotations

import os
import time

from daemonless.actions.each import for_each
from daemonless.containers.store import ContainerStore
from daemonless.errors import Conflict, NotFound, UsageError
from daemonless.files import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from daemonless.actions.args import Args
    from daemonless.containers.store import Container

    Test = Callable[[Container], bool]

_CIDFILE_LIMIT = 4096  # bytes; 64 are expected


def anything(_container: Container) -> bool:
    """Choose every container."""
    return True


def for_each_container(
    args: Args,
    act: Callable[[Container], str | None],
    *,
    concerns: Test = anything,
    broken: bool = False,
    ignore: bool = False,
    missing: int = 125,
) -> int:
    """Call `act` for each container the command line is about; return the exit status.

    Printed is what `act` returns, or for None the container as it was named: the word typed, the
    full id of one that was chosen. `concerns` tells which ones --all and --filter mean: of `stop`
    the running ones; `broken` adds to --all those whose files cannot be read.

    A failure is reported and the others go on. A container that does not exist fails with the
    status `missing`, or is passed over with `ignore`; so is a chosen one that another command has
    meanwhile removed, or brought into a state in which it would not have been chosen.
    """
    store = ContainerStore(args.paths)
    _check(args)
    typed = (*args.containers, *_from_cidfiles(args, ignore))
    keep = _filter(args)
    if typed or _option(args, "cidfile"):
        failure = None if ignore else missing
        return for_each(typed, lambda name: _act_on_named(store, name, act, keep, failure))
    latest = _option(args, "latest")
    found = [each for each in store.containers() if (latest or concerns(each)) and keep(each)]
    if latest:
        if not found and not _option(args, "filter"):
            raise NotFound("there are no containers")
        found = found[:1]
    elif broken and not _option(args, "filter"):
        found += store.broken()
    by_id = {container.id: container for container in found}
    return for_each(by_id, lambda name: _act_on_chosen(by_id[name], act, concerns, strict=latest))


def _act_on_named(
    store: ContainerStore, name: str, act: Callable[[Container], str | None], keep: Test, missing: int | None
) -> str | None:
    """Act on one container; `missing` is the exit status if it does not exist, None to pass over it."""
    container = None
    try:
        container = store.find(name)
        if not keep(container):
            return None
        said = act(container)
    except NotFound as error:
        if container is not None and os.path.isdir(container.directory):
            raise  # something else is missing
        if missing is None:
            return None
        raise NotFound(error.message, error.hint, exit_status=missing) from None
    return name if said is None else said


def _act_on_chosen(
    container: Container, act: Callable[[Container], str | None], concerns: Test, *, strict: bool
) -> str | None:
    try:
        said = act(container)
    except (NotFound, Conflict):
        container.refresh()
        if not os.path.isdir(container.directory) or not (strict or concerns(container)):
            return None
        raise
    return container.id if said is None else said


def _option(args: Args, name: str) -> bool:
    return bool(getattr(args, name, False))


def _check(args: Args) -> None:
    """Raise UsageError for options that contradict each other, and if there is nothing to do."""
    everything, latest = _option(args, "all"), _option(args, "latest")
    typed = bool(args.containers) or _option(args, "cidfile")
    if everything and latest:
        raise UsageError("--all and --latest cannot be used together")
    if typed and (everything or latest):
        option = "--all" if everything else "--latest"
        raise UsageError(f"{option} and containers cannot be used together")
    if not typed and not everything and not latest and not _option(args, "filter"):
        ways = [f"--{name}" for name in ("all", "latest", "filter") if hasattr(args, name)]
        raise UsageError(
            "you must provide at least one name or id",
            f"name a container, or choose with {', '.join(ways)}; a $(daemonless ps -q) may have been empty",
        )


def first_container(store: ContainerStore, words: list[str], *, latest: bool, ways: str) -> Container:
    """Take the container off the front of the words, or choose the newest if `latest`.

    Raises UsageError if there is neither; `ways` are the options it then names.
    """
    if latest:
        return store.latest()
    if not words:
        raise UsageError("no container was named", f"name one, or use {ways}")
    return store.find(words.pop(0))


def id_in_file(path: str) -> str:
    """Return the id in a file that `run --cidfile` wrote; raises NotFound without it, or UsageError."""
    try:
        text = read_file(path, _CIDFILE_LIMIT, what=path).decode("utf-8", "replace")
    except FileNotFoundError as error:
        raise NotFound(f"cannot read --cidfile {path}: {error.strerror}") from None
    except OSError as error:
        raise UsageError(f"cannot read --cidfile {path}: {error.strerror}") from None
    return text.partition("\n")[0].strip()


def _from_cidfiles(args: Args, ignore: bool) -> tuple[str, ...]:
    """Return the ids in the files of --cidfile; `ignore` passes over a file that does not exist."""
    found = []
    for path in getattr(args, "cidfile", ()):
        try:
            found.append(id_in_file(path))
        except NotFound:
            if not ignore:
                raise
    return tuple(found)


def _filter(args: Args) -> Test:
    if not _option(args, "filter"):
        return anything
    from daemonless.actions.psfilter import parse_filters  # noqa: PLC0415 - most command lines have no filter
    from daemonless.actions.psrow import Row, Shared  # noqa: PLC0415 - as above

    now = time.time()
    shared = Shared(args.paths, [])  # no filter asks for sizes
    keep, _ = parse_filters(args.filter, args.paths, now)
    return lambda container: keep(Row(container, shared, now, no_trunc=True))
