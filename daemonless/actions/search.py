"""search: which images a registry has; with --list-tags, which tags one of them has."""

from __future__ import annotations

from daemonless.actions import columns
from daemonless.actions.access import registry_access
from daemonless.actions.format import Listing
from daemonless.actions.values import Struct
from daemonless.errors import UsageError, printable
from daemonless.oci.reference import Reference, is_short, parse_reference
from daemonless.registry.registries import load_registries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from daemonless.actions.args import Args
    from daemonless.registry.client import RegistryClient

DOCKER = "docker.io"
_SEARCH_HOST = "index.docker.io"  # answers for docker.io, whose own host knows no search
_WIDEST = 44  # characters of a description
_MOST = 100


def main(args: Args) -> int:
    """Print what was found."""
    if not 1 <= args.limit <= _MOST:
        raise UsageError(f"--limit {args.limit} is not between 1 and {_MOST}")
    keep = [_filter(text) for text in args.filter or ()]
    if args.list_tags:
        if keep:
            raise UsageError("--list-tags takes no --filter")
        rows = _tags(args)
        template = args.format or "table {{.Name}}\t{{.Tag}}"
    else:
        rows = [row for row in _search(args) if all(test(row) for test in keep)]
        template = args.format or "table {{.Name}}\t{{.Description}}"
    print(Listing(rows, {}).render(template, noheading=not rows), end="")
    return 0


def _tags(args: Args) -> list[Struct]:
    reference = load_registries().spelled_out(args.term)[0]
    client = _connect(args, reference)
    try:
        tags = client.tags(reference.path)
    finally:
        client.close()
    return [_row(reference.domain, reference.path, {}, tag=tag) for tag in tags[: args.limit]]


def _search(args: Args) -> list[Struct]:
    """Ask docker's search, or look through the catalog of a registry that has none."""
    domain, term = DOCKER, args.term
    if not is_short(term):
        domain, _, term = term.partition("/")
    host = _SEARCH_HOST if domain == DOCKER else domain
    client = _connect(args, parse_reference(f"{host}/search"))
    try:
        found = client.search(term, args.limit)
        if found is None:
            found = [{"name": path} for path in client.catalog() if term in path]
    finally:
        client.close()
    rows = []
    for entry in found[: args.limit]:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            continue
        if domain == DOCKER and "/" not in name:
            name = f"library/{name}"
        rows.append(_row(domain, name, entry, no_trunc=args.no_trunc))
    return rows


def _connect(args: Args, reference: Reference) -> RegistryClient:
    return registry_access(args).connect(load_registries().destination(reference))


def _row(domain: str, path: str, entry: dict[str, Any], *, tag: str = "", no_trunc: bool = True) -> Struct:
    """Return podman's and docker's fields; what the registry says is text for a terminal only."""
    text = entry.get("description")
    description = " ".join(text.split()) if isinstance(text, str) else ""
    if not no_trunc:
        description = columns.shorten(description, _WIDEST)
    stars = entry.get("star_count")
    count = stars if isinstance(stars, int) else 0
    official = "[OK]" if entry.get("is_official") is True else ""
    return Struct(
        Index=domain,
        Name=printable(f"{domain}/{path}"),
        Description=printable(description, 10000),
        Stars=count,
        StarCount=count,
        Official=official,
        IsOfficial=official,
        Automated="[OK]" if entry.get("is_automated") is True else "",
        Tag=printable(tag),
    )


def _filter(text: str) -> Callable[[Struct], bool]:
    key, equals, value = text.partition("=")
    if key == "stars" and value.isascii() and value.isdigit():
        least = int(value)
        return lambda row: bool(row["Stars"] >= least)
    if (
        key in ("is-official", "is-automated")
        and value.lower() in ("", "true", "false")
        and (value or not equals)
    ):
        field = "Official" if key == "is-official" else "Automated"
        wanted = value.lower() != "false"
        return lambda row: bool(row[field]) == wanted
    raise UsageError(
        f"{text!r} is not a filter of search", "these are stars=NUMBER, is-official and is-automated"
    )
